"""A guest that lands as it is: the little that has to be changed on its disks after all."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from longshore.guests.addressing.request import as_plain
from longshore.guests.limits import CHANGING, INSPECTING
from longshore.guests.process import work_on
from longshore.guests.report import Finished, NicName, OperatingSystem
from longshore.model.addresses import NOTHING_NEW, NewAddresses
from longshore.model.hardware import BootDrivers


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
        "disks": list(disks),
        "nics": [] if addresses_only else [asdict(nic) for nic in nics if known is None or _relies_on(known, nic)],
        "loader": not addresses_only and (known is None or known.fallback_loader is False or bool(signature)),
        "system": None if known is None else asdict(_system(known)),
        "keys": list(keys),
        "signature": signature,
        "new_addresses": as_plain(new_addresses),
        "keep_former": keep_former,
    }
    return list((await work_on(Finished, request, report_dir / "finish.log", on_message, CHANGING)).changes)


def _relies_on(known: BootDrivers, nic: NicName) -> bool:
    """Tell whether the network configuration relies on this interface's name, which may be one that it alone says."""
    return bool(known.interface_names) and (not nic.name or not set(nic.names).isdisjoint(known.interface_names))


async def put_back(
    disks: Sequence[str], report_dir: Path, on_message: Callable[[str], None], *, keys: Sequence[str] = ()
) -> list[str]:
    """Put back the network configuration that a guest had before it was given other addresses. Returns a sentence, if
    there was one. Raises ConversionError; after that the disks are in doubt."""
    request = {"operation": "put-back", "disks": list(disks), "keys": list(keys)}
    return list((await work_on(Finished, request, report_dir / "put-back.log", on_message, CHANGING)).changes)


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
        "disks": list(disks),
        "system": asdict(_system(drivers)),
        "keys": list(keys),
        "signature": signature,
    }
    await work_on(Finished, request, report_dir / "check.log", on_message, INSPECTING)


def _system(drivers: BootDrivers) -> OperatingSystem:
    """Return the system that an earlier look has found, as far as it matters to where its file systems are."""
    return OperatingSystem(
        root=drivers.mounts["/"],
        family=drivers.family,
        distribution="unknown",
        version="",
        product=drivers.system,
        architecture="",
        package_format="unknown",
        host_name="",
        mounts=drivers.mounts,
        uuids=drivers.uuids,
    )
