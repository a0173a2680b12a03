"""The queue: the migrations that have not ended, and which worker has which of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from longshore.model.status import UNFINISHED, Status
from longshore.store.database import Database, in_portions, through_outages
from longshore.store.tables import MigrationRow, PlanRow, TurnRow, WorkerRow
from longshore.store.workers import OLDEST_FIRST, Observer, WorkerRecord, alive, worker_of

WAITING = "waiting"  # the phase of a warm migration that has nothing to do until its cutover

_BEGUN = or_(
    MigrationRow.status.in_([status for status in UNFINISHED if status != Status.QUEUED]),
    and_(MigrationRow.status == Status.QUEUED.value, MigrationRow.worker_id.is_not(None)),
)
_NOT_BEGUN = and_(MigrationRow.status == Status.QUEUED.value, MigrationRow.worker_id.is_(None))


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
    project_id: str = ""

    @property
    def begun(self) -> bool:
        """One that was taken a moment ago says "queued" until its first step."""
        return self.worker_id is not None or self.status is not Status.QUEUED

    @property
    def at_work(self) -> bool:
        """It has a place at a worker. One that was cancelled before it was begun ends at once."""
        ends_at_once = self.cancel_requested and self.status is Status.QUEUED
        return self.begun and self.phase != WAITING and not ends_at_once


class Lineup:
    """The queue as it stands in the transaction that takes from it. Of what waits no more is read than is asked for."""

    def __init__(self, session: Session, workers: Sequence[WorkerRecord]) -> None:
        self._session = session
        self.workers = workers  # those that live
        self.begun = _records(session, _BEGUN)
        rows = session.execute(select(TurnRow.project_id, TurnRow.number))
        self.last_turns: Mapping[str, int] = {row.project_id: row.number for row in rows}

    def cancelled(self, of_each_project: int) -> list[QueueRecord]:
        """Queued ones that are to be cancelled, the oldest."""
        only = and_(_NOT_BEGUN, MigrationRow.cancel_requested)
        return self._first(of_each_project, only, (MigrationRow.project_id,))

    def waiting(self, of_a_kind: int) -> list[QueueRecord]:
        """The other queued ones: of those that nothing but their age tells apart only the oldest."""
        places = [MigrationRow.places[name].as_string() for name in ("host", "datastores")]
        kind = (MigrationRow.project_id, MigrationRow.plan_id, MigrationRow.wave, MigrationRow.source_id)
        kind = (*kind, MigrationRow.target_id, *places)
        return self._first(of_a_kind, and_(_NOT_BEGUN, ~MigrationRow.cancel_requested), kind)

    def _first(self, count: int, only: ColumnElement[bool], of_each: Sequence[Any]) -> list[QueueRecord]:
        age = MigrationRow.created_at, MigrationRow.id
        nth = func.row_number().over(partition_by=of_each, order_by=age).label("nth")
        ranked = select(MigrationRow.id, nth).where(only).subquery()
        return _records(self._session, MigrationRow.id.in_(select(ranked.c.id).where(ranked.c.nth <= count)))


@through_outages
class Queue:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._observer = Observer()

    def records(self) -> list[QueueRecord]:
        """Oldest first; of each only what others depend on, since it is asked often."""
        with self._database.session() as session:
            return _records(session, MigrationRow.status.in_(UNFINISHED))

    def take(self, worker: WorkerRecord, choose: Callable[[Lineup], list[str]]) -> list[str]:
        """Those that `choose` picks from the queue are this worker's from now on, and their projects have had a turn.
        Answers all that it has.

        Those of earlier calls, too: the answer of one may have been lost after the database had heard it.
        No two processes do this at once, on whatever machine they are, so whatever limits `choose` keeps hold for all.
        It must not ask the database but by what it is given. Workers of which this process has seen no sign of life for
        as long as their lease lasts lose what they had here and now: a lease that is renewed later finds its row gone.
        """
        with self._database.alone() as session:
            living = self._living(session)
            if worker.id not in {other.id for other in living}:
                return []
            lineup = Lineup(session, living)
            chosen = choose(lineup)
            _count_turns(session, lineup.last_turns, chosen)
            for ids in in_portions(chosen):
                own = update(MigrationRow).where(MigrationRow.id.in_(ids))
                session.execute(own.values(worker_id=worker.id, flow_version=worker.flow_version))
            has = select(MigrationRow.id).where(
                MigrationRow.worker_id == worker.id, MigrationRow.status.in_(UNFINISHED)
            )
            return list(session.scalars(has.order_by(MigrationRow.created_at, MigrationRow.id)))

    def _living(self, session: Session) -> list[WorkerRecord]:
        """Without those that are dead, which are removed. Who is late by the database's clock is left no share."""
        leased = select(WorkerRow.id, WorkerRow.lease_until, WorkerRow.lease_seconds).where(
            WorkerRow.lease_until.is_not(None)
        )
        dead = self._observer.dead([(worker, until or 0.0, lasts) for worker, until, lasts in session.execute(leased)])
        session.execute(delete(WorkerRow).where(WorkerRow.id.in_(dead)))
        in_time = {worker.id for worker in alive(session.connection())}
        everybody = [worker_of(row) for row in session.execute(select(WorkerRow.__table__).order_by(*OLDEST_FIRST))]
        return [worker if worker.id in in_time else replace(worker, capacity=0) for worker in everybody]

    def limits(self) -> dict[str, dict[str, Any]]:
        """As they stand in the plans that have anything in it, by the plan's id. Of a plan no more is read."""
        with self._database.session() as session:
            at_work = select(MigrationRow.plan_id).where(MigrationRow.status.in_(UNFINISHED))
            rows = session.execute(select(PlanRow.id, PlanRow.content["limits"]).where(PlanRow.id.in_(at_work)))
            return {plan_id: limits or {} for plan_id, limits in rows}

    def unfinished(self, flow_version: str) -> list[str]:
        """Ids of those that an engine of this version can do something for, oldest first.

        What was begun in another one it can take back, and no more.
        """
        with self._database.session() as session:
            own = MigrationRow.flow_version.is_(None) | (MigrationRow.flow_version == flow_version)
            own |= MigrationRow.cancel_requested
            query = select(MigrationRow.id).where(MigrationRow.status.in_(UNFINISHED), own)
            return list(session.scalars(query.order_by(MigrationRow.created_at)))


def _count_turns(session: Session, last_turns: Mapping[str, int], chosen: Sequence[str]) -> None:
    """Before they are taken: what was begun already, or is only to end, is nobody's turn."""
    projects: dict[str, str] = {}
    for ids in in_portions(chosen):
        new = and_(_NOT_BEGUN, ~MigrationRow.cancel_requested, MigrationRow.id.in_(ids))
        rows = session.execute(select(MigrationRow.id, MigrationRow.project_id).where(new))
        projects |= {row.id: row.project_id for row in rows}
    order = [projects[id_] for id_ in chosen if id_ in projects]
    numbers = dict(zip(order, range(max(last_turns.values(), default=0) + 1, 1 << 62), strict=False))
    for project_id, number in numbers.items():
        session.merge(TurnRow(project_id=project_id, number=number))


def _records(session: Session, only: ColumnElement[bool]) -> list[QueueRecord]:
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
            MigrationRow.project_id,
        )
        .where(only)
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
            project_id=row.project_id,
        )
        for row in rows
    ]
