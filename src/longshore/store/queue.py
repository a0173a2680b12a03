"""The queue: the migrations that have not ended, and which worker has which of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from longshore.store.database import Database, in_portions, through_outages
from longshore.store.migrations import Status
from longshore.store.tables import MigrationRow, PlanRow, WorkerRow
from longshore.store.workers import WorkerRecord, alive, clock

_UNFINISHED = [status.value for status in Status if not status.ended]


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """What decides when a migration that hasn't ended gets its turn."""

    id: str
    status: Status
    phase: str
    cancel_requested: bool
    source_id: str
    machine_ref: str
    target_id: str
    plan_id: str | None
    wave: int
    host: str
    datastores: tuple[str, ...]
    worker_id: str | None = None  # who has it; it may be dead
    flow_version: str | None = None  # of the order of steps it was begun with

    @property
    def begun(self) -> bool:
        """One that was taken a moment ago says "queued" until its first step."""
        return self.worker_id is not None or self.status is not Status.QUEUED


@through_outages
class Queue:
    def __init__(self, database: Database) -> None:
        self._database = database

    def records(self) -> list[QueueRecord]:
        """Oldest first; of each only what others depend on, since it is asked often."""
        with self._database.session() as session:
            return _records(session)

    def take(
        self, worker: WorkerRecord, choose: Callable[[Sequence[QueueRecord], Sequence[WorkerRecord]], list[str]]
    ) -> list[str]:
        """Those that `choose` picks from the queue are this worker's from now on. Answers all that it has.

        Those of earlier calls, too: the answer of one may have been lost after the database had heard it.
        No two processes do this at once, on whatever machine they are, so whatever limits `choose` keeps hold for all.
        It must not ask the database itself, and is told the workers that live. Those whose lease has run out lose what
        they had here and now: a lease that is renewed later finds its row gone.
        """
        with self._database.alone() as session:
            session.execute(delete(WorkerRow).where(WorkerRow.lease_until < clock(self._database.engine)))
            living = alive(session.connection())
            if worker.id not in {other.id for other in living}:
                return []
            chosen = choose(_records(session), living)
            for ids in in_portions(chosen):
                own = update(MigrationRow).where(MigrationRow.id.in_(ids))
                session.execute(own.values(worker_id=worker.id, flow_version=worker.flow_version))
            has = select(MigrationRow.id).where(
                MigrationRow.worker_id == worker.id, MigrationRow.status.in_(_UNFINISHED)
            )
            return list(session.scalars(has.order_by(MigrationRow.created_at, MigrationRow.id)))

    def limits(self) -> dict[str, dict[str, Any]]:
        """As they stand in the plans that have anything in it, by the plan's id. Of a plan no more is read."""
        with self._database.session() as session:
            at_work = select(MigrationRow.plan_id).where(MigrationRow.status.in_(_UNFINISHED))
            rows = session.execute(select(PlanRow.id, PlanRow.content["limits"]).where(PlanRow.id.in_(at_work)))
            return {plan_id: limits or {} for plan_id, limits in rows}

    def unfinished(self, flow_version: str) -> list[str]:
        """Ids of those that an engine of this version can do something for, oldest first.

        What was begun in another one it can take back, and no more.
        """
        with self._database.session() as session:
            own = MigrationRow.flow_version.is_(None) | (MigrationRow.flow_version == flow_version)
            own |= MigrationRow.cancel_requested
            query = select(MigrationRow.id).where(MigrationRow.status.in_(_UNFINISHED), own)
            return list(session.scalars(query.order_by(MigrationRow.created_at)))


def _records(session: Session) -> list[QueueRecord]:
    rows = session.execute(
        select(
            MigrationRow.id,
            MigrationRow.status,
            MigrationRow.phase,
            MigrationRow.cancel_requested,
            MigrationRow.source_id,
            MigrationRow.machine_ref,
            MigrationRow.target_id,
            MigrationRow.plan_id,
            MigrationRow.wave,
            MigrationRow.places,
            MigrationRow.worker_id,
            MigrationRow.flow_version,
        )
        .where(MigrationRow.status.in_(_UNFINISHED))
        .order_by(MigrationRow.created_at, MigrationRow.id)
    )
    return [
        QueueRecord(
            id=row.id,
            status=Status(row.status),
            phase=row.phase,
            cancel_requested=row.cancel_requested,
            source_id=row.source_id,
            machine_ref=row.machine_ref,
            target_id=row.target_id,
            plan_id=row.plan_id,
            wave=row.wave,
            host=(row.places or {}).get("host", ""),
            datastores=tuple((row.places or {}).get("datastores", ())),
            worker_id=row.worker_id,
            flow_version=row.flow_version,
        )
        for row in rows
    ]
