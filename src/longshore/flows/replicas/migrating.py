"""A replica that is cut over as a migration is, and what brings it back where that fails.

Its own volumes are what the server gets, so they are changed: converted, and written to by the guest. The newest point
has what they held before, and so does what the next sync goes by.
"""

from dataclasses import replace

from longshore.errors import LongshoreError
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.conversion import go_back
from longshore.flows.moves.kept_copies import drop_safeguards, is_safeguard, safeguards, take_server_back
from longshore.flows.moves.syncing import SyncState
from longshore.model.forms import form
from longshore.store import EntryState, ThingKind


def begin_afresh(job: MoveContext, state: SyncState) -> bool:
    """Tell whether its server was seen up already. Else what was begun of it under another flow version is taken back.

    Raise LongshoreError where that can't be.
    """
    if job.store.migrations.get(job.id).target_up_at is not None:
        return True
    begun = [entry for entry in job.store.ledger.entries(job.id) if entry.state is not EntryState.REMOVED]
    landed = any(entry.kind is ThingKind.SERVER or is_safeguard(entry) for entry in begun)
    if landed and (left := take_back(job)):
        raise LongshoreError(" ".join(left), code="take-back-failed")
    return False


def take_back(job: MoveContext) -> list[str]:
    """Remove the server and what belongs to it, and have the volumes hold the newest point again.

    Return a sentence for each thing that can't be removed. Where a volume can't go back, the next sync copies all of
    it.
    """
    store = job.store
    said = take_server_back(job)
    point = max(store.points.usable(job.id), key=lambda point: point.number, default=None)
    state = form(SyncState).validate_python(store.migrations.get(job.id).state)
    held = {disk.volume_id: disk.snapshot_id for disk in point.disks} if point is not None else {}
    # A safeguard is later than the point's snapshot, where it was taken: only to the latest may a volume go back
    held |= safeguards(job, state.volumes)
    try:
        go_back(job, state.volumes, [held[one.id] for one in state.volumes])
    except (LongshoreError, KeyError) as error:
        job.say(f"The volumes couldn't go back to the newest point; the next sync copies all of it: {error}", "warning")
        store.migrations.update(job.id, state=replace(state, bases=None).kept())
    return [*said, *drop_safeguards(job)]
