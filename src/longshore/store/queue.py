"""The queue: the jobs that have not ended, and which worker has which of them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, case, cast, delete, func, or_, select, update
from sqlalchemy.orm import Session

from longshore.model.job import AWAITED, BEGIN_ANEW, JobKind
from longshore.model.status import UNFINISHED, Status
from longshore.store.database import Database, in_portions, through_outages
from longshore.store.jobs import NEVER, bound_to
from longshore.store.rows import filled
from longshore.store.tables import JobRow, MigrationRow, PlanRow, TurnRow, WorkerRow, utc_now
from longshore.store.workers import OLDEST_FIRST, Observer, WorkerRecord, alive, worker_of

_UNFINISHED = JobRow.status.in_(UNFINISHED)
_BEGUN = and_(_UNFINISHED, or_(JobRow.worker_id.is_not(None), JobRow.status == Status.RUNNING.value))
_NOT_BEGUN = and_(_UNFINISHED, JobRow.worker_id.is_(None), JobRow.status != Status.RUNNING.value)


@dataclass(frozen=True, slots=True)
class QueueRecord:
    """The facts that decide when a job that hasn't ended gets its turn."""

    id: str
    status: Status
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
    record_id: str = ""  # of the migration that it works for
    kind: JobKind = JobKind.COLD
    due_at: datetime | None = None  # not before

    @property
    def begun(self) -> bool:
        """Tell whether a worker has the job, or had it when it died."""
        return self.worker_id is not None or self.status is Status.RUNNING

    @property
    def at_work(self) -> bool:
        """Tell whether the job has a place at a worker. One that was cancelled before it was begun ends at once."""
        ends_at_once = self.cancel_requested and self.status is Status.QUEUED
        return self.begun and not ends_at_once


@dataclass(frozen=True, slots=True)
class AskedOfCrew:
    """A thing that jobs in the queue ask of the worker that takes them: many ask the same."""

    source_id: str
    target_id: str
    worker_id: str | None  # who has them
    flow_version: str | None
    cancel_requested: bool
    status: Status = Status.QUEUED
    record_id: str = ""


# As `bound_to` has it
_BOUND_TO = case((JobRow.kind.not_in(BEGIN_ANEW), JobRow.flow_version))


def asked_by(asked: AskedOfCrew) -> ColumnElement[bool]:
    """Return the condition of the jobs that ask this."""
    return and_(
        JobRow.source_id == asked.source_id,
        JobRow.target_id == asked.target_id,
        JobRow.worker_id.is_not_distinct_from(asked.worker_id),
        _BOUND_TO.is_not_distinct_from(asked.flow_version),
        JobRow.cancel_requested == asked.cancel_requested,
    )


class Lineup:
    """The queue as it stands in the transaction that takes from it. Of what waits no more is read than is asked for."""

    def __init__(self, session: Session, workers: Sequence[WorkerRecord]) -> None:
        self._session = session
        self.workers = workers  # those that live
        self.begun = _records(session, _BEGUN)
        rows = session.execute(select(TurnRow.project_id, TurnRow.number))
        self.last_turns: Mapping[str, int] = {row.project_id: row.number for row in rows}
        waves = select(JobRow.plan_id, func.min(JobRow.wave)).where(_UNFINISHED, JobRow.plan_id.is_not(None))
        # Jobs that wait for their moment count, too
        rows = session.execute(waves.group_by(JobRow.plan_id))
        self.first_waves: Mapping[str, int] = {plan_id: wave for plan_id, wave in rows if plan_id is not None}

    def cancelled(self, of_each_project: int) -> list[QueueRecord]:
        """Return the oldest queued jobs of each project that are to be cancelled."""
        only = and_(_NOT_BEGUN, JobRow.cancel_requested)
        return self._first(of_each_project, only, (JobRow.project_id,))

    def waiting(self, of_a_kind: int, *, apart: bool = False) -> list[QueueRecord]:
        """Return the other queued jobs whose moment has come: of those that only their age tells apart, the oldest.

        `apart`: those whose answer somebody waits for, and no others.
        """
        kind = (JobRow.project_id, JobRow.plan_id, JobRow.wave, JobRow.source_id, JobRow.target_id, JobRow.host)
        due = or_(JobRow.due_at.is_(None), JobRow.due_at <= utc_now())
        meant = JobRow.kind.in_(AWAITED) if apart else JobRow.kind.not_in(AWAITED)
        only = and_(_NOT_BEGUN, ~JobRow.cancel_requested, due, meant)
        # PostgreSQL can't compare JSON, only what it is written as
        return self._first(of_a_kind, only, (*kind, cast(JobRow.datastores, Text)))

    def _first(self, count: int, only: ColumnElement[bool], of_each: Sequence[Any]) -> list[QueueRecord]:
        age = JobRow.asked_at, JobRow.record_id
        nth = func.row_number().over(partition_by=of_each, order_by=age).label("nth")
        ranked = select(JobRow.id, nth).where(only).subquery()
        return _records(self._session, JobRow.id.in_(select(ranked.c.id).where(ranked.c.nth <= count)))


@through_outages
class Queue:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._observer = Observer()

    def records(self) -> list[QueueRecord]:
        """Return the jobs in the queue, oldest first; of each only what others depend on, since they are read often."""
        with self._database.session() as session:
            return _records(session, _UNFINISHED)

    def look(self, record_ids: Sequence[str]) -> tuple["Lineup", list[QueueRecord]]:
        """Return what is at work and which waves of plans go first, and the jobs of these records that haven't ended.

        Nobody who takes is waited for. The line-up is as it was: nothing more can be asked of it.
        """
        with self._database.session() as session:
            lineup = Lineup(session, ())
            own = [
                record
                for ids in in_portions(record_ids)
                for record in _records(session, _UNFINISHED & JobRow.record_id.in_(ids))
            ]
            return lineup, own

    def asked_of_crew(self) -> list[AskedOfCrew]:
        """Return what the jobs in the queue ask of workers, each once."""
        with self._database.session() as session:
            columns = JobRow.source_id, JobRow.target_id, JobRow.worker_id, _BOUND_TO, JobRow.cancel_requested
            return [AskedOfCrew(*row) for row in session.execute(select(*columns).where(_UNFINISHED).distinct())]

    def take(self, worker: WorkerRecord, choose: Callable[[Lineup], list[str]]) -> list[str]:
        """Give this worker the jobs that `choose` picks from the queue, and return all jobs that it has.

        That includes jobs of earlier calls: the answer of one may have been lost after the database had heard it. The
        projects of the chosen jobs have had a turn. No two processes do this at once, on whatever machine they are, so
        the limits that `choose` keeps hold for all. It must not ask the database except through what it is given.
        Workers of which this process has seen no sign of life for as long as their lease lasts lose their jobs here and
        now: a lease that is renewed later finds its row gone.
        """
        with self._database.alone() as session:
            living = self._living(session)
            if worker.id not in {other.id for other in living}:
                return []
            lineup = Lineup(session, living)
            chosen = choose(lineup)
            _count_turns(session, lineup.last_turns, chosen)
            for ids in in_portions(chosen):
                _take(session, ids, worker)
            has = select(JobRow.id).where(JobRow.worker_id == worker.id, _UNFINISHED)
            return list(session.scalars(has.order_by(JobRow.asked_at, JobRow.record_id)))

    def quiet_for(self, since: datetime) -> float:
        """Return the seconds until something happens that nobody tells: a job's moment comes after `since`, a worker is
        dead.

        Inf when nothing will. Other than `take` it waits for nobody who takes.
        """
        with self._database.session() as session:
            due_at = session.scalar(select(func.min(JobRow.due_at)).where(_NOT_BEGUN, JobRow.due_at > since))
        due = math.inf if due_at is None else max(0.0, (due_at - utc_now()).total_seconds())
        return min(due, self._observer.quiet_for())

    def _living(self, session: Session) -> list[WorkerRecord]:
        """Remove the workers that are dead, and return the others.

        One that is late by the database's clock gets capacity 0.
        """
        leased = select(WorkerRow.id, WorkerRow.lease_until, WorkerRow.lease_seconds).where(
            WorkerRow.lease_until.is_not(None)
        )
        dead = self._observer.dead([(worker, until or 0.0, lasts) for worker, until, lasts in session.execute(leased)])
        session.execute(delete(WorkerRow).where(WorkerRow.id.in_(dead)))
        in_time = {worker.id for worker in alive(session.connection())}
        everybody = [worker_of(row) for row in session.execute(select(WorkerRow.__table__).order_by(*OLDEST_FIRST))]
        return [worker if worker.id in in_time else replace(worker, capacity=0) for worker in everybody]

    def limits(self) -> dict[str, dict[str, Any]]:
        """Return the limits of the plans that have anything in the queue, by the plan's id.

        Nothing else of a plan is read.
        """
        with self._database.session() as session:
            at_work = select(JobRow.plan_id).where(_UNFINISHED)
            rows = session.execute(select(PlanRow.id, PlanRow.content["limits"]).where(PlanRow.id.in_(at_work)))
            return {plan_id: limits or {} for plan_id, limits in rows}

    def unfinished(self, flow_version: str) -> list[str]:
        """Return the ids of jobs that an engine of this version can do something for, now or later; oldest first.

        Jobs that were begun in another version it can take back, and no more.
        """
        with self._database.session() as session:
            own = JobRow.flow_version.is_(None) | (JobRow.flow_version == flow_version) | JobRow.cancel_requested
            own |= JobRow.kind.in_(BEGIN_ANEW)
            awaited = JobRow.due_at.is_(None) | (JobRow.due_at < NEVER)
            query = select(JobRow.id).where(_UNFINISHED, own, awaited)
            return list(session.scalars(query.order_by(JobRow.asked_at, JobRow.record_id)))


def _take(session: Session, ids: Sequence[str], worker: WorkerRecord) -> None:
    """Give a worker these jobs.

    One that was parked goes on; one that was cancelled before it was begun keeps its status, and only ends.
    """
    own = JobRow.id.in_(ids)
    parked = select(JobRow.record_id).where(own, JobRow.status == Status.PARKED.value)
    goes_on = update(MigrationRow).where(MigrationRow.id.in_(parked), MigrationRow.status == Status.PARKED.value)
    session.execute(goes_on.values(status=Status.RUNNING.value))
    ends = and_(JobRow.cancel_requested, JobRow.status == Status.QUEUED.value)
    session.execute(
        update(JobRow)
        .where(own)
        .values(
            worker_id=worker.id,
            flow_version=worker.flow_version,
            status=case((ends, JobRow.status), else_=Status.RUNNING.value),
            taken_at=utc_now(),
            due_at=None,
        )
    )


def _count_turns(session: Session, last_turns: Mapping[str, int], chosen: Sequence[str]) -> None:
    """Count the turns that projects have had with the chosen jobs, before these are taken.

    What was begun already, or is only to end, is nobody's turn.
    """
    projects: dict[str, str] = {}
    for ids in in_portions(chosen):
        new = and_(_NOT_BEGUN, ~JobRow.cancel_requested, JobRow.id.in_(ids))
        rows = session.execute(select(JobRow.id, JobRow.project_id).where(new))
        projects |= {row.id: row.project_id for row in rows}
    order = [projects[id_] for id_ in chosen if id_ in projects]
    numbers = dict(zip(order, range(max(last_turns.values(), default=0) + 1, 1 << 62), strict=False))
    for project_id, number in numbers.items():
        session.merge(TurnRow(project_id=project_id, number=number))


def _records(session: Session, only: ColumnElement[bool]) -> list[QueueRecord]:
    rows = session.execute(select(JobRow.__table__).where(only).order_by(JobRow.asked_at, JobRow.record_id))
    return [filled(QueueRecord, row, flow_version=bound_to(row)) for row in rows]
