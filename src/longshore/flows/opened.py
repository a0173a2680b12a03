"""What a step has open while it works asynchronously."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

from longshore.blocks.exports import Export
from longshore.flows.journey import Journey
from longshore.model.machine import Disk, Snapshot
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


def open_disk(journey: Journey, exports: ExitStack, snapshot: Snapshot, disk: Disk) -> Export:
    """A disk of the source, for reading."""
    cloud = exports.enter_context(journey.clouds.source(journey.record.source_id))
    return exports.enter_context(cloud.open_disk(snapshot, disk.key))


def open_volume(journey: Journey, exports: ExitStack, volume: Volume) -> Export:
    """A volume of the target, for writing: by the migration that has made it, and for nobody else."""
    cloud = exports.enter_context(journey.clouds.target(journey.record.target_id))
    maker = journey.request.of or journey.id
    return exports.enter_context(cloud.open_volume(volume.id, Owner(maker, f"open-{volume.id}")))
