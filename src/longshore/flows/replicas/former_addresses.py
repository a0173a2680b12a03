"""Putting back a guest's addresses: one that was given others for a failover has its own again once it is back at home.

What it had is kept on its own disks, by the failover (`longshore.guests.addressing.writing`), so that it comes along
with all that the server has written.
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from longshore.blocks.exports import Export
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.conversion import guest_keys
from longshore.flows.moves.opened import opened
from longshore.guests.process import put_back
from longshore.model.forms import form
from longshore.model.request import MigrationRequest
from longshore.planning.new_addresses import wanted_addresses


def were_changed(job: MoveContext) -> bool:
    """Tell whether the failover that this failback ends has given the guest other addresses."""
    failover = job.store.replicas.get(job.record.of).failover_id
    if failover is None:
        return False
    return bool(wanted_addresses(form(MigrationRequest).validate_python(job.store.migrations.get(failover).request)))


async def put_addresses_back(job: MoveContext, open_all: Callable[[ExitStack], list[Export]]) -> None:
    """Write them on the disks that `open_all` opens, the one that the guest boots from first.

    Done twice it does nothing the second time: what was kept goes with what is put back.
    """
    said = "Giving the guest the addresses back that it had before the failover."
    await asyncio.to_thread(job.begin_phase, "converting", said)
    async with opened() as exports:
        disks = await asyncio.to_thread(open_all, exports)
        directory = job.directory("put-back")
        keys = await asyncio.to_thread(guest_keys, job)
        uris = [disk.uri for disk in disks]
        done = await job.cancellable(asyncio.create_task(put_back(uris, directory, job.say, keys=keys)))
    if not done:
        text = "It has kept no network configuration from before the failover, so it stays with what it has."
        await asyncio.to_thread(job.say, text, "warning")
