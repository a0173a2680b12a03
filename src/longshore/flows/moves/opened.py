"""The disks and volumes that a step has open while it works asynchronously."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from longshore.blocks.exports import Export
from longshore.flows.moves.context import MoveContext
from longshore.model.machine import Disk, Snapshot
from longshore.model.request import MigrationType
from longshore.model.target import Owner, Volume


@asynccontextmanager
async def opened() -> AsyncIterator[ExitStack]:
    """Yield a stack for what is entered in threads, and leave it in a thread, too.

    Leaving a volume asks its cloud, which may take its time, and all migrations of this process share one event loop.
    """
    stack = ExitStack()
    try:
        yield stack
    except BaseException:
        await asyncio.to_thread(stack.__exit__, *sys.exc_info())
        raise
    await asyncio.to_thread(stack.close)


def open_disk(
    job: MoveContext, exports: ExitStack, snapshot: Snapshot, disk: Disk, *, provider_id: str | None = None
) -> Export:
    """Open a disk of the source for reading. `provider_id`: of the provider that has it; None: the source."""
    return _open_for_reading(job, exports, provider_id or job.record.source_id, snapshot, disk.key)


def open_landed_disk(job: MoveContext, exports: ExitStack, snapshot: Snapshot, volume: Volume) -> Export:
    """Open a disk of a server on the target for reading, as a snapshot holds it: the server may run."""
    return _open_for_reading(job, exports, job.record.target_id, snapshot, volume.id)


def _open_for_reading(job: MoveContext, exports: ExitStack, provider_id: str, snapshot: Snapshot, key: str) -> Export:
    cloud = exports.enter_context(job.clouds.source(provider_id))
    return exports.enter_context(cloud.open_disk(snapshot, key))


def open_volume(job: MoveContext, exports: ExitStack, volume: Volume) -> Export:
    """Open a volume of the target for writing, on behalf of the migration that has made it and of nobody else."""
    cloud = exports.enter_context(job.clouds.target(job.record.target_id))
    earlier = job.record.of if job.record.type is MigrationType.CONVERSION else ""
    maker = earlier or job.id
    return exports.enter_context(cloud.open_volume(volume.id, Owner(maker, f"open-{volume.id}")))
