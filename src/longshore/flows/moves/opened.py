"""What a step has open while it works asynchronously."""

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
    """What is entered here, in threads, is left in one, too: leaving a volume asks its cloud, which may take its time,
    and all migrations of this process share one event loop."""
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
    """A disk of the source, for reading. `provider_id`: whose it is; None: the source's."""
    return _open_for_reading(job, exports, provider_id or job.record.source_id, snapshot, disk.key)


def open_landed_disk(job: MoveContext, exports: ExitStack, snapshot: Snapshot, volume: Volume) -> Export:
    """A disk of a server on the target as a snapshot holds it, for reading: the server may run."""
    return _open_for_reading(job, exports, job.record.target_id, snapshot, volume.id)


def _open_for_reading(job: MoveContext, exports: ExitStack, provider_id: str, snapshot: Snapshot, key: str) -> Export:
    cloud = exports.enter_context(job.clouds.source(provider_id))
    return exports.enter_context(cloud.open_disk(snapshot, key))


def open_volume(job: MoveContext, exports: ExitStack, volume: Volume) -> Export:
    """A volume of the target, for writing: by the migration that has made it, and for nobody else."""
    cloud = exports.enter_context(job.clouds.target(job.record.target_id))
    earlier = job.request.of if job.request.type is MigrationType.CONVERSION else None
    maker = earlier or job.id
    return exports.enter_context(cloud.open_volume(volume.id, Owner(maker, f"open-{volume.id}")))
