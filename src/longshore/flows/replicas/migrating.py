"""A replica that is cut over as a migration is, and what brings it back where that fails.

Its own volumes are what the server gets, so they are changed: converted, and written to by the guest. The newest point
has what they held before, and so does what the next sync goes by.
"""

from dataclasses import replace

from longshore.errors import LongshoreError
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.conversion import go_back
from longshore.flows.moves.syncing import State
from longshore.flows.undo import undo
from longshore.model.forms import form
from longshore.store import Entry, EntryState, ThingKind

_MADE = (ThingKind.SERVER, ThingKind.PORT, ThingKind.FLOATING_ADDRESS, ThingKind.AGENT_PROBE)
_SAFEGUARD = "safeguard-"  # steps of the snapshots that are taken before a guest is changed


def begin_afresh(job: MoveContext, state: State) -> bool:
    """Whether it was seen up already. Else what an earlier release has begun of it is taken back first.

    Raises Conflict where that can't be.
    """
    if job.store.migrations.get(job.id).target_up_at is not None:
        return True
    begun = [entry for entry in job.store.ledger.entries(job.id) if entry.state is not EntryState.REMOVED]
    landed = any(entry.kind is ThingKind.SERVER or _is_safeguard(entry) for entry in begun)
    if landed and (left := take_back(job)):
        raise LongshoreError(" ".join(left), code="take-back-failed")
    return False


def take_back(job: MoveContext) -> list[str]:
    """The server and what belongs to it go, and the volumes hold the newest point again.

    A sentence for each thing that can't be removed. Where a volume can't go back, the next sync copies all of it.
    """
    store = job.store
    store.migrations.update(job.id, target_up_at=None, conversion_attempts=0)
    # A safeguard that nobody has heard of may be there, and would be later than the point's snapshot
    unheard = undo(store, job.clouds, job.id, lambda entry: _is_safeguard(entry) and entry.ref is None)
    said = [*unheard, *undo(store, job.clouds, job.id, lambda entry: entry.kind in _MADE)]
    point = max(store.points.usable(job.id), key=lambda point: point.number, default=None)
    state = form(State).validate_python(store.migrations.get(job.id).state)
    # Later than the point's, where they were taken: only to the latest may a volume go back
    later = {
        entry.step: entry.ref for entry in store.ledger.entries(job.id) if _is_safeguard(entry) and _is_there(entry)
    }
    held = {disk.volume_id: disk.snapshot_id for disk in point.disks} if point is not None else {}
    try:
        go_back(job, state.volumes, [later.get(_SAFEGUARD + one.id) or held[one.id] for one in state.volumes])
    except (LongshoreError, KeyError) as error:
        job.say(f"The volumes couldn't go back to the newest point; the next sync copies all of it: {error}", "warning")
        store.migrations.update(job.id, state=replace(state, bases=None).kept())
    return [*said, *undo(store, job.clouds, job.id, _is_safeguard)]


def _is_safeguard(entry: Entry) -> bool:
    return entry.kind is ThingKind.VOLUME_SNAPSHOT and entry.step.startswith(_SAFEGUARD)


def _is_there(entry: Entry) -> bool:
    return entry.state in (EntryState.MADE, EntryState.LEFT) and entry.ref is not None
