"""Findings on the disks of a replica's points, long before a machine is made of one of them."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select

from longshore.model.request import MigrationType
from longshore.model.status import UNFINISHED
from longshore.store.database import through_outages
from longshore.store.ledger import EntryState
from longshore.store.part import StorePart
from longshore.store.replicas import is_under_way, point_to_use, use_point
from longshore.store.rows import filled
from longshore.store.tables import LedgerRow, LookRow, MigrationRow, ReplicaRow

_MAY_WAIT = timedelta(hours=1)  # where more is due than can begin, a sync goes first for so long


@dataclass(frozen=True, slots=True)
class LookRecord:
    """The newest look at a replica's points. Moments are in UTC without a zone."""

    replica_id: str
    due_at: datetime | None  # of the next one; None: at once
    point: int | None  # None: none was looked into yet
    looked_at: datetime | None
    machine: dict[str, Any] | None  # as the point describes it
    findings: dict[str, Any] | None
    cannot_land: str | None  # why, in sentences; None: it can
    error: str | None  # why the last look came to nothing


@through_outages
class Looks(StorePart):
    """Looks at replicas' points. Whoever asks has found the replica among those that they may see."""

    def get(self, replica_id: str) -> LookRecord | None:
        """Return the look at a replica's points; None: none was begun yet."""
        with self._database.session() as session:
            row = session.get(LookRow, replica_id)
            return filled(LookRecord, row) if row is not None else None

    def begin(self, replica_id: str, now: datetime, following: datetime, request: dict[str, Any]) -> str | None:
        """Begin a look into the newest usable point of a replica, if one is due, and return its id.

        None: none is due, an earlier one goes on, the replica is paused, or there is no point. `now`: in UTC without a
        zone. `following`: when the next one is due.
        """
        with self._database.alone() as session:
            look = session.get(LookRow, replica_id)
            if look is None:
                look = LookRow(replica_id=replica_id)
                session.add(look)
            if look.due_at is not None and look.due_at > now:
                return None
            point = point_to_use(session, session.get_one(ReplicaRow, replica_id), now)
            if point is None or is_under_way(session, replica_id, MigrationType.LOOK):
                return None
            look.due_at = following
            id_ = str(uuid.uuid4())
            replica, asked = session.get_one(MigrationRow, replica_id), {**request, "point": point}
            use_point(session, replica, id_, asked, begin_by=now + _MAY_WAIT)
            return id_

    def keep(  # noqa: PLR0917
        self,
        replica_id: str,
        point: int,
        looked_at: datetime,
        machine: dict[str, Any],
        findings: dict[str, Any],
        cannot_land: str | None,
    ) -> bool:
        """Keep the findings of a look, and tell whether they say anything else of its landing than the look before."""
        with self._database.session() as session:
            row = session.get_one(LookRow, replica_id)
            new = row.cannot_land != cannot_land
            row.point, row.looked_at, row.machine, row.findings = point, looked_at, machine, findings
            row.cannot_land, row.error = cannot_land, None
            return new

    def failed(self, replica_id: str, error: str) -> bool:
        """Keep why a look failed, beside the findings of the one before, and tell whether that is a new reason."""
        with self._database.session() as session:
            row = session.get(LookRow, replica_id)
            if row is None:
                return False
            new, row.error = row.error != error, error
            return new

    def make_due(self, replica_id: str) -> None:
        """Have the replica looked at anew at once: the findings don't hold any more."""
        with self._database.session() as session:
            row = session.get(LookRow, replica_id)
            if row is not None:
                row.due_at = None

    def under_way(self, replica_id: str) -> list[str]:
        """Return the ids of a replica's looks that haven't ended."""
        return self._ids(replica_id, MigrationRow.status.in_(UNFINISHED))

    def ended(self, replica_id: str) -> list[str]:
        """Return the ids of a replica's looks that have ended, and are on record."""
        return self._ids(replica_id, MigrationRow.status.not_in(UNFINISHED))

    def leaving(self, replica_id: str) -> list[str]:
        """Return the ids of a replica's looks that have ended, and left something behind."""
        left = exists().where(LedgerRow.migration_id == MigrationRow.id, LedgerRow.state != EntryState.REMOVED.value)
        return self._ids(replica_id, MigrationRow.status.not_in(UNFINISHED), left)

    def _ids(self, replica_id: str, *wanted: Any) -> list[str]:
        look = MigrationRow.type == MigrationType.LOOK.value, MigrationRow.of == replica_id
        query = select(MigrationRow.id).where(*look, *wanted)
        with self._database.session() as session:
            found: Sequence[str] = session.scalars(query.order_by(MigrationRow.created_at)).all()
            return list(found)
