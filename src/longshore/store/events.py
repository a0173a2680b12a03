"""The events of migrations, as users are told them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from longshore.store.database import in_portions, persistent, through_outages
from longshore.store.migration_records import find_migration
from longshore.store.part import ScopedPart
from longshore.store.rows import filled
from longshore.store.tables import EventRow, MigrationRow, in_column, utc_now


@dataclass(frozen=True, slots=True)
class EventRecord:
    id: int
    at: datetime
    level: str
    phase: str
    text: str


@dataclass(frozen=True, slots=True)
class ToldOfPlan:
    migration_id: str
    machine_name: str
    event: EventRecord


@through_outages
class Events(ScopedPart):
    def say(self, migration_id: str, phase: str | None, text: str, level: str = "information") -> None:
        """Add an event. `phase`: None for the one that the migration is in."""
        self._tell(migration_id, phase, text, level, utc_now())

    def enter(self, migration_id: str, phase: str, text: str) -> None:
        """Put a migration into a phase, and add the event that says so."""
        self._tell(migration_id, phase, text, "information", utc_now(), enters=True)

    @persistent
    def _tell(
        self, migration_id: str, phase: str | None, text: str, level: str, at: datetime, *, enters: bool = False
    ) -> None:
        with self._database.session() as session:
            told = select(EventRow.id).where(EventRow.migration_id == migration_id, EventRow.at == at)
            if self._database.may_be_done and session.scalar(told.where(EventRow.text == in_column(text)).limit(1)):
                return
            own = update(MigrationRow).where(MigrationRow.id == migration_id)
            if enters:
                session.execute(own.values(phase=phase))
            current = select(MigrationRow.phase).where(MigrationRow.id == migration_id).scalar_subquery()
            new = {"migration_id": migration_id, "at": at, "level": level, "text": in_column(text)}
            whose = select(func.coalesce(MigrationRow.plan_id, MigrationRow.id)).where(MigrationRow.id == migration_id)
            self._database.take_turn(session, whose.scalar_subquery())
            session.execute(insert(EventRow).values({**new, "phase": phase or current}))

    def of(self, migration_id: str, after: int = 0, limit: int = 1000) -> list[EventRecord]:
        """Return up to `limit` events of a migration after the one with this number, oldest first.

        Raises NotFound, or Conflict as for the migration.
        """
        with self._database.session() as session:
            row = find_migration(session, self._scope, migration_id)
            query = (
                select(EventRow)
                .where(EventRow.migration_id == row.id, EventRow.id > after)
                .order_by(EventRow.id)
                .limit(limit)
            )
            return [filled(EventRecord, e) for e in session.scalars(query)]

    def of_plan(self, plan_id: str, after: int, limit: int = 1000) -> list[ToldOfPlan]:
        """Return up to `limit` events after this one, oldest first, of all migrations that were started from a plan.

        The plan is known to be the caller's.
        """
        with self._database.session() as session:
            query = (
                select(EventRow, MigrationRow.machine_name)
                .join(MigrationRow, MigrationRow.id == EventRow.migration_id)
                .where(MigrationRow.plan_id == plan_id, EventRow.id > after)
                .order_by(EventRow.id)
                .limit(limit)
            )
            return [ToldOfPlan(e.migration_id, name, filled(EventRecord, e)) for e, name in session.execute(query)]

    def of_each(self, migration_ids: Sequence[str]) -> dict[str, list[EventRecord]]:
        """Return all events of each of these migrations, which are known to be the caller's."""
        found: dict[str, list[EventRecord]] = {migration_id: [] for migration_id in migration_ids}
        with self._database.session() as session:
            for ids in in_portions(migration_ids):
                query = select(EventRow.__table__).where(EventRow.migration_id.in_(ids)).order_by(EventRow.id)
                for e in session.execute(query):
                    found[e.migration_id].append(filled(EventRecord, e))
        return found


def forget_said(session: Session, migration_id: str, phases: Sequence[str], keep: int) -> None:
    """Delete all but the newest `keep` events of these phases; warnings and errors stay."""
    told = select(EventRow.id).where(EventRow.migration_id == migration_id, EventRow.phase.in_(phases))
    told = told.where(EventRow.level == "information").order_by(EventRow.id.desc())
    old = session.scalars(told.offset(keep)).all()
    for ids in in_portions(old):
        session.execute(delete(EventRow).where(EventRow.id.in_(ids)))
