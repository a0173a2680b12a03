"""The changes of a disk since the last copy, as its source tells them: asked for once, and kept.

A copy that was broken off goes on only with the same list, since its checkpoint belongs to it, and a source that is
asked again may answer otherwise, or not at all. A list may be long, so it is a file in the migration's directory; the
step that asked answers its name.
"""

import asyncio
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from longshore.errors import FAULT, LongshoreError, ProviderError
from longshore.flows.moves.context import MoveContext
from longshore.model.changes import Changed, Changes, Unknown
from longshore.model.extents import Extent
from longshore.model.machine import Disk, Snapshot
from longshore.processes.durable import replace_file

UNTRACKED = "The source doesn't track this disk's changes."  # was said when the tracking could not be switched on


@dataclass(frozen=True, slots=True)
class Told:
    file: str | None  # in the migration's directory; None: the source can't tell, so all of the disk is compared
    reason: str = ""  # why it can't
    tried: bool = False  # as in `Changed`


async def ask_source(
    job: MoveContext, disk: Disk, snapshot: Snapshot, since: str | None, name: str, *, provider_id: str | None = None
) -> Told:
    """Ask what has changed on one disk since a change id, and keep the answer. `name` is that of the copy.

    `provider_id`: of the provider that is asked; None: the source. Where it still answers with a fault after a few
    tries, the changes are unknown, so that all of the disk is compared. Other errors are raised.
    """
    asked = provider_id or job.record.source_id
    ask = partial(asyncio.to_thread, _ask, job, disk, snapshot, since, asked)
    try:
        changes = await job.retry(ask, f"{disk.label}: ")
    except LongshoreError as error:
        if error.code not in (FAULT, ProviderError.code):
            raise
        changes = Unknown(error.message)  # the answer only saves time: without it, all is compared
    return await asyncio.to_thread(_keep, job, disk, changes, f"{name}-{disk.key}.changes")


def read_changes(job: MoveContext, disk: Disk, told: Told) -> Changes:
    """Return the changes that were told when the source was asked. They are unknown if the file can't be
    read any more."""
    if told.file is None:
        return Unknown(told.reason)
    extents = read_extents(job.store.state.migration(job.id) / told.file)
    if extents is not None:
        return Changed(extents, told.tried)
    unknown = Unknown("The list of what has changed can't be read any more.")
    _say(job, disk, unknown)
    return unknown


def read_extents(path: Path) -> tuple[Extent, ...] | None:
    """Return the extents of a list that was kept; None when it can't be read."""
    try:
        return tuple(Extent(offset, length) for offset, length in json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _ask(job: MoveContext, disk: Disk, snapshot: Snapshot, since: str | None, provider_id: str) -> Changes:
    job.raise_if_cancelled()
    if since is None:
        return Unknown(UNTRACKED)
    with job.clouds.source(provider_id) as source:
        return source.changed(snapshot, disk.key, since)


def _keep(job: MoveContext, disk: Disk, changes: Changes, file: str) -> Told:
    if isinstance(changes, Unknown):
        if changes.reason != UNTRACKED:
            _say(job, disk, changes)
        return Told(None, changes.reason)
    directory = job.directory()
    replace_file(directory / file, [json.dumps(changes.extents).encode()])
    return Told(file, tried=changes.tried)


def _say(job: MoveContext, disk: Disk, unknown: Unknown) -> None:
    """Warn that all of the disk is compared: an unknown answer must never be read as "nothing has changed"."""
    job.say(f"{disk.label}: all of it is read and compared. {unknown.reason}", "warning")
