"""Figures over all that is on record, for those who watch a whole installation."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from longshore.model.request import AWAITED
from longshore.model.status import UNFINISHED, Status
from longshore.store.database import through_outages
from longshore.store.part import StorePart
from longshore.store.tables import DiskRow, MigrationRow


@through_outages
class Figures(StorePart):
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
