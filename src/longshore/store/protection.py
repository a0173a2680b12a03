"""The protection of all replicas at a glance, for those who watch a whole installation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, case, func, select, true

from longshore.model.replica import PointState, Stage
from longshore.model.request import OF_POINTS, MigrationType
from longshore.model.status import UNFINISHED, Status
from longshore.store.database import in_portions, through_outages
from longshore.store.migration_records import visible_migrations
from longshore.store.part import Scope, StorePart
from longshore.store.rows import filled
from longshore.store.tables import LookRow, MigrationRow, PointRow, ReplicaRow, utc_now, with_zone


@dataclass(frozen=True, slots=True)
class Protected:
    """One replica. Moments are in UTC, and say so; lengths of time in seconds."""

    id: str
    project_id: str
    machine_name: str
    stage: Stage
    paused: bool
    paused_until: datetime | None
    rpo: int | None
    failures: int
    error: str | None
    error_code: str | None
    newest: datetime | None  # moment of the newest usable point that isn't suspect; none of a moment to come counts
    usable_at: datetime | None  # when that came
    suspect: int  # points that are there
    proved: bool
    cannot_land: str | None  # what stands against it, as the newest look at a point tells
    look_error: str | None
    failover_error: str | None

    @property
    def rests(self) -> bool:
        return self.paused and (self.paused_until is None or datetime.now(UTC) < self.paused_until)


@through_outages
class Protection(StorePart):
    def all(self) -> list[Protected]:
        """Return all projects' replicas that haven't ended."""
        return self._found(true())

    def of(self, ids: Sequence[str]) -> dict[str, Protected]:
        """Return those of these replicas that haven't ended, by id."""
        return {one.id: one for some in in_portions(ids) for one in self._found(ReplicaRow.id.in_(some))}

    def at_source(self, source_id: str, scope: Scope) -> tuple[frozenset[str], dict[str, datetime]]:
        """Return which machines of a source have a replica, and when a backup of each last ended well, by reference.

        Only what `scope` sees counts. Moments are in UTC without a zone.
        """
        own = MigrationRow.source_id == source_id, visible_migrations(scope)
        backed_up = MigrationRow.type == MigrationType.BACKUP.value, MigrationRow.status == Status.DONE.value
        last = select(MigrationRow.machine_ref, func.max(MigrationRow.finished_at)).where(*own, *backed_up)
        there = MigrationRow.type == MigrationType.REPLICA.value, MigrationRow.status.in_(UNFINISHED)
        with self._database.session() as session:
            replicas = session.scalars(select(MigrationRow.machine_ref).where(*own, *there))
            rows = session.execute(last.group_by(MigrationRow.machine_ref))
            return frozenset(replicas), {ref: at for ref, at in rows if at is not None}

    def recoveries(self) -> list[float]:
        """Return how many seconds each machine made of a point took, as far as that is on record."""
        took = MigrationRow.result[("seconds", "all")].as_float()
        with self._database.session() as session:
            done = select(took).where(MigrationRow.type.in_(OF_POINTS), MigrationRow.status == Status.DONE.value)
            return [seconds for seconds in session.scalars(done) if seconds is not None]

    def _found(self, wanted: ColumnElement[bool]) -> list[Protected]:
        now = utc_now()
        good = and_(PointRow.suspect.is_(False), PointRow.moment <= now, PointRow.usable_at <= now)
        points = (
            select(
                PointRow.replica_id,
                func.max(case((good, PointRow.moment))).label("newest"),
                func.max(case((good, PointRow.usable_at))).label("usable_at"),
                func.sum(case((PointRow.suspect.is_(False), 0), else_=1)).label("suspect"),
                func.max(PointRow.proved_at).label("proved_at"),
            )
            .where(PointRow.state == PointState.USABLE.value)
            .group_by(PointRow.replica_id)
            .subquery()
        )
        query = (
            select(
                ReplicaRow,
                MigrationRow.project_id,
                MigrationRow.machine_name,
                LookRow.cannot_land,
                LookRow.error.label("look_error"),
                points,
            )
            .join(MigrationRow, MigrationRow.id == ReplicaRow.id)
            .outerjoin(points, points.c.replica_id == ReplicaRow.id)
            .outerjoin(LookRow, LookRow.replica_id == ReplicaRow.id)
            .where(MigrationRow.status.in_(UNFINISHED), wanted)
        )
        with self._database.session() as session:
            return [
                filled(
                    Protected,
                    one.ReplicaRow,
                    project_id=one.project_id,
                    machine_name=one.machine_name,
                    paused_until=with_zone(one.ReplicaRow.paused_until),
                    newest=with_zone(one.newest),
                    usable_at=with_zone(one.usable_at),
                    suspect=int(one.suspect or 0),
                    proved=one.proved_at is not None,
                    cannot_land=one.cannot_land,
                    look_error=one.look_error,
                )
                for one in session.execute(query)
            ]
