"""A guest that lands as it is: what it could boot on, and the little that has to be changed on its disks after all."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from longshore.errors import ConversionError
from longshore.guests.inspection import NOT_LOOKED_INTO
from longshore.guests.limits import CHANGING, INSPECTING
from longshore.guests.process import work_on
from longshore.guests.report import Finished, NicName, OperatingSystem
from longshore.model.hardware import BootDrivers


async def inspect_drivers(
    disks: Sequence[str], report_dir: Path, on_message: Callable[[str], None], *, nics: Sequence[NicName] = ()
) -> BootDrivers:
    """What the guest on these NBD URIs, in the machine's order, can boot from; nothing is written to them.

    `nics` are the names by which it may know its interfaces; those its configuration relies on are in the answer.
    `on_message` gets a line for each thing done, on the caller's event loop. Disks that hold no system we know, as
    encrypted ones do, are an answer too: not inspected, and why. Raises ConversionError when it can't be tried.
    """
    report_dir.mkdir(parents=True, exist_ok=True)
    request = {"operation": "drivers", "disks": list(disks), "nics": [asdict(nic) for nic in nics]}
    try:
        return await work_on(BootDrivers, request, report_dir / "drivers.log", on_message, INSPECTING)
    except ConversionError as why:
        if why.code != NOT_LOOKED_INTO:
            raise
        return BootDrivers(inspected=False, doubts=(f"{why.message} So its interfaces' names can't be kept.",))


async def finish_as_is(
    disks: Sequence[str],
    report_dir: Path,
    on_message: Callable[[str], None],
    *,
    nics: Sequence[NicName] = (),
    drivers: BootDrivers | None = None,
) -> list[str]:
    """What an unchanged guest needs for its first boot on another cloud, one sentence for each thing changed.

    Interfaces keep their names, by MAC address, where the guest's configuration mentions them; and the loader that UEFI
    falls back to is put there. Drivers, boot menu and everything else stay. `drivers` are what `inspect_drivers` found
    on an earlier copy of the same disks: it spares looking again. Raises ConversionError; after that, and after
    cancellation, the disks are in doubt and have to be reverted.
    """
    report_dir.mkdir(parents=True, exist_ok=True)
    known = drivers if drivers is not None and drivers.inspected else None
    request = {
        "operation": "finish-as-is",
        "disks": list(disks),
        "nics": [asdict(nic) for nic in nics if known is None or set(nic.names) & set(known.interface_names)],
        "loader": known is None or known.fallback_loader is False,
        "system": None if known is None else asdict(_system(known)),
    }
    return list((await work_on(Finished, request, report_dir / "finish.log", on_message, CHANGING)).changes)


def _system(drivers: BootDrivers) -> OperatingSystem:
    """As far as it matters to where its file systems are."""
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
