"""Jobs: each one durable piece of work with an end, done for a record that lasts (a migration).

A record that hasn't ended has exactly one job that hasn't: it waits for its turn or for its moment, a worker has it, or
it is parked. In the transaction in which it ends the record is told what came of it, and the next one is queued. A
migration that is done may have one more: the source is marked by it.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.orm import Session

from longshore.model.job import JobKind
from longshore.model.request import AWAITED, MigrationType
from longshore.model.status import UNFINISHED, Status
from longshore.store.changes import tell_workers
from longshore.store.clock import clock
from longshore.store.database import in_portions, through_outages
from longshore.store.part import StorePart
from longshore.store.rows import filled
from longshore.store.tables import JobRow, MigrationRow, utc_now, with_zone

_KEPT = 20  # ended jobs of a record: a machine may be synchronised for months
NEVER = datetime(9999, 1, 1)  # a moment of a job that waits until somebody wants something of it
CLOCKS_DIFFER = 60.0  # seconds, at most, between the clocks of machines that keep time
_SOON = timedelta(minutes=10)  # a job that is parked again within that has come no further


@dataclass(frozen=True, slots=True)
class JobRecord:
    id: str
    record_id: str
    kind: JobKind
    status: Status
    cancel_requested: bool
    due_at: datetime | None
    times_parked: int  # one soon after the other
    reason: str | None  # why it is parked
    worker_id: str | None
    flow_version: str | None


@through_outages
class Jobs(StorePart):
    def get(self, job_id: str) -> JobRecord:
        with self._database.session() as session:
            return _record(session.get_one(JobRow, job_id))

    def find(self, job_id: str) -> JobRecord | None:
        """Return a job; None when it is gone, with its record."""
        with self._database.session() as session:
            row = session.get(JobRow, job_id)
            return _record(row) if row is not None else None

    def park(self, job_id: str, reason: str, pauses: Sequence[timedelta]) -> JobRecord:
        """Park a job: it goes on where it is when somebody takes it again, once that is due or `hasten` is called.

        The pauses are those after the first, second … time in a row that it came no further; the last one stays.
        """
        with self._database.session() as session:
            row = session.get_one(JobRow, job_id)
            if row.status == Status.PARKED.value:  # by an earlier try of this
                return _record(row)
            again = row.taken_at is not None and utc_now() - row.taken_at < _SOON
            row.parked = row.parked + 1 if again else 1
            row.status, row.reason, row.worker_id = Status.PARKED.value, reason, None
            row.due_at = None
            if not row.cancel_requested:
                row.due_at = utc_now() + pauses[min(row.parked, len(pauses)) - 1]
                row.chosen_at = _seconds()
            own = update(MigrationRow).where(MigrationRow.id == row.record_id, MigrationRow.status.in_(UNFINISHED))
            session.execute(own.values(status=Status.PARKED.value))
            session.flush()
            tell_workers(session)  # its place is free
            return _record(row)

    def hasten(self, record_id: str) -> None:
        """Have a record's job, whatever moment it waits for, be due now."""
        with self._database.session() as session:
            hasten(session, record_id)

    def hasten_mistimed(self) -> int:
        """Have jobs whose moment was chosen by a clock that is ahead of the database's look again at once; return how
        many.

        Otherwise a clock that was wrong once would have them wait until then, however far off that is.
        """
        with self._database.session() as session:
            mistimed = select(JobRow.record_id).where(
                JobRow.status.in_(UNFINISHED),
                JobRow.worker_id.is_(None),
                JobRow.due_at < NEVER,
                JobRow.chosen_at > clock(self._database.engine) + CLOCKS_DIFFER,
            )
            found = list(session.scalars(mistimed))
            for record_id in found:
                hasten(session, record_id)
            return len(found)


def keeps_copy(state: Mapping[str, Any] | None) -> bool:
    """Say whether a cutover has failed of the migration whose state this is, and what was copied has stayed."""
    return bool((state or {}).get("held"))


# The same of rows, for the database to ask
KEEPS_COPY = MigrationRow.status.in_(UNFINISHED), MigrationRow.state["held"].as_string() != ""


def new_job(
    migration: MigrationRow,
    kind: JobKind,
    *,
    id_: str,
    due_at: datetime | None = None,
    begin_by: datetime | None = None,
) -> JobRow:
    """Return a job of a migration.

    `begin_by` is its place in the queue: where more is due than can begin, the earliest is first.
    """
    places = migration.places or {}
    return JobRow(
        id=id_,
        record_id=migration.id,
        kind=kind.value,
        project_id=migration.project_id,
        source_id=migration.source_id,
        target_id=migration.target_id,
        machine_ref=migration.machine_ref,
        # No later wave waits for its user's word, or for what is done to the source of a migration that is done
        plan_id=None if keeps_copy(migration.state) or kind is JobKind.MARK else migration.plan_id,
        wave=migration.wave,
        host=places.get("host") or "",
        datastores=places.get("datastores") or [],
        asked_at=begin_by or due_at or migration.created_at,
        due_at=due_at,
        chosen_at=_seconds(),
        cancel_requested=migration.cancel_requested and kind is not JobKind.MARK,  # that came too late
    )


def _seconds() -> float:
    """Return the time in seconds since 1970, by this process' clock."""
    return with_zone(utc_now()).timestamp()


def first_job(migration: MigrationRow, due_at: datetime | None = None, begin_by: datetime | None = None) -> JobRow:
    """Return the first job of a migration that is just being added, and has its request already.

    `due_at` and `begin_by`: as `new_job` has them.
    """
    asked = MigrationType(migration.type)
    kinds = {
        MigrationType.WARM: JobKind.BEGIN,
        MigrationType.TEST: JobKind.LANDING,
        MigrationType.FAILOVER: JobKind.LANDING,
        MigrationType.GROUP_TEST: JobKind.GROUP,
        MigrationType.GROUP_FAILOVER: JobKind.GROUP,
    }
    kind = JobKind.TENANT if asked.of_tenant else kinds.get(asked) or JobKind(asked.value)
    if kind is JobKind.FAILBACK and migration.request.get("new_server"):
        kind = JobKind.RETURN
    return new_job(migration, kind, id_=str(uuid.uuid4()), due_at=due_at, begin_by=begin_by)


def enqueue(session: Session, jobs: Iterable[JobRow]) -> None:
    session.add_all(jobs)
    tell_workers(session)


def end_job(session: Session, job_id: str, status: Status) -> bool:
    """End the job, and say whether it hadn't ended yet. Of a record's ended jobs the newest are kept."""
    own = update(JobRow).where(JobRow.id == job_id, JobRow.status.in_(UNFINISHED))
    row = session.get_one(JobRow, job_id)
    if not session.execute(own.values(status=status.value, ended_at=utc_now())).rowcount:  # type: ignore[attr-defined]
        return False
    ended = select(JobRow.id).where(JobRow.record_id == row.record_id, JobRow.ended_at.is_not(None))
    old = session.scalars(ended.order_by(JobRow.ended_at.desc()).offset(_KEPT)).all()
    session.execute(delete(JobRow).where(JobRow.id.in_(old)))
    tell_workers(session)  # its place is free
    return True


def hasten(session: Session, record_id: str, *, cancelled: bool = False) -> None:
    """Have a record's job be due now. Its place in the queue is that of its record again."""
    own = update(JobRow).where(JobRow.record_id == record_id, JobRow.status.in_(UNFINISHED))
    asked_at = select(MigrationRow.created_at).where(MigrationRow.id == record_id).scalar_subquery()
    session.execute(own.where(JobRow.due_at.is_not(None)).values(due_at=None, asked_at=asked_at))
    if cancelled:
        session.execute(own.where(~JobRow.cancel_requested).values(cancel_requested=True))
    tell_workers(session)


def bound_to(row: Any) -> str | None:
    """Return the version of the flows that alone can go on with a job.

    None: any can, as with a sync, which begins anew.
    """
    return None if JobKind(row.kind).begins_anew else row.flow_version


def unfinished_of(session: Session, record_ids: Sequence[str]) -> dict[str, JobRecord]:
    """Return the jobs of these records that haven't ended, by record."""
    found: dict[str, JobRecord] = {}
    for ids in in_portions(record_ids):
        query = select(JobRow.__table__).where(JobRow.record_id.in_(ids), JobRow.status.in_(UNFINISHED))
        found |= {row.record_id: _record(row) for row in session.execute(query)}
    return found


def forget_jobs(session: Session, record_id: str) -> None:
    session.execute(delete(JobRow).where(JobRow.record_id == record_id))


def forget_answers(session: Session, *of: ColumnElement[bool]) -> None:
    """Forget those ended records for whose answers somebody has waited, and that fulfil these conditions."""
    ended = MigrationRow.type.in_(AWAITED), MigrationRow.status.not_in(UNFINISHED)
    ids = list(session.scalars(select(MigrationRow.id).where(*ended, *of)))
    session.execute(delete(JobRow).where(JobRow.record_id.in_(ids)))
    session.execute(delete(MigrationRow).where(MigrationRow.id.in_(ids)))


def _record(row: Any) -> JobRecord:
    return filled(
        JobRecord,
        row,
        times_parked=row.parked,
        flow_version=bound_to(row),
    )
