"""Work on a guest, each in a process of its own: libguestfs blocks and may crash, and must not take other jobs down.

That process starts another one, confined, which alone touches the guest's disks: see longshore.processes.launcher.
Disks are NBD URIs in the machine's order, the disk that it boots from first; `on_message` gets a line for each thing
done, on the caller's event loop; logs are written to `report_dir`, which is made. Each raises ConversionError.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from longshore.errors import ConversionError
from longshore.guests.confined import NONSENSE, GuestLimits
from longshore.guests.report import ConversionReport, Finished, NicAddresses, NicName, OperatingSystem, alike
from longshore.guests.start import acceleration
from longshore.model.addresses import NOTHING_NEW, NewAddresses
from longshore.model.agents import Agent
from longshore.model.guest import GuestFindings
from longshore.model.hardware import BootDrivers
from longshore.processes.child import ask

_INSPECTING, _CHANGING = GuestLimits(seconds=1800.0), GuestLimits(seconds=2 * 3600.0)
_T = TypeVar("_T")


async def look_into(
    disks: Sequence[str],
    report_dir: Path,
    on_message: Callable[[str], None],
    *,
    nics: Sequence[NicName] = (),
    keys: Sequence[str] = (),
    adapters: NewAddresses = NOTHING_NEW,
) -> GuestFindings:
    """Look into the guest on these NBD URIs, in the machine's order, as far as it decides how the guest lands; nothing
    is written.

    `nics` are the names by which it may know its interfaces; those its configuration relies on are in the drivers that
    were found. Of the `adapters` is found whether they can be given addresses. `keys` open what is encrypted by LUKS.
    `on_message` gets a line for each thing done, on the caller's event loop. Disks that don't hold one system we know,
    as locked ones, are an answer too: not inspected, and why. Raises ConversionError when it can't be tried.
    """
    request = {
        "operation": "look",
        "disks": disks,
        "nics": [asdict(nic) for nic in nics],
        "keys": keys,
        "new_addresses": asdict(adapters),
    }
    return await _work_on(GuestFindings, request, report_dir / "look.log", on_message, _INSPECTING)


def system_found(findings: GuestFindings) -> OperatingSystem | None:
    """Return the system that a look has found, for later work on the same disks: to look again takes as long as the
    appliance's start.

    None where nothing was found that could be relied on.
    """
    if not findings.inspected or "/" not in findings.drivers.mounts:
        return None
    drivers = findings.drivers
    found = alike(OperatingSystem, findings.systems[0])
    return replace(found, mounts=drivers.mounts, uuids=drivers.uuids, root_in_fstab=findings.root_in_fstab)


async def convert(
    disks: Sequence[str],
    report_dir: Path,
    on_message: Callable[[str], None],
    *,
    nics: Sequence[NicName] = (),
    first_boot: Sequence[str] = (),
    addresses: Sequence[NicAddresses] = (),
    keys: Sequence[str] = (),
    system: OperatingSystem | None = None,
    agents: Sequence[Agent] = (),
    new_addresses: NewAddresses = NOTHING_NEW,
    keep_former: bool = False,
) -> ConversionReport:
    """Convert the guest on these NBD URIs, the disk it boots from first, for virtio hardware.

    `on_message` gets a line for each thing done, on the caller's event loop. Logs are written to `report_dir`.
    `nics` are names to be kept where a Linux guest's configuration depends on them, `first_boot` the texts of scripts
    that it runs once, when it boots for the first time. `addresses` are those of a Windows guest's adapters on the
    target: the ones that it gives itself are kept. `keys` open what is encrypted by LUKS. `system` is what a look has
    found on these disks: it spares looking again after the conversion. `agents` are installed from the packages that
    this machine has for them; one that can't be is a warning. `new_addresses` take the place of what the guest's
    adapters have; with `keep_former` it keeps what they had, for `put_back`. Raises ConversionError; after that, and
    after cancellation, the disks are in doubt and have to be reverted.
    """
    request = {
        "operation": "convert",
        "disks": disks,
        "nics": [asdict(nic) for nic in nics],
        "first_boot": first_boot,
        "addresses": [asdict(nic) for nic in addresses],
        "keys": keys,
        "agents": [agent.value for agent in agents],
        "system": None if system is None else asdict(system),
        "new_addresses": asdict(new_addresses),
        "keep_former": keep_former,
    }
    log = report_dir / "conversion.log"
    return replace(await _work_on(ConversionReport, request, log, on_message, _CHANGING), log=str(log))


async def inspect_guest(disks: Sequence[str], report_dir: Path) -> OperatingSystem:
    """Find out what operating system is on these NBD URIs; nothing is written to them. Raises ConversionError."""
    request = {"operation": "inspect", "disks": disks}
    return await _work_on(OperatingSystem, request, report_dir / "inspection.log", lambda _: None, _INSPECTING)


async def finish_as_is(
    disks: Sequence[str],
    report_dir: Path,
    on_message: Callable[[str], None],
    *,
    nics: Sequence[NicName] = (),
    drivers: BootDrivers | None = None,
    keys: Sequence[str] = (),
    signature: str = "",
    new_addresses: NewAddresses = NOTHING_NEW,
    keep_former: bool = False,
    addresses_only: bool = False,
) -> list[str]:
    """Make an unchanged guest ready for its first boot on another cloud. Returns one sentence for each thing changed.

    Interfaces keep their names, by MAC address, where the guest's configuration mentions them; and the loader that UEFI
    falls back to is put there. Drivers, boot menu and everything else stay. `drivers` are what a look found on
    an earlier copy of the same disks: it spares looking again. `signature`: that look's, where these disks are of a
    later moment; nothing is changed then unless it is the same. `keys` open what is encrypted by LUKS. Raises
    ConversionError; after that, and after cancellation, the disks are in doubt and have to be reverted, but where its
    code is GUEST_CHANGED. `new_addresses` and `keep_former` are as in `convert`; with `addresses_only` nothing else is
    changed.
    """
    known = drivers if drivers is not None and drivers.inspected else None
    request = {
        "operation": "finish-as-is",
        "disks": disks,
        "nics": [] if addresses_only else [asdict(nic) for nic in nics if known is None or _relies_on(known, nic)],
        "loader": not addresses_only and (known is None or known.fallback_loader is False or bool(signature)),
        "system": None if known is None else asdict(_system(known)),
        "keys": keys,
        "signature": signature,
        "new_addresses": asdict(new_addresses),
        "keep_former": keep_former,
    }
    return list((await _work_on(Finished, request, report_dir / "finish.log", on_message, _CHANGING)).changes)


def _relies_on(known: BootDrivers, nic: NicName) -> bool:
    """Tell whether the network configuration relies on this interface's name, which may be one that it alone says."""
    return bool(known.interface_names) and (not nic.name or not set(nic.names).isdisjoint(known.interface_names))


async def put_back(
    disks: Sequence[str], report_dir: Path, on_message: Callable[[str], None], *, keys: Sequence[str] = ()
) -> list[str]:
    """Put back the network configuration that a guest had before it was given other addresses. Returns a sentence, if
    there was one. Raises ConversionError; after that the disks are in doubt."""
    request = {"operation": "put-back", "disks": disks, "keys": keys}
    return list((await _work_on(Finished, request, report_dir / "put-back.log", on_message, _CHANGING)).changes)


async def check_as_found(
    disks: Sequence[str],
    report_dir: Path,
    on_message: Callable[[str], None],
    *,
    drivers: BootDrivers,
    signature: str,
    keys: Sequence[str] = (),
) -> None:
    """These disks boot by the same as when a look has found `drivers` and left `signature`, at an earlier moment of
    their machine; nothing is written. Raises ConversionError, with the code GUEST_CHANGED where they don't."""
    request = {
        "operation": "check",
        "disks": disks,
        "system": asdict(_system(drivers)),
        "keys": keys,
        "signature": signature,
    }
    await _work_on(Finished, request, report_dir / "check.log", on_message, _INSPECTING)


def _system(drivers: BootDrivers) -> OperatingSystem:
    """Return the system that an earlier look has found, as far as it matters to where its file systems are."""
    return OperatingSystem(
        drivers.mounts["/"], drivers.family, product=drivers.system, mounts=drivers.mounts, uuids=drivers.uuids
    )


async def _work_on(
    shape: type[_T], request: Mapping[str, Any], log_path: Path, on_message: Callable[[str], None], limits: GuestLimits
) -> _T:
    """Have `python -m longshore.guests` do it; the last thing it says is `result`, which has this shape, or `error`.

    The directory of the log is made. `on_message` gets a line for each thing done, on the caller's event loop. Raises
    ConversionError.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    environment = await asyncio.to_thread(acceleration)
    answer, status = await ask(
        "longshore.guests", {**request, "limits": asdict(limits)}, log_path, on_message, environment
    )
    look = f"Its log is {log_path}."
    if "error" in answer:
        error = answer["error"]
        raise ConversionError(error["message"], advice=error["advice"] or look, code=error["code"])
    if "result" not in answer:
        raise ConversionError(
            f"The process that worked on the guest ended unexpectedly (status {status}).", advice=look
        )
    try:
        return TypeAdapter(shape).validate_python(answer["result"])
    except ValidationError:  # its text holds what was said
        raise ConversionError(NONSENSE, advice=look) from None
