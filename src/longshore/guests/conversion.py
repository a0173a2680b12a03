"""A guest made ready for its new hardware, in place, on all disks of its machine at once."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from longshore.guests.addressing.request import as_plain
from longshore.guests.limits import CHANGING, INSPECTING
from longshore.guests.process import work_on
from longshore.guests.report import ConversionReport, NicAddresses, NicName, OperatingSystem
from longshore.model.addresses import NOTHING_NEW, NewAddresses
from longshore.model.agents import Agent


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
        "disks": list(disks),
        "nics": [asdict(nic) for nic in nics],
        "first_boot": list(first_boot),
        "addresses": [asdict(nic) for nic in addresses],
        "keys": list(keys),
        "agents": [agent.value for agent in agents],
        "system": None if system is None else asdict(system),
        "new_addresses": as_plain(new_addresses),
        "keep_former": keep_former,
    }
    log = report_dir / "conversion.log"
    return replace(await work_on(ConversionReport, request, log, on_message, CHANGING), log=str(log))


async def inspect_guest(disks: Sequence[str], report_dir: Path) -> OperatingSystem:
    """Find out what operating system is on these NBD URIs; nothing is written to them. Raises ConversionError."""
    request = {"operation": "inspect", "disks": list(disks)}
    return await work_on(OperatingSystem, request, report_dir / "inspection.log", lambda _: None, INSPECTING)
