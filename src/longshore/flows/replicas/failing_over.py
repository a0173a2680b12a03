"""The end of a failover: back to the machine, or for good to its server."""

from longshore.flows.clouds import Clouds
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.source_side import run_source_again
from longshore.flows.replicas.way_back import is_of_way_back
from longshore.flows.undo import LASTING, undo
from longshore.model.replica import Stage
from longshore.store import EntryState, Store, ThingKind
from longshore.store.adoption import was_adopted


def undo_failover(job: MoveContext) -> None:
    """Remove the server with all that belongs to it, and power the machine on, if it was shut down for it.

    A sentence tells of what can't be removed. While that is the server, the machine stays off, and the replica failed
    over.
    """
    store = job.store
    failover = store.replicas.get(job.id).failover_id
    job.phase("undoing", "Undoing the failover.")
    left = undo(store, job.clouds, failover) if failover else []
    entries = store.ledger.entries(failover) if failover else []
    if any(entry.kind is ThingKind.SERVER and not entry.state.settled for entry in entries):
        said = " ".join(left)
        store.replicas.update(job.id, stage=Stage.FAILED_OVER.value, error=said, error_code="undo-failed")
        job.say(f"The failover isn't undone: {said}", "error")
        return
    job.say_each([*left, *run_source_again(job)], "error")
    adopted = was_adopted(store.replicas.get(job.id).stage, store.migrations.get(job.id))
    stage = Stage.ADOPTED if adopted else Stage.PROTECTED
    store.replicas.update(job.id, stage=stage.value, failover_id=None, error=None, error_code=None)
    job.say("The failover is undone." if adopted else "The failover is undone, and syncs go on.")


def commit_failover(job: MoveContext) -> None:
    """Hand the server, and what it is made of, over to the user: nothing of ours hangs on its volumes."""
    store = job.store
    failover = store.replicas.get(job.id).failover_id
    if failover is not None:
        for kind in LASTING:
            store.ledger.settle_kind(failover, kind, EntryState.HANDED_OVER)
        job.say_each(undo(store, job.clouds, failover, is_of_way_back), "warning")
    store.replicas.update(job.id, stage=Stage.COMMITTED.value)
    job.say(
        "The failover is committed: the server is yours. Its volumes stand on the point's snapshots, which stay as "
        "long as they do."
    )


def note_gone(store: Store, clouds: Clouds, failover_id: str) -> None:
    """Note in the ledger which volumes of a committed failover its owner has deleted: no point is needed for those."""
    for entry in store.ledger.entries(failover_id):
        if entry.kind is ThingKind.VOLUME and entry.state is EntryState.HANDED_OVER and entry.ref is not None:
            with clouds.target(entry.provider_id) as target:
                there = target.has_volume(entry.ref)
            if not there:
                store.ledger.settle(entry.id, EntryState.REMOVED)
