"""Making the guest ready for its new hardware, on the volumes it will boot from."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from longshore.errors import LongshoreError
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.opened import open_volume, opened
from longshore.flows.moves.target_side import Prepared
from longshore.guests import GUEST_CHANGED, NicAddresses, NicName, OperatingSystem, convert, finish_as_is
from longshore.model.addresses import NOTHING_NEW, AdapterInGuest, NewAddresses
from longshore.model.hardware import BootDrivers
from longshore.model.interface_names import kernel_names, slot_names
from longshore.model.machine import Machine
from longshore.model.request import MigrationType
from longshore.model.target import Port, Volume
from longshore.planning.hardware import likely_drivers
from longshore.planning.new_addresses import new_addresses


class _Guest(NamedTuple):
    """A guest whose disks are open for writing."""

    uris: list[str]
    directory: Path  # for what is found
    nics: list[NicName]


async def convert_guest(  # noqa: PLR0917
    job: MoveContext,
    machine: Machine,
    ports: list[Port],
    volumes: list[Volume],
    snapshots: list[str],
    system: OperatingSystem | None = None,
    new: NewAddresses = NOTHING_NEW,
) -> dict[str, Any]:
    """Give the guest the drivers of the target's hardware. Return what was changed.

    `system`: what a look has found on the same disks. `new`: addresses that are written into it. A second run begins
    from the volumes' snapshots.
    """
    said = "Making the guest ready for its new hardware."
    async with _opened_guest(job, machine, ports, volumes, snapshots, said) as guest:
        scripts = [await asyncio.to_thread(job.text, mark) for mark in job.request.first_boot]
        windows = "windows" in (likely_drivers(machine).family, system.family if system else "")
        converting = convert(
            guest.uris,
            guest.directory,
            partial(_tell, job),
            nics=guest.nics,
            first_boot=scripts,
            addresses=[NicAddresses(port.mac, port.addresses) for port in ports] if windows else [],
            keys=await asyncio.to_thread(guest_keys, job),
            system=system,
            agents=job.request.agents,
            new_addresses=new,
            keep_former=_goes_back(job),
        )
        report = await job.cancellable(asyncio.create_task(converting))
    return report.to_json()


async def finish_guest(  # noqa: PLR0917
    job: MoveContext,
    machine: Machine,
    ports: list[Port],
    volumes: list[Volume],
    snapshots: list[str],
    drivers: BootDrivers,
    signature: str = "",
    new: NewAddresses = NOTHING_NEW,
    *,
    addresses_only: bool = False,
) -> dict[str, Any]:
    """Give a guest that lands as it is the little it needs all the same. Return what was changed.

    What is known of its disks already needn't be looked up again: the machine is off meanwhile. `signature`: of the
    look that has found it at an earlier moment; then it has to be that still. `new`: addresses that are written into
    it; with `addresses_only` nothing else is. A second run begins from the volumes' snapshots.
    """
    said = "Giving the guest its new addresses." if new else "Keeping the guest's interface names and its way to boot."
    async with _opened_guest(job, machine, ports, volumes, snapshots, said) as guest:
        finishing = finish_as_is(
            guest.uris,
            guest.directory,
            partial(_tell, job),
            nics=guest.nics,
            drivers=drivers,
            keys=await asyncio.to_thread(guest_keys, job),
            signature=signature,
            new_addresses=new,
            keep_former=_goes_back(job),
            addresses_only=addresses_only,
        )
        return {"changes": await job.cancellable(asyncio.create_task(finishing))}


@asynccontextmanager
async def _opened_guest(  # noqa: PLR0917
    job: MoveContext, machine: Machine, ports: list[Port], volumes: list[Volume], snapshots: list[str], said: str
) -> AsyncIterator[_Guest]:
    """Open all disks of the machine at once, to change its guest.

    A change that was broken off leaves the guest in doubt, so every further try begins from the volumes' snapshots.
    """
    attempts = await asyncio.to_thread(_begin, job, volumes, snapshots, said)
    directory = job.store.state.migration(job.id) / f"conversion-{attempts}"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with opened() as exports:
        disks = [await asyncio.to_thread(open_volume, job, exports, volume) for volume in volumes]
        try:
            yield _Guest([disk.uri for disk in disks], directory, nic_names(machine, ports))
        except LongshoreError as error:
            if error.code == GUEST_CHANGED:  # nothing was done to it
                await asyncio.to_thread(job.store.migrations.update, job.id, conversion_attempts=attempts - 1)
            raise


def _begin(job: MoveContext, volumes: list[Volume], snapshots: list[str], said: str) -> int:
    """Count one try more, on volumes as they were before the first. Return which it is, from 1 on."""
    job.raise_if_cancelled()
    before = job.store.migrations.get(job.id).conversion_attempts
    if before:
        job.say("An earlier conversion was broken off: going back to the volumes' snapshots.", "warning")
        go_back(job, volumes, snapshots)
    job.store.migrations.update(job.id, conversion_attempts=before + 1)
    job.phase("converting", said)
    return before + 1


def _goes_back(job: MoveContext) -> bool:
    """Tell whether what is made of the machine may be written back to it."""
    return job.request.type is MigrationType.FAILOVER


def _tell(job: MoveContext, text: str) -> None:
    """Pass on what a conversion says. Its warnings become events that stand out."""
    said = text.removeprefix("Warning: ")
    job.say(said, "information" if said == text else "warning")


def go_back(job: MoveContext, volumes: list[Volume], snapshots: list[str]) -> None:
    """Have each volume hold again what it held when its snapshot was taken."""
    with job.clouds.target(job.record.target_id) as target:
        for volume, snapshot in zip(volumes, snapshots, strict=True):
            target.revert_volume(volume.id, snapshot)


def guest_keys(job: MoveContext) -> list[str]:
    """Return, in clear, the keys that open the guest's encrypted disks."""
    return [job.text(mark) for mark in job.request.guest_keys]


def adapters_in_guest(machine: Machine, ports: list[Port]) -> tuple[AdapterInGuest, ...]:
    """Return for each adapter how the guest may know it."""
    names = {nic.mac: nic.names for nic in nic_names(machine, ports) if nic.name}
    return tuple(
        AdapterInGuest(port.mac, nic.mac, names.get(port.mac, ()), nic.addresses)
        for nic, port in zip(machine.nics, ports, strict=True)
    )


def addresses_to_write(job: MoveContext, prepared: Prepared, ports: list[Port]) -> NewAddresses:
    """Return the addresses that this migration writes into the guest of its machine."""
    gateways = {subnet: hop for nic in prepared.landing.nics for subnet, hop in nic.gateways.items()}
    return new_addresses(adapters_in_guest(prepared.machine, ports), job.request, gateways)


def nic_names(machine: Machine, ports: list[Port]) -> list[NicName]:
    """Return the names that a Linux guest may give its interfaces by now, after the slots of its adapters on VMware.

    The MAC is that of the port, which isn't always the machine's own. An adapter without a slot has the kernel's name
    alone.
    """
    counted = kernel_names([nic.pci_slot for nic in machine.nics])
    names = []
    for position, (nic, port) in enumerate(zip(machine.nics, ports, strict=True)):
        first, *others = ("",) if nic.pci_slot is None else slot_names(nic.pci_slot, nic.key, position)
        names.append(NicName(port.mac, first, tuple(others), nic.mac, counted[position]))
    return names
