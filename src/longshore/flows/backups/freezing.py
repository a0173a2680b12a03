"""The user's playbooks around the snapshot of a backup: one that freezes the application, and one that thaws it.

What may be frozen is in the ledger before it is, with what the second playbook has to know in a file beside it. So
whoever takes the backup back thaws it, and a cleanup can.

Both and the snapshot between them are one step: a job that is parked for want of a snapshot, or killed, leaves nothing
frozen for longer than that, and begins anew with the first playbook. A snapshot that an earlier run of the step has
taken may be of a moment when nothing was frozen any more: it goes first.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from longshore.errors import Conflict, LongshoreError
from longshore.flows.backups.thawing import keep_thaw, thaw
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.hooks import hook_facts, run_playbook
from longshore.flows.moves.source_side import Still
from longshore.flows.undo import undo
from longshore.model.machine import Machine
from longshore.model.target import Owner
from longshore.store import EntryState, LedgerRecord, ThingKind

_STEP = "freeze"


async def take_frozen(job: MoveContext, machine: Machine, snapshot_step: str, take: Callable[[], Still]) -> Still:
    """Take a snapshot by `take`, between the playbooks. Raise what `take` does, HookError, Cancelled.

    Whatever happens, the second one runs. `snapshot_step`: by which the ledger knows the snapshot.
    """
    before, after = job.copy_request.before, job.copy_request.after
    await asyncio.to_thread(_tidy, job, snapshot_step)
    entry = None
    if after is not None:
        await asyncio.to_thread(job.raise_if_cancelled)
        entry = await asyncio.to_thread(_intend, job, machine, after)
    try:
        if before is not None:
            await run_playbook(job, before, await asyncio.to_thread(hook_facts, job, machine, "before"))
        asked_at = datetime.now(UTC)
        said = f"Taking the snapshot{' of what is frozen' if before is not None else ''}."
        await asyncio.to_thread(job.phase, "snapshot", said)
        still = await asyncio.to_thread(take)
    except Exception as error:
        if entry is not None:
            await _thaw_after(job, entry, error)
        raise
    if entry is not None:
        await asyncio.to_thread(_thaw_now, job, entry)
    return replace(still, asked_at=asked_at, frozen=before is not None)


def _tidy(job: MoveContext, snapshot_step: str) -> None:
    """Take away what an earlier run of the step has left. Raise Conflict when its snapshot can't be removed."""
    for sentence in undo(job.store, job.clouds, job.id, lambda entry: entry.kind is ThingKind.FROZEN):
        job.say(f"{sentence} It is frozen once more for this backup.", "warning")
    left = undo(
        job.store,
        job.clouds,
        job.id,
        lambda entry: entry.kind is ThingKind.SOURCE_SNAPSHOT and entry.step == snapshot_step,
    )
    if left:
        raise Conflict(f"What an earlier try has left has to go first. {' '.join(left)}")


def _intend(job: MoveContext, machine: Machine, after: str) -> LedgerRecord:
    keep_thaw(job, after, hook_facts(job, machine, "after"))
    entry = job.store.ledger.intend(Owner(job.id, _STEP), job.record.source_id, ThingKind.FROZEN, machine.ref)
    job.store.ledger.settle(entry.id, EntryState.MADE, ref=machine.name)
    return entry


def _thaw_now(job: MoveContext, entry: LedgerRecord) -> None:
    """Run the second playbook. Raise HookError when it fails; the entry stays, so whoever takes the backup back tries
    again."""
    thaw(job.store, job.clouds, entry)
    job.store.ledger.settle(entry.id, EntryState.REMOVED)


async def _thaw_after(job: MoveContext, entry: LedgerRecord, error: Exception) -> None:
    """Thaw after `error`, which is what the user is told. If thawing fails, too, that becomes an event."""
    try:
        await asyncio.to_thread(_thaw_now, job, entry)
    except LongshoreError as further:
        said = f"{job.record.machine_name} may still be frozen: {further} That was after: {error}"
        await asyncio.to_thread(job.say, said, "error")
