"""What a source says has changed on a disk since the last copy: asked once, and kept.

A copy that was broken off goes on only with the same list, since its checkpoint belongs to it, and a source that is
asked again may answer otherwise, or not at all. A list may be long, so it is a file in the migration's directory; the
step that asked answers its name.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from longshore.blocks.durable import replace_file
from longshore.engine.retry import retry
from longshore.errors import FAULT, LongshoreError, ProviderError
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.copying import DiskBase
from longshore.model.changes import Changed, Changes, Unknown
from longshore.model.extents import Extent
from longshore.model.machine import Disk, Snapshot

UNTRACKED = "The source doesn't track this disk's changes."  # was said when the tracking could not be switched on


@dataclass(frozen=True, slots=True)
class Told:
    file: str | None  # in the migration's directory; None: the source can't tell, so all of the disk is compared
    reason: str = ""  # why it can't


def asker(job: MoveContext, disk: Disk, snapshot: Snapshot, base: DiskBase, name: str) -> Callable[[], Awaitable[Told]]:
    """The work of the step that asks for one disk; `name` is that of the copy."""

    def again(error: LongshoreError) -> None:
        job.raise_if_cancelled()
        job.say(f"{disk.label}: {error} It is tried again.", "warning")

    async def ask() -> Told:
        try:
            changes = await retry(lambda: asyncio.to_thread(_ask, job, disk, snapshot, base), before_again=again)
        except LongshoreError as error:
            if error.code not in (FAULT, ProviderError.code):
                raise
            changes = Unknown(error.message)  # the answer only saves time: without it, all is compared
        return await asyncio.to_thread(_keep, job, disk, changes, f"{name}-{disk.key}.changes")

    return ask


def read_changes(job: MoveContext, disk: Disk, told: Told) -> Changes:
    """What was told, whenever that was."""
    if told.file is None:
        return Unknown(told.reason)
    try:
        kept = json.loads((job.store.state.migration(job.id) / told.file).read_bytes())
        return Changed(tuple(Extent(offset, length) for offset, length in kept))
    except (OSError, ValueError, TypeError):
        unknown = Unknown("The list of what has changed can't be read any more.")
        _say(job, disk, unknown)
        return unknown


def _ask(job: MoveContext, disk: Disk, snapshot: Snapshot, base: DiskBase) -> Changes:
    job.raise_if_cancelled()
    if base.change_id is None:
        return Unknown(UNTRACKED)
    with job.clouds.source(job.record.source_id) as source:
        return source.changed(snapshot, disk.key, base.change_id)


def _keep(job: MoveContext, disk: Disk, changes: Changes, file: str) -> Told:
    if isinstance(changes, Unknown):
        if changes.reason != UNTRACKED:
            _say(job, disk, changes)
        return Told(None, changes.reason)
    directory = job.store.state.migration(job.id)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    replace_file(directory / file, [json.dumps(changes.extents).encode()])
    return Told(file)


def _say(job: MoveContext, disk: Disk, unknown: Unknown) -> None:
    """Never to be read as "nothing has changed"."""
    job.say(f"{disk.label}: all of it is read and compared. {unknown.reason}", "warning")
