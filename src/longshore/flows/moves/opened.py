"""The disks and volumes that a step has open while it works asynchronously."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from longshore.blocks.exports import Export
from longshore.flows.moves.context import MoveContext
from longshore.model.machine import Snapshot
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
    job: MoveContext, exports: ExitStack, snapshot: Snapshot, key: str, *, provider_id: str | None = None
) -> Export:
    """Open a disk for reading, as a snapshot holds it. `provider_id`: of the provider that has it; None: the source."""
    cloud = exports.enter_context(job.clouds.source(provider_id or job.record.source_id))
    return exports.enter_context(cloud.open_disk(snapshot, key))


def open_volume(job: MoveContext, exports: ExitStack, volume: Volume) -> Export:
    """Open a volume of the target for writing, on behalf of the migration that has made it and of nobody else."""
    cloud = exports.enter_context(job.clouds.target(job.record.target_id))
    earlier = job.record.of if job.record.type is MigrationType.CONVERSION else ""
    maker = earlier or job.id
    return exports.enter_context(cloud.open_volume(volume.id, Owner(maker, f"open-{volume.id}")))


def open_volumes(job: MoveContext, volumes: list[Volume], exports: ExitStack) -> list[Export]:
    return [open_volume(job, exports, volume) for volume in volumes]
