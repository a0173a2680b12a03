"""Failbacks: what a failover's server has become is taken back to the machine. One replica has one at a time."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from longshore.errors import Conflict
from longshore.model.replica import Stage, Wish
from longshore.model.request import MigrationType
from longshore.store.ledger import SETTLED, EntryState, ThingKind
from longshore.store.tables import LedgerRow, MigrationRow, ReplicaRow

_AT_HOME = (ThingKind.HOME_SNAPSHOT.value, ThingKind.HOME_PORT.value, ThingKind.MACHINE.value)
_FROM = (Stage.FAILED_OVER.value, Stage.COMMITTED.value)


def begin_failback(session: Session, migration: MigrationRow) -> None:
    """Begin the failback of a replica with this migration, in the transaction that adds it.

    Raises Conflict when the replica isn't failed over, or something else is wanted of it.
    """
    replica = session.get(ReplicaRow, migration.of)
    if replica is None:
        raise Conflict("A failback is asked of a replica.", advice="Use: longshore replica failback REPLICA.")
    if replica.stage not in _FROM or replica.failover_id is None:
        raise Conflict(f"The replica is {replica.stage}: there is no server to fail back from.")
    if replica.wish in (Wish.UNDO.value, Wish.COMMIT.value):
        raise Conflict(f"A {replica.wish} of this replica is under way.", advice="Wait for its end.")
    _refuse_what_is_left(session, replica.id)
    replica.stage, replica.failback_id = Stage.FAILING_BACK.value, migration.id


def _refuse_what_is_left(session: Session, replica_id: str) -> None:
    """Raise Conflict while an earlier failback of the replica has left anything where the machine came from.

    Cleaning that up later would take the machine back to where it was before.
    """
    query = select(LedgerRow.migration_id).join(MigrationRow, MigrationRow.id == LedgerRow.migration_id)
    left = session.scalar(
        query.where(
            MigrationRow.of == replica_id,
            LedgerRow.kind.in_(_AT_HOME),
            LedgerRow.state.not_in(SETTLED),
        ).limit(1)
    )
    if left is not None:
        raise Conflict(
            "An earlier failback has left what it made where the machine came from.",
            advice=f"Clean that up first: longshore migration cleanup {left}.",
        )


def stage_before(session: Session, replica: ReplicaRow) -> Stage:
    """Return the stage of a replica whose failback is taken back: the one that its failover was left in."""
    committed = select(LedgerRow.id).where(
        LedgerRow.migration_id == replica.failover_id,
        LedgerRow.kind == ThingKind.SERVER.value,
        LedgerRow.state == EntryState.HANDED_OVER.value,
    )
    return Stage.COMMITTED if session.scalar(committed.limit(1)) is not None else Stage.FAILED_OVER


def refuse_to_forget_way(session: Session, migration: MigrationRow) -> None:
    """Raise Conflict for a failback that can still be undone: its record says how."""
    if migration.type != MigrationType.FAILBACK.value:
        return
    replica = session.get(ReplicaRow, migration.of)
    if replica is not None and replica.failback_id == migration.id:
        raise Conflict(
            f"The replica of {migration.machine_name} is {replica.stage} by this migration.",
            advice=f"Use: longshore replica commit {replica.id}, or undo.",
        )
