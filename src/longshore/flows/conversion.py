"""The guest made ready for its new hardware, on the volumes it will boot from."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any

from longshore.blocks.exports import Export
from longshore.flows.journey import Journey
from longshore.guests import NicName, convert
from longshore.model.machine import Machine
from longshore.model.target import Owner, Port, Volume


def converter(
    journey: Journey, machine: Machine, ports: list[Port], volumes: list[Volume], snapshots: list[str]
) -> Callable[[], Awaitable[dict[str, Any]]]:
    """The work of the conversion step: all disks of the machine at once.

    A conversion that was broken off leaves the guest in doubt, so every further try begins from the volumes' snapshots.
    """

    async def run() -> dict[str, Any]:
        journey.go_on()
        attempts = journey.store.migrations.get(journey.id).conversion_attempts
        if attempts:
            await asyncio.to_thread(_go_back, journey, volumes, snapshots)
        journey.store.migrations.update(journey.id, conversion_attempts=attempts + 1)
        journey.phase("converting", "Making the guest ready for its new hardware.")
        directory = journey.store.state.migration(journey.id) / f"conversion-{attempts + 1}"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as exports:
            opened = [await asyncio.to_thread(_open, journey, exports, volume) for volume in volumes]
            work = convert([e.uri for e in opened], directory, journey.say, nics=_nic_names(machine, ports))
            report = await journey.cancellable(asyncio.create_task(work))
        return report.to_json()

    return run


def _go_back(journey: Journey, volumes: list[Volume], snapshots: list[str]) -> None:
    journey.say("An earlier conversion was broken off: going back to the volumes' snapshots.", "warning")
    with journey.clouds.target(journey.record.target_id) as target:
        for volume, snapshot in zip(volumes, snapshots, strict=True):
            target.revert_volume(volume.id, snapshot)


def _open(journey: Journey, exports: ExitStack, volume: Volume) -> Export:
    cloud = exports.enter_context(journey.clouds.target(journey.record.target_id))
    return exports.enter_context(cloud.open_volume(volume.id, Owner(journey.id, f"open-{volume.id}")))


def _nic_names(machine: Machine, ports: list[Port]) -> list[NicName]:
    """On VMware a Linux guest calls an interface after the slot its adapter sits in; elsewhere that slot is another.

    The MAC is that of the port, which isn't always the machine's own.
    """
    pairs = zip(machine.nics, ports, strict=True)
    return [NicName(port.mac, f"ens{nic.pci_slot}") for nic, port in pairs if nic.pci_slot is not None]
