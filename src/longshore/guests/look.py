"""A look onto a machine's disks before anything on them is changed."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from longshore.guests.addressing.request import as_plain
from longshore.guests.limits import INSPECTING
from longshore.guests.process import work_on
from longshore.guests.report import NicName, OperatingSystem
from longshore.model.addresses import NOTHING_NEW, NewAddresses
from longshore.model.guest import GuestFindings


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
        "disks": list(disks),
        "nics": [asdict(nic) for nic in nics],
        "keys": list(keys),
        "new_addresses": as_plain(adapters),
    }
    return await work_on(GuestFindings, request, report_dir / "look.log", on_message, INSPECTING)


def system_found(findings: GuestFindings) -> OperatingSystem | None:
    """Return the system that a look has found, for later work on the same disks: to look again takes as long as the
    appliance's start.

    None where nothing was found that could be relied on.
    """
    if not findings.inspected or "/" not in findings.drivers.mounts:
        return None
    (found, *_) = findings.systems
    return OperatingSystem(
        root=found.root,
        family=found.family,
        distribution=found.distribution,
        version=found.version,
        product=found.product,
        architecture=found.architecture,
        package_format=found.package_format,
        host_name=found.host_name,
        mounts=findings.drivers.mounts,
        uuids=findings.drivers.uuids,
        variant=found.variant,
        root_in_fstab=findings.root_in_fstab,
    )
