"""Records of migrations, read from many rows at a time; and the search for one, among those that a scope sees."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import Session

from longshore.errors import Conflict, NotFound
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.store.disks import DiskRecord, disks_of
from longshore.store.jobs import JobRecord, unfinished_of
from longshore.store.part import Scope
from longshore.store.rows import filled
from longshore.store.tables import MigrationRow


@dataclass(frozen=True, slots=True)
class MigrationRecord:
    id: str
    project_id: str
    type: MigrationType
    machine_name: str
    machine_ref: str
    source_id: str
    target_id: str
    request: dict[str, Any]
    status: Status
    phase: str
    error: str | None
    error_code: str | None
    cancel_requested: bool
    conversion_attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    source_power: str | None
    shutdown_requested_at: datetime | None
    source_off_at: datetime | None
    target_up_at: datetime | None
    source_on_at: datetime | None
    server_id: str | None
    cutover_requested: bool
    syncs: tuple[dict[str, Any], ...]
    plan_id: str | None
    wave: int
    places: dict[str, Any]  # {"path", "host", "datastores": […]} of the machine when it was asked for
    result: dict[str, Any] | None
    state: dict[str, Any] | None  # what its next job needs to know
    job: JobRecord | None  # that hasn't ended
    disks: tuple[DiskRecord, ...]

    @property
    def record_id(self) -> str:
        return self.id

    @property
    def of(self) -> str:
        """Return the id of the record that it works for: a point's replica, a backup's policy, a conversion's
        migration. Empty: for none."""
        return self.request.get("of") or ""

    @property
    def worker_id(self) -> str | None:
        """Return the id of the worker that has the job, which may be dead; None: no worker has it."""
        return self.job.worker_id if self.job else None

    @property
    def flow_version(self) -> str | None:
        """Return the version of the order of steps that the job was begun with."""
        return self.job.flow_version if self.job else None


# Of a type that this version knows: what a later one has added stops none of its lists. By an expression, so that lists
# are read by the index of what they are sorted by
KNOWN: ColumnElement[bool] = func.coalesce(MigrationRow.type, "").in_([one.value for one in MigrationType])


def visible_migrations(scope: Scope) -> ColumnElement[bool]:
    return KNOWN if scope.everything else and_(MigrationRow.project_id == scope.project_id, KNOWN)


def find_migration(session: Session, scope: Scope, migration_id: str) -> MigrationRow:
    """Find a migration by its id or an unambiguous beginning of it.

    Raises NotFound, or Conflict when several begin like that.
    """
    beginning = MigrationRow.id.startswith(migration_id, autoescape=True)
    for wanted in (MigrationRow.id == migration_id, beginning):
        rows = session.scalars(select(MigrationRow).where(wanted, visible_migrations(scope)).limit(2)).all()
        if migration_id and len(rows) > 1:
            raise Conflict(f"Several migrations begin with {migration_id}.", advice="Give more of its id.")
        if migration_id and rows:
            return rows[0]
    raise NotFound(f"There is no migration or other job {migration_id}.", advice="See: longshore job list.")


def record_of(session: Session, row: MigrationRow) -> MigrationRecord:
    return records_of(session, [row])[0]


def records_of(session: Session, rows: Iterable[Any]) -> list[MigrationRecord]:
    """Return the records of these rows, with their disks, which are asked for many migrations at a time.

    `rows` are what the table has, or what the ORM makes of that, which takes twice as long where there are many.
    """
    listed = list(rows)
    disks = disks_of(session, [row.id for row in listed])
    jobs = unfinished_of(session, [row.id for row in listed if not Status(row.status).ended])
    return [filled(MigrationRecord, row, job=jobs.get(row.id), disks=tuple(disks[row.id])) for row in listed]
