"""The look over all projects at what people may have to be told of by channels."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select

from longshore.model.request import MigrationType
from longshore.model.status import UNFINISHED, Status
from longshore.store.database import in_portions, through_outages
from longshore.store.disks import DiskRecord, disks_of
from longshore.store.job_filter import is_last_try
from longshore.store.migration_records import KNOWN
from longshore.store.part import StorePart
from longshore.store.rows import filled
from longshore.store.standing import BY_HAND, STANDING
from longshore.store.tables import BackupPolicyRow, JobRow, MigrationRow, PlanRow, ProviderRow

_REHEARSAL = MigrationRow.type == MigrationType.DRY_RUN.value


@dataclass(frozen=True, slots=True)
class WatchedMove:
    """The last try of something: a migration or another job. Moments are in UTC without a zone."""

    id: str
    project_id: str
    type: MigrationType
    machine_name: str
    status: Status  # as it is told
    error: str | None
    finished_at: datetime | None
    plan_id: str | None
    wave: int
    cutover: dict[str, Any] | None  # as its request has it
    synced: bool  # it has been copied once
    by_hand: bool  # a person says when its machine is stopped, and hasn't yet
    parked: str | None  # why, if it is, or was until a moment ago
    disks: tuple[DiskRecord, ...]  # of one that waits for its window and wasn't copied yet


@dataclass(frozen=True, slots=True)
class EndedWave:
    """A wave of a plan of which nothing is under way any more."""

    plan_id: str
    plan: str
    project_id: str
    wave: int
    rehearsal: bool
    counts: dict[Status, int]
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class TroubledVault:
    """A vault, or a policy of one, that needs somebody."""

    kind: str  # vault, or backup policy
    id: str
    name: str
    project_id: str
    text: str


@through_outages
class Watched(StorePart):
    def moves(self, since: datetime, projects: Collection[str] | None) -> list[WatchedMove]:
        """Return the last tries that haven't ended, or have since then, of these projects; None: of all."""
        parked = (
            select(func.coalesce(JobRow.reason, ""))
            .where(JobRow.record_id == MigrationRow.id, JobRow.status.in_(UNFINISHED), JobRow.parked > 0)
            .limit(1)
            .scalar_subquery()
        )
        row = MigrationRow
        columns = (
            *(row.id, row.project_id, row.type, row.machine_name, row.error, row.finished_at, row.plan_id, row.wave),
            *(row.request, row.syncs, STANDING.label("standing"), BY_HAND.label("by_hand"), parked.label("parked")),
        )
        recent = or_(row.status.in_(UNFINISHED), row.finished_at >= since)
        with self._database.session() as session:
            wanted = recent, KNOWN, is_last_try(), *_of(row.project_id, projects)
            rows = session.execute(select(*columns).where(*wanted)).all()
            copying = [one.id for one in rows if not one.syncs and (one.request.get("cutover") or {}).get("until")]
            disks = disks_of(session, copying)
            return [_move(one, disks.get(one.id, ())) for one in rows]

    def waves(self, since: datetime, plan_ids: Collection[str]) -> list[EndedWave]:
        """Return the waves of these plans that have ended since then: each machine's last try counts."""
        row = MigrationRow
        of = row.plan_id, PlanRow.name, PlanRow.project_id, row.wave, _REHEARSAL.label("rehearsal")
        ended, number = func.max(row.finished_at).label("ended_at"), func.count().label("number")
        query = (
            select(*of, STANDING.label("told"), ended, number)
            .join(PlanRow, PlanRow.id == row.plan_id)
            .where(is_last_try())
            .group_by(*of, STANDING)
        )
        found: dict[tuple[str, int, bool], list[Any]] = {}
        with self._database.session() as session:
            for ids in in_portions(list(plan_ids)):
                for one in session.execute(query.where(row.plan_id.in_(ids))):
                    found.setdefault((one.plan_id, one.wave, bool(one.rehearsal)), []).append(one)
        return [
            wave
            for (plan_id, number, rehearsed), rows in found.items()
            if (wave := _wave(plan_id, number, rehearsed, rows)) is not None and wave.ended_at >= since
        ]

    def vaults(self, projects: Collection[str] | None) -> list[TroubledVault]:
        """Return the vaults of these projects that didn't answer when they were asked last, and the policies whose last
        look came to nothing; `projects`: None: of all."""
        with self._database.session() as session:
            vaults = select(ProviderRow).where(ProviderRow.kind == "vault", *_of(ProviderRow.project_id, projects))
            found = [
                TroubledVault("vault", row.id, row.name, row.project_id, row.last_check["error"])
                for row in session.scalars(vaults)
                if row.last_check and row.last_check.get("error")
            ]
            wrong = BackupPolicyRow.error.is_not(None), *_of(BackupPolicyRow.project_id, projects)
            policies = session.scalars(select(BackupPolicyRow).where(*wrong))
            return found + [
                TroubledVault("backup policy", row.id, row.name, row.project_id, row.error or "") for row in policies
            ]


def _of(column: Any, projects: Collection[str] | None) -> tuple[ColumnElement[bool], ...]:
    return () if projects is None else (and_(column.in_(list(projects))),)


def _move(row: Any, disks: Sequence[DiskRecord]) -> WatchedMove:
    status = Status(row.standing)
    parked = row.parked if row.parked is not None else "" if status is Status.PARKED else None
    return filled(
        WatchedMove,
        row,
        status=status,
        cutover=row.request.get("cutover"),
        synced=bool(row.syncs),
        by_hand=bool(row.by_hand),
        parked=parked,
        disks=tuple(disks),
    )


def _wave(plan_id: str, wave: int, rehearsal: bool, rows: Sequence[Any]) -> EndedWave | None:
    counts = {Status(row.told): row.number for row in rows}
    moments = [row.ended_at for row in rows if row.ended_at is not None]
    if not all(status.ended for status in counts) or not moments:
        return None
    return EndedWave(plan_id, rows[0].name, rows[0].project_id, wave, rehearsal, counts, max(moments))
