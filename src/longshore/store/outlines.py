"""Outlines of plans' migrations, as short as can be: they are read often, and for thousands of machines at a time."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, select

from longshore.model.copy_progress import MOVING
from longshore.model.job import BEGIN_ANEW
from longshore.model.request import MigrationType
from longshore.model.status import UNFINISHED, Status
from longshore.store.clock import clock
from longshore.store.database import through_outages
from longshore.store.migration_records import visible_migrations
from longshore.store.part import ScopedPart
from longshore.store.standing import BY_HAND, MAY_BE_TAKEN_BACK, STANDING
from longshore.store.tables import DiskRow, JobRow, MigrationRow

# Beside its job: what was started for a time begins for the first time then
_AT_A_TIME = and_(MigrationRow.phase == Status.QUEUED.value, JobRow.worker_id.is_(None), ~MigrationRow.cancel_requested)


@dataclass(frozen=True, slots=True)
class Outline:
    """The outline of one migration."""

    id: str
    plan_id: str
    machine_name: str
    machine_ref: str
    path: str  # of the machine when it was asked for
    source_id: str
    target_id: str
    type: str | None
    wave: int
    status: Status
    standing: Status  # the status that is told of it
    phase: str
    error: str | None
    cancel_requested: bool
    started_at: datetime | None  # in UTC without a zone
    by_hand: bool  # a warm one that is cut over once a person says so, and hasn't said so yet
    begins_at: datetime | None  # in UTC without a zone; None: it has begun, or no time was said
    may_be_taken_back: bool  # its cutover was asked for, now or at a time, and hasn't begun
    synced: bool  # a copy of all of it was made while its machine ran
    worker_id: str | None
    flow_version: str | None

    @property
    def record_id(self) -> str:
        return self.id


@dataclass(frozen=True, slots=True)
class DiskOutline:
    """The outline of one disk of a migration."""

    size: int
    state: str
    progress: dict[str, Any] | None  # while it is copied or read back


@through_outages
class Outlines(ScopedPart):
    def of_plans(self, plan_ids: Collection[str]) -> dict[str, list[Outline]]:
        """Return all migrations that were started from these plans, by the plan's id; oldest first."""
        found: dict[str, list[Outline]] = {plan_id: [] for plan_id in plan_ids}
        with self._database.session() as session:
            job = (JobRow.record_id == MigrationRow.id) & JobRow.status.in_(UNFINISHED)
            query = (
                select(
                    MigrationRow.id,
                    MigrationRow.plan_id,
                    MigrationRow.machine_name,
                    MigrationRow.machine_ref,
                    MigrationRow.places["path"].as_string().label("path"),
                    MigrationRow.source_id,
                    MigrationRow.target_id,
                    MigrationRow.type,
                    MigrationRow.wave,
                    MigrationRow.status,
                    STANDING.label("standing"),
                    MigrationRow.phase,
                    MigrationRow.error,
                    MigrationRow.cancel_requested,
                    MigrationRow.started_at,
                    BY_HAND.label("by_hand"),
                    case((_AT_A_TIME, JobRow.due_at)).label("begins_at"),
                    MAY_BE_TAKEN_BACK.label("may_be_taken_back"),
                    case((MigrationRow.status.in_(UNFINISHED), MigrationRow.syncs)).label("synced"),
                    JobRow.worker_id,
                    case((JobRow.kind.not_in(BEGIN_ANEW), JobRow.flow_version)).label("flow_version"),
                )
                .outerjoin(JobRow, job)
                .where(MigrationRow.plan_id.in_(found), visible_migrations(self._scope))
            )
            for row in session.execute(query.order_by(MigrationRow.created_at, MigrationRow.id)):
                id_, plan_id, name, ref, path, source, target, kind, wave, status, standing, *rest = row
                standings = Status(status), Status(standing)
                outline = Outline(id_, plan_id, name, ref, path or name, source, target, kind, wave, *standings, *rest)
                found[outline.plan_id].append(outline)
        return found

    def disks_of_plans(self, plan_ids: Collection[str]) -> dict[str, list[DiskOutline]]:
        """Return the disks of all migrations that were started from these plans, by the migration's id."""
        found: dict[str, list[DiskOutline]] = {}
        progress = case((DiskRow.state.in_(MOVING), DiskRow.progress))
        query = select(DiskRow.migration_id, DiskRow.size, DiskRow.state, progress)
        query = query.join(MigrationRow, MigrationRow.id == DiskRow.migration_id)
        with self._database.session() as session:
            own = MigrationRow.plan_id.in_(plan_ids), visible_migrations(self._scope)
            for migration_id, *disk in session.execute(query.where(*own)):
                found.setdefault(migration_id, []).append(DiskOutline(*disk))
        return found

    def moved(self, plan_ids: Collection[str]) -> dict[str, set[str]]:
        """Return the references of what was moved from those of these plans of which nothing is under way."""
        found: dict[str, set[str]] = {plan_id: set() for plan_id in plan_ids}
        own = MigrationRow.plan_id.in_(found), visible_migrations(self._scope)
        under_way = select(MigrationRow.plan_id).where(*own, MigrationRow.status.in_(UNFINISHED)).distinct()
        done = MigrationRow.status == Status.DONE.value, MigrationRow.type != MigrationType.DRY_RUN.value
        with self._database.session() as session:
            refs = select(MigrationRow.plan_id, MigrationRow.machine_ref).where(*own, *done)
            for plan_id, ref in session.execute(refs):
                found[plan_id or ""].add(ref)
            for plan_id in session.scalars(under_way):
                found.pop(plan_id or "", None)
        return found

    def has_under_way(self, plan_id: str) -> bool:
        """Tell whether a migration of the plan hasn't ended."""
        with self._database.session() as session:
            own = MigrationRow.plan_id == plan_id, MigrationRow.status.in_(UNFINISHED)
            return session.scalar(select(MigrationRow.id).where(*own).limit(1)) is not None

    def changed(self, plan_id: str, since: float) -> set[str]:
        """Return the ids of the plan's migrations that have changed since then, or one of whose disks has.

        `since`: seconds since 1970 by the database's clock. Migrations whose machine is off are always among them, as
        the time that it is off goes on.
        """
        with self._database.session() as session:
            own = MigrationRow.plan_id == plan_id, visible_migrations(self._scope)
            seen_up = func.coalesce(MigrationRow.target_up_at, MigrationRow.source_on_at, MigrationRow.finished_at)
            is_off = MigrationRow.source_off_at.is_not(None) & seen_up.is_(None)
            touched = select(MigrationRow.id).where(*own, (MigrationRow.touched_at >= since) | is_off)
            of_disks = (
                select(MigrationRow.id)
                .join(DiskRow, DiskRow.migration_id == MigrationRow.id)
                .where(*own, DiskRow.touched_at >= since)
            )
            return set(session.scalars(touched)) | set(session.scalars(of_disks))

    def now(self) -> float:
        """Return the time in seconds since 1970 by the database's clock."""
        with self._database.session() as session:
            return float(session.scalar(select(clock(session.connection().engine))) or 0.0)

    def plans_of(self, machine: str) -> set[str]:
        """Return the ids of the plans from which a machine of this name or reference was ever started."""
        with self._database.session() as session:
            named = (MigrationRow.machine_name == machine) | (MigrationRow.machine_ref == machine)
            query = select(MigrationRow.plan_id).where(
                MigrationRow.plan_id.is_not(None), named, visible_migrations(self._scope)
            )
            return {plan_id for plan_id in session.scalars(query.distinct()) if plan_id}
