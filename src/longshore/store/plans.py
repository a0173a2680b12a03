"""Plans as they were last applied."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from longshore.errors import Conflict, NotFound
from longshore.store.database import Database, through_outages
from longshore.store.migrations import Status
from longshore.store.tables import MigrationRow, PlanRow, utc_now


@dataclass(frozen=True, slots=True)
class PlanRecord:
    id: str
    name: str
    content: dict[str, Any]  # the plan as its file has it
    created_at: datetime
    changed_at: datetime


@through_outages
class Plans:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, content: dict[str, Any]) -> PlanRecord:
        """Raises Conflict when the name is taken."""
        with self._database.session() as session:
            if session.scalar(select(PlanRow.id).where(PlanRow.name == name)):
                raise Conflict(f"A plan named {name} is there already.", advice="Choose another name or delete it.")
            row = PlanRow(id=str(uuid.uuid4()), name=name, content=content)
            session.add(row)
            session.flush()
            return _record(row)

    def replace(self, name: str, content: dict[str, Any]) -> PlanRecord:
        """Its migrations stay its own. Nothing happens when it says the same already. Raises NotFound."""
        with self._database.session() as session:
            row = _find(session, name)
            if row.content != content:
                row.content = content
                row.changed_at = utc_now()
                session.flush()
            return _record(row)

    def all(self) -> list[PlanRecord]:
        with self._database.session() as session:
            return [_record(row) for row in session.scalars(select(PlanRow).order_by(PlanRow.name))]

    def get(self, name_or_id: str) -> PlanRecord:
        """Raises NotFound."""
        with self._database.session() as session:
            return _record(_find(session, name_or_id))

    def remove(self, name_or_id: str) -> None:
        """Raises NotFound, or Conflict while one of its migrations hasn't ended. Ended ones stay, as nobody's."""
        with self._database.session() as session:
            row = _find(session, name_or_id)
            own = session.scalars(select(MigrationRow).where(MigrationRow.plan_id == row.id)).all()
            if not all(Status(m.status).ended for m in own):
                raise Conflict(
                    f"Plan {row.name} has migrations under way.",
                    advice=f"Cancel them: longshore plan cancel {row.name}.",
                )
            for migration in own:
                migration.plan_id = None
            session.delete(row)


def _find(session: Session, name_or_id: str) -> PlanRow:
    row = session.scalar(select(PlanRow).where((PlanRow.name == name_or_id) | (PlanRow.id == name_or_id)))
    if row is None:
        raise NotFound(f"There is no plan named {name_or_id}.", advice="See: longshore plan list.")
    return row


def _record(row: PlanRow) -> PlanRecord:
    return PlanRecord(row.id, row.name, row.content, row.created_at, row.changed_at)
