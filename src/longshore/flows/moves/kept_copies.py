"""Keeping what was copied when a landing or a sync fails: the migration waits, and its machine runs as before.

What the landing has made is removed, and its volumes go back to what was copied to them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from longshore.errors import Cancelled, Conflict, LongshoreError, NotFound
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.conversion import go_back
from longshore.flows.moves.migration import stop_what_is_left
from longshore.flows.moves.source_side import run_source_again
from longshore.flows.moves.syncing import SyncState
from longshore.flows.moves.syncs import why_waiting
from longshore.flows.moves.target_side import SAFEGUARD
from longshore.flows.undo import undo
from longshore.model.durations import duration
from longshore.model.job import JobKind
from longshore.model.request import LandingMode, MigrationType, WhenStuck
from longshore.model.target import Volume
from longshore.store import EntryState, LedgerRecord, ThingKind
from longshore.store.tables import without_zone

EXPIRED = "copy-expired"
REMINDED_AFTER = 86400.0  # seconds: a copy that nobody asks for takes room at the target
_MADE = (
    ThingKind.SERVER,
    ThingKind.PORT,
    ThingKind.FLOATING_ADDRESS,
    ThingKind.LED_ADDRESS,
    ThingKind.AGENT_PROBE,
)


def stays(job: MoveContext, error: LongshoreError) -> bool:
    """Tell whether what was copied is kept after this error: its user wants that, or nothing else is left of the
    machine."""
    if error.code == Cancelled.code:
        return False
    return (error.code != EXPIRED and may_stay(job)) or _is_source_gone(job)


def may_stay(job: MoveContext) -> bool:
    """Tell whether its user wants what was copied to be kept if the migration fails."""
    return job.request.when_stuck is WhenStuck.PARK and not job.request.keep


def _is_source_gone(job: MoveContext) -> bool:
    try:
        with job.clouds.source(job.record.source_id) as source:
            source.by_reference(job.record.machine_ref)
    except NotFound:
        return True
    except LongshoreError:  # it can't be asked: then what its user wants is done
        return False
    return False


def raise_if_expired(job: MoveContext, state: SyncState, now: datetime) -> None:
    """Raise Conflict when the copy has waited for another try for as long as its user wanted to keep it."""
    until = kept_until(job, state)
    if until is not None and now >= until:
        raise Conflict(
            f"Nobody has asked for another try since {state.held_since:%Y-%m-%d %H:%M} UTC, and the copy was to be "
            f"kept for {duration(job.request.keep_copy or 0)}. It had failed: {state.held}",
            code=EXPIRED,
        )


def kept_until(job: MoveContext, state: SyncState) -> datetime | None:
    """Return when the copy goes if nobody asks for another try. None: it stays until somebody cancels."""
    if state.held_since is None or job.request.keep_copy is None:
        return None
    return state.held_since + timedelta(seconds=job.request.keep_copy)


def next_look(job: MoveContext, state: SyncState, due: datetime, now: datetime) -> datetime:
    """Return when something is done again by itself: at `due`, or when the copy goes, if that comes before."""
    until = kept_until(job, state)
    return min(due, until) if until is not None and until > now else due


def keep_copy(
    job: MoveContext, error: LongshoreError, state: SyncState, *, landing: bool, other: LandingMode | None = None
) -> None:
    """Take back what stands in the way of another try, and wait.

    `landing`: the machine was about to be cut over. `other`: how it is to land now, without waiting for a word.
    """
    job.ignore_cancel()
    job.say(f"The {'cutover' if landing else 'sync'} failed: {error}", "error", phase="rolling-back")
    left = []
    if landing:
        said, state = _take_landing_back(job, state)
        left += said
    left += undo(job.store, job.clouds, job.id, lambda entry: is_of_no_sync(entry, state))
    stop_what_is_left(job)
    left += run_source_again(job)
    job.say_each(left, "error")
    now = datetime.now(UTC)
    if landing or other:
        state = replace(state, held=str(error), held_since=now)
    why = f"It is tried once more, with --landing {other}." if other else why_kept(job, state)
    job.say(f"What was copied stays. {why}", phase="waiting")
    asked = job.store.migrations.get(job.id).request
    due = next_look(job, state, now + timedelta(seconds=waits_for(job)), now)
    job.end(
        next_kind=JobKind.SYNC,
        due_at=None if other else without_zone(due),
        request={**asked, "landing": other.value, "landing_else": None} if other else asked,
        state=replace(state, why=why).kept(),
        phase="waiting",
        error=" ".join([str(error), *left]),
        error_code=error.code,
        cutover_requested=other is not None,  # else it would be tried again at once, and again
    )


def waits_for(job: MoveContext) -> float:
    """Return how many seconds pass until something is done again by itself."""
    return job.request.cutover.interval if is_synchronised(job) else REMINDED_AFTER


def is_synchronised(job: MoveContext) -> bool:
    """Tell whether syncs go on while it waits. The machine of a cold one is left alone until somebody asks."""
    return job.request.type is not MigrationType.COLD


def why_kept(job: MoveContext, state: SyncState) -> str:
    """Return a sentence for the user: why a migration waits, and what ends that."""
    if is_synchronised(job):
        return why_waiting(job.request.cutover, state.history, datetime.now(UTC), state.held)
    return (
        f"It failed: {state.held} Waiting: longshore migration retry copies what has changed since and tries again, "
        "longshore migration cancel removes the copy."
    )


def is_of_no_sync(entry: LedgerRecord, state: SyncState) -> bool:
    """Tell whether it is a snapshot of the source that no further sync needs."""
    base = f"snapshot-{state.number - 1}" if state.base is not None else None
    return entry.kind is ThingKind.SOURCE_SNAPSHOT and entry.step != base


def _take_landing_back(job: MoveContext, state: SyncState) -> tuple[list[str], SyncState]:
    """Remove what the landing has made. Return a sentence for each thing that can't be removed, and what the next sync
    goes by."""
    said = take_server_back(job)
    held = safeguards(job, state.volumes)
    changed = [volume for volume in state.volumes if volume.id in held]
    state = replace(state, ports=[])
    try:
        go_back(job, changed, [held[volume.id] for volume in changed])
    except LongshoreError as error:
        job.say(
            f"The volumes couldn't go back to what was copied to them; the next sync copies all of it: {error}",
            "warning",
        )
        state = replace(state, bases=None)
    return [*said, *drop_safeguards(job)], state


def take_server_back(job: MoveContext) -> list[str]:
    """Remove the server and what belongs to it. Return a sentence for each thing that can't be removed."""
    job.store.migrations.update(job.id, target_up_at=None, server_id=None, conversion_attempts=0)
    # A safeguard that nobody has heard of may be there, and would be the latest: only to that may a volume go back
    unheard = undo(job.store, job.clouds, job.id, lambda entry: is_safeguard(entry) and entry.ref is None)
    return [*unheard, *undo(job.store, job.clouds, job.id, lambda entry: entry.kind in _MADE)]


def safeguards(job: MoveContext, volumes: Sequence[Volume]) -> Mapping[str, str]:
    """Return the snapshots of what the volumes held, by the volumes' ids. Those without any are left out."""
    there = {
        entry.step: entry.ref
        for entry in job.store.ledger.entries(job.id)
        if is_safeguard(entry) and entry.state in (EntryState.MADE, EntryState.LEFT) and entry.ref is not None
    }
    return {one.id: there[SAFEGUARD + one.id] for one in volumes if SAFEGUARD + one.id in there}


def drop_safeguards(job: MoveContext) -> list[str]:
    """Remove the snapshots that `safeguards` finds. Return a sentence for each that can't be removed."""
    return undo(job.store, job.clouds, job.id, is_safeguard)


def is_safeguard(entry: LedgerRecord) -> bool:
    return entry.kind is ThingKind.VOLUME_SNAPSHOT and entry.step.startswith(SAFEGUARD)


def is_of_landing(entry: LedgerRecord) -> bool:
    """Tell whether the thing stands in the way of a further copy to the volumes."""
    return is_safeguard(entry) or (entry.kind in _MADE and entry.kind is not ThingKind.PORT)
