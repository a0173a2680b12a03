"""The state of an installation for its operators: workers with their leases, who has which job, what is left outside.

It isn't limited to one project: the service decides who may ask.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, literal, select

from longshore.model.request import AWAITED
from longshore.model.status import UNFINISHED, Status
from longshore.store.clock import clock
from longshore.store.database import in_portions, through_outages
from longshore.store.jobs import KEEPS_COPY
from longshore.store.ledger import SETTLED, EntryState, ThingKind
from longshore.store.part import StorePart
from longshore.store.rows import filled
from longshore.store.tables import DiskRow, JobRow, LedgerRow, MigrationRow, ProviderRow, WorkerRow
from longshore.store.workers import OLDEST_FIRST, WorkerRecord, worker_of

KEPT = "kept"  # state of a volume whose migration waits with it


@dataclass(frozen=True, slots=True)
class WorkerLease:
    worker: WorkerRecord
    started_at: datetime
    ends_in: float | None  # seconds, by the database's clock; None: it holds the lock of its state directory
    jobs: int

    @property
    def alive(self) -> bool:
        return self.ends_in is None or self.ends_in >= 0


@dataclass(frozen=True, slots=True)
class JobDetails:
    """Details of a job that a queue needn't know."""

    machine_name: str
    phase: str
    asked_at: datetime
    taken_at: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class LeftThing:
    migration_id: str
    machine_name: str
    project_id: str
    provider: str
    kind: str
    ref: str | None
    state: str
    note: str | None
    changed_at: datetime
    size: int | None  # bytes, of a disk's volume


@through_outages
class OperationRecords(StorePart):
    def workers(self) -> list[WorkerLease]:
        """Return the workers, oldest first, with those whose lease has run out and that nobody has removed yet."""
        with self._database.session() as session:
            now = clock(session.connection().engine)
            has = select(JobRow.worker_id, func.count()).where(JobRow.status.in_(UNFINISHED))
            jobs = {worker: count for worker, count in session.execute(has.group_by(JobRow.worker_id)) if worker}
            query = select(WorkerRow.__table__, (WorkerRow.lease_until - now).label("ends_in"))
            return [
                WorkerLease(worker_of(row), row.started_at, row.ends_in, jobs.get(row.id, 0))
                for row in session.execute(query.order_by(*OLDEST_FIRST))
            ]

    def details(self, job_ids: Sequence[str]) -> dict[str, JobDetails]:
        columns = MigrationRow.machine_name, MigrationRow.phase, JobRow.asked_at, JobRow.taken_at, JobRow.reason
        query = select(JobRow.id, *columns).join(MigrationRow, MigrationRow.id == JobRow.record_id)
        with self._database.session() as session:
            found = (session.execute(query.where(JobRow.id.in_(ids))) for ids in in_portions(job_ids))
            return {row.id: filled(JobDetails, row) for rows in found for row in rows}

    def waits_since(self) -> datetime | None:
        """Return when the oldest job was asked for that no worker has and that could begin now; None: there is none."""
        with self._database.session() as session:
            waits = JobRow.status == "queued", JobRow.worker_id.is_(None), JobRow.due_at.is_(None)
            return session.scalar(select(func.min(JobRow.asked_at)).where(*waits))

    def left(self) -> list[LeftThing]:
        """Find what ended migrations may have left, newest first, and the volumes of those that wait with their copy.

        The `note` of a volume says why its migration waits.
        """
        with self._database.session() as session:
            who = MigrationRow.id, MigrationRow.machine_name, MigrationRow.project_id, ProviderRow.name
            found = select(*who, LedgerRow.kind, LedgerRow.ref, LedgerRow.state, LedgerRow.note, LedgerRow.changed_at)
            found = _beside_the_ledger(found.add_columns(DiskRow.size)).order_by(LedgerRow.id.desc())
            kept = select(*who, LedgerRow.kind, LedgerRow.ref, literal(KEPT), MigrationRow.error, LedgerRow.changed_at)
            kept = _beside_the_ledger(kept.add_columns(DiskRow.size)).order_by(LedgerRow.id.desc())
            ended = found.where(LedgerRow.state.not_in(SETTLED), MigrationRow.status.not_in(UNFINISHED))
            waiting = kept.where(LedgerRow.kind == ThingKind.VOLUME, LedgerRow.state == EntryState.MADE, *KEEPS_COPY)
            return [LeftThing(*row) for query in (ended, waiting) for row in session.execute(query)]

    def kept_bytes(self) -> int:
        """Add up the volumes of all migrations that wait with their copy after a cutover that failed."""
        with self._database.session() as session:
            query = select(func.sum(DiskRow.size)).join(MigrationRow, MigrationRow.id == DiskRow.migration_id)
            return int(session.scalar(query.where(*KEEPS_COPY)) or 0)

    def left_count(self) -> int:
        with self._database.session() as session:
            query = select(func.count()).select_from(LedgerRow)
            query = query.join(MigrationRow, MigrationRow.id == LedgerRow.migration_id)
            ended = LedgerRow.state.not_in(SETTLED), MigrationRow.status.not_in(UNFINISHED)
            return session.scalar(query.where(*ended)) or 0


@through_outages
class Figures(StorePart):
    """Figures over all that is on record, for those who watch a whole installation."""

    def migrations(self) -> dict[tuple[str, str | None], int]:
        """Return how many migrations and other jobs there are, by status and code of the error. What was only asked
        isn't counted: who asked has heard of it."""
        with self._database.session() as session:
            kind = (MigrationRow.status, MigrationRow.error_code)
            query = select(*kind, func.count()).where(MigrationRow.type.not_in(AWAITED)).group_by(*kind)
            return {(status, code): count for status, code, count in session.execute(query)}

    def copies(self) -> list[dict[str, Any]]:
        """Return the progress of each disk that is being copied or read back, of migrations that haven't ended."""
        with self._database.session() as session:
            moving = select(DiskRow.progress).join(MigrationRow, MigrationRow.id == DiskRow.migration_id)
            moving = moving.where(DiskRow.state.in_(("copying", "verifying")), MigrationRow.status.in_(UNFINISHED))
            return [progress or {} for progress in session.scalars(moving)]

    def moved(self) -> dict[str, int]:
        """Return how many bytes all migrations that are done have read, written and verified."""
        names = ("read", "written", "verified")
        sums = [func.sum(MigrationRow.result[f"bytes_{name}"].as_numeric(30, 0)) for name in names]
        with self._database.session() as session:
            row = session.execute(select(*sums).where(MigrationRow.status == Status.DONE.value)).one()
            return {name: int(value or 0) for name, value in zip(names, row, strict=True)}

    def points(self) -> list[datetime]:
        """Return, for each machine that is synchronised, the moment that its last copied and verified state is of."""
        syncs = MigrationRow.syncs
        last = (
            func.json_extract(syncs, "$[#-1].at")
            if self._database.engine.dialect.name == "sqlite"
            else syncs[-1]["at"].as_string()
        )
        with self._database.session() as session:
            found = session.scalars(select(last).where(MigrationRow.status.in_(UNFINISHED)))
            return [datetime.fromisoformat(moment) for moment in found if moment]


def _beside_the_ledger(query: Select[Any]) -> Select[Any]:
    """Join the ledger with its migrations and providers, and with the disks whose volumes stand in it."""
    query = query.select_from(LedgerRow).join(MigrationRow, MigrationRow.id == LedgerRow.migration_id)
    query = query.join(ProviderRow, ProviderRow.id == LedgerRow.provider_id)
    disk = DiskRow.migration_id == LedgerRow.migration_id, DiskRow.volume_id == LedgerRow.ref
    return query.outerjoin(DiskRow, and_(*disk))
