"""Making the guest ready for its new hardware, on the volumes it will boot from."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from longshore.errors import LongshoreError
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.opened import open_volumes, opened
from longshore.flows.moves.target_side import Prepared
from longshore.guests.process import convert, finish_as_is
from longshore.guests.report import GUEST_CHANGED, NicAddresses, NicName, OperatingSystem
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
    keys: list[str]


@dataclass(frozen=True, slots=True)
class GuestChange:
    """A change of the guest on the volumes that its server will boot from, which is a step of its own.

    One that was broken off leaves the guest in doubt, so every further try begins from the volumes' snapshots.
    """

    job: MoveContext
    machine: Machine
    ports: list[Port]
    volumes: list[Volume]
    snapshots: list[str]
    new: NewAddresses = NOTHING_NEW  # which are written into it

    async def convert(self, system: OperatingSystem | None = None) -> dict[str, Any]:
        """Give the guest the drivers of the target's hardware. Return what was changed.

        `system`: what a look has found on the same disks.
        """
        job = self.job
        said = "Making the guest ready for its new hardware."
        async with self._opened(said) as guest:
            scripts = [await asyncio.to_thread(job.text, mark) for mark in job.request.first_boot]
            windows = "windows" in (likely_drivers(self.machine).family, system.family if system else "")
            converting = convert(
                guest.uris,
                guest.directory,
                self._tell,
                nics=guest.nics,
                first_boot=scripts,
                addresses=[NicAddresses(port.mac, port.addresses) for port in self.ports] if windows else [],
                keys=guest.keys,
                system=system,
                agents=job.request.agents,
                new_addresses=self.new,
                keep_former=self._goes_back,
            )
            report = await job.cancellable(asyncio.create_task(converting))
        return report.to_json()

    async def finish(
        self, drivers: BootDrivers, signature: str = "", *, addresses_only: bool = False
    ) -> dict[str, Any]:
        """Give a guest that lands as it is the little it needs all the same. Return what was changed.

        What is known of its disks already needn't be looked up again: the machine is off meanwhile. `signature`: of the
        look that has found it at an earlier moment; then it has to be that still. With `addresses_only` nothing but its
        new addresses is written.
        """
        said = (
            "Giving the guest its new addresses."
            if self.new
            else "Keeping the guest's interface names and its way to boot."
        )
        async with self._opened(said) as guest:
            finishing = finish_as_is(
                guest.uris,
                guest.directory,
                self._tell,
                nics=guest.nics,
                drivers=drivers,
                keys=guest.keys,
                signature=signature,
                new_addresses=self.new,
                keep_former=self._goes_back,
                addresses_only=addresses_only,
            )
            return {"changes": await self.job.cancellable(asyncio.create_task(finishing))}

    @asynccontextmanager
    async def _opened(self, said: str) -> AsyncIterator[_Guest]:
        """Open all disks of the machine at once."""
        job = self.job
        attempts = await asyncio.to_thread(self._begin, said)
        directory = job.directory(f"conversion-{attempts}")
        async with opened() as exports:
            uris = [disk.uri for disk in await asyncio.to_thread(open_volumes, job, self.volumes, exports)]
            keys = await asyncio.to_thread(guest_keys, job)
            try:
                yield _Guest(uris, directory, nic_names(self.machine, self.ports), keys)
            except LongshoreError as error:
                if error.code == GUEST_CHANGED:  # nothing was done to it
                    await asyncio.to_thread(job.store.migrations.update, job.id, conversion_attempts=attempts - 1)
                raise

    def _begin(self, said: str) -> int:
        """Count one try more, on volumes as they were before the first. Return which it is, from 1 on."""
        job = self.job
        job.raise_if_cancelled()
        before = job.store.migrations.get(job.id).conversion_attempts
        if before:
            job.say("An earlier conversion was broken off: going back to the volumes' snapshots.", "warning")
            go_back(job, self.volumes, self.snapshots)
        job.store.migrations.update(job.id, conversion_attempts=before + 1)
        job.phase("converting", said)
        return before + 1

    @property
    def _goes_back(self) -> bool:
        """Tell whether what is made of the machine may be written back to it."""
        return self.job.request.type is MigrationType.FAILOVER

    def _tell(self, text: str) -> None:
        """Pass on what a conversion says. Its warnings become events that stand out."""
        said = text.removeprefix("Warning: ")
        self.job.say(said, "information" if said == text else "warning")


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
