"""Taking back a landing that failed: what it has made is removed, and its volumes go back to what was
copied to them."""

from collections.abc import Mapping, Sequence

from longshore.flows.moves.context import MoveContext
from longshore.flows.undo import undo
from longshore.model.target import Volume
from longshore.store import EntryState, LedgerRecord, ThingKind

_MADE = (
    ThingKind.SERVER,
    ThingKind.PORT,
    ThingKind.FLOATING_ADDRESS,
    ThingKind.LED_ADDRESS,
    ThingKind.AGENT_PROBE,
)
_SAFEGUARD = "safeguard-"  # steps of the snapshots that are taken before a guest is changed or booted


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
    return {one.id: there[_SAFEGUARD + one.id] for one in volumes if _SAFEGUARD + one.id in there}


def drop_safeguards(job: MoveContext) -> list[str]:
    """Remove the snapshots that `safeguards` finds. Return a sentence for each that can't be removed."""
    return undo(job.store, job.clouds, job.id, is_safeguard)


def is_safeguard(entry: LedgerRecord) -> bool:
    return entry.kind is ThingKind.VOLUME_SNAPSHOT and entry.step.startswith(_SAFEGUARD)


def is_of_landing(entry: LedgerRecord) -> bool:
    """Tell whether the thing stands in the way of a further copy to the volumes."""
    return is_safeguard(entry) or (entry.kind in _MADE and entry.kind is not ThingKind.PORT)
