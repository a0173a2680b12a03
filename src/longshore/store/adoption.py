"""Records of replicas that were found at their target: as if their syncs had been made here."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from longshore.model.adoption import FoundReplica
from longshore.model.replica import PointState, Stage
from longshore.model.status import Status
from longshore.store.database import in_portions
from longshore.store.ledger import EntryState, ThingKind
from longshore.store.migration_records import MigrationRecord
from longshore.store.rows import in_json
from longshore.store.tables import LedgerRow, MigrationRow, PointRow, ReplicaRow, utc_now, without_zone

_GONE = (EntryState.REMOVED.value,)


def objection(session: Session, found: FoundReplica) -> str | None:
    """Return a sentence on why a replica can't be adopted, as when something of it is known here; None: it can."""
    if not found.points:
        return "It has no whole point."
    if session.get(MigrationRow, found.id) is not None:
        return "It is a replica here already."
    refs = [*found.volumes.values(), *(snapshot.id for snapshot in found.snapshots)]
    for some in in_portions(refs):
        known = select(LedgerRow.ref).where(LedgerRow.ref.in_(some), LedgerRow.state.not_in(_GONE))
        if (ref := session.scalar(known.limit(1))) is not None:
            return f"{ref} was made by something else here."
    return None


def take_over(session: Session, row: MigrationRow, found: FoundReplica) -> None:
    """Take a found replica's points and outside things over into its rows, which have just been made.

    Nothing is copied to it; all that is its own goes when it is deleted.
    """
    now = utc_now()
    row.status, row.phase, row.started_at = Status.RUNNING.value, "waiting", now
    replica = session.get_one(ReplicaRow, row.id)
    replica.stage, replica.due_at = Stage.ADOPTED.value, None
    for point in found.points:
        moment = without_zone(point.moment)
        session.add(
            PointRow(
                replica_id=row.id,
                number=point.number,
                state=PointState.USABLE.value,
                moment=moment,
                usable_at=moment,
                consistency=point.consistency.value,
                disks=in_json(list(point.disks)),
                machine={"machine": in_json(point.machine)},
            )
        )
    session.add_all(_entries(row, found))


def was_adopted(stage: Stage, record: MigrationRecord) -> bool:
    """Tell whether no sync of a replica was ever made here: it was found at its target, and its source isn't known."""
    return record.source_id == record.target_id and record.state is None and stage is not Stage.SEEDING


def _entries(row: MigrationRow, found: FoundReplica) -> Sequence[LedgerRow]:
    volumes = [(ThingKind.VOLUME, f"volume-{disk}", ref) for disk, ref in found.volumes.items()]
    taken = [
        (ThingKind.VOLUME_SNAPSHOT, f"point-{snapshot.point}-{snapshot.disk}", snapshot.id)
        for snapshot in found.snapshots
    ]
    return [
        LedgerRow(
            migration_id=row.id,
            provider_id=row.target_id,
            kind=kind.value,
            step=step,
            ref=ref,
            state=EntryState.MADE.value,
        )
        for kind, step, ref in [*volumes, *taken]
    ]
