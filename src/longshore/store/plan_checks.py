"""Findings of checks of plans, told in parts. How far a check is stands in the record of its job."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from longshore.model.request import MigrationType
from longshore.store.database import through_outages
from longshore.store.jobs import forget_answers
from longshore.store.part import StorePart
from longshore.store.tables import MigrationRow, PlanCheckPartRow, utc_now

_KEPT = timedelta(days=1)


@through_outages
class PlanChecks(StorePart):
    def parts(self, check_id: str, after: int) -> list[tuple[int, list[dict[str, Any]]]]:
        """Return the number and the concerns of each part after this one, in order."""
        with self._database.session() as session:
            of_it = PlanCheckPartRow.check_id == check_id, PlanCheckPartRow.number > after
            query = select(PlanCheckPartRow).where(*of_it).order_by(PlanCheckPartRow.number)
            return [(row.number, row.concerns) for row in session.scalars(query)]

    def add_part(self, check_id: str, number: int, concerns: Sequence[dict[str, Any]]) -> None:
        """Add a part of a check's findings. One that was told before stays: others have read it."""
        with self._database.session() as session:
            if session.get(PlanCheckPartRow, (check_id, number)) is None:
                session.add(PlanCheckPartRow(check_id=check_id, number=number, concerns=list(concerns)))

    def forget_old(self) -> None:
        """Forget the checks that have ended more than a day ago."""
        with self._database.session() as session:
            old = MigrationRow.finished_at < utc_now() - _KEPT
            forget_answers(session, MigrationRow.type == MigrationType.PLAN_CHECK.value, old)
