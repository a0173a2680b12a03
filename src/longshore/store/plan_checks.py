"""Checks of plans: how far each is, and what it has found until now. Whichever server is asked for one knows it.

They are questions, not work that must come to an end: one whose process dies is asked anew. After a day they go.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, cast

from sqlalchemy import ColumnElement, delete, func, select, true, update
from sqlalchemy.orm import Session

from longshore.errors import ChangedMeanwhile, NotFound
from longshore.store.clock import clock
from longshore.store.database import Database, through_outages
from longshore.store.plans import PlanRecord
from longshore.store.rows import filled
from longshore.store.scope import WHOLE, Scope
from longshore.store.tables import PlanCheckPartRow, PlanCheckRow, PlanRow, utc_now

State = Literal["running", "done", "failed", "cancelled"]
RUNNING: State = "running"
DONE: State = "done"
FAILED: State = "failed"
CANCELLED: State = "cancelled"
SIGN = 2.0  # seconds between two signs of life
_SILENT = 30.0  # seconds without one after which nobody does it any more
_KEPT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlanCheckRecord:
    id: str
    plan_id: str
    revision: int  # of the plan, that it is about
    state: State
    done: int
    total: int
    error: dict[str, Any] | None  # as api's ErrorBody
    created_at: datetime
    ended_at: datetime | None

    @property
    def version(self) -> str:
        """Return the version of the plan that is checked, in the form of PlanRecord.version."""
        return f"{self.plan_id}-{self.revision}"


@through_outages
class PlanChecks:
    def __init__(self, database: Database, scope: Scope = WHOLE) -> None:
        self._database = database
        self._scope = scope

    def scoped(self, scope: Scope) -> "PlanChecks":
        return PlanChecks(self._database, scope)

    def begin(self, plan: PlanRecord, asked: dict[str, Any], total: int) -> PlanCheckRecord:
        """Begin a check; those under way of the plan as it was before end. `total`: machines and volumes."""
        with self._database.session() as session:
            session.execute(delete(PlanCheckRow).where(PlanCheckRow.created_at < utc_now() - _KEPT))
            older = select(PlanCheckRow.id).where(
                PlanCheckRow.plan_id == plan.id, PlanCheckRow.revision < plan.revision
            )
            for id_ in session.scalars(older).all():
                _end(session, id_, CANCELLED, _changed(plan.name))
            row = PlanCheckRow(
                id=str(uuid.uuid4()),
                plan_id=plan.id,
                project_id=plan.project_id,
                revision=plan.revision,
                asked=asked,
                state=RUNNING,
                total=total,
                signed_at=_now(session),
            )
            session.add(row)
            session.flush()
            return _record(row)

    def under_way(self) -> int:
        """Return how many checks the project has under way."""
        with self._database.session() as session:
            alive = PlanCheckRow.signed_at >= _now(session) - _SILENT
            own = PlanCheckRow.project_id == self._scope.project_id
            query = select(func.count()).select_from(PlanCheckRow)
            return session.scalar(query.where(own, PlanCheckRow.state == RUNNING, alive)) or 0

    def get(self, plan_id: str, check_id: str) -> PlanCheckRecord:
        """Return a check. One that nobody does any more has failed. Raises NotFound."""
        with self._database.session() as session:
            row = self._find(session, plan_id, check_id)
            if row.state == RUNNING and row.signed_at < _now(session) - _SILENT:
                _end(session, row.id, FAILED, _INTERRUPTED)
                session.refresh(row)
            return _record(row)

    def parts(self, check_id: str, after: int) -> list[tuple[int, list[dict[str, Any]]]]:
        """Return the number and the concerns of each part after this one, in order."""
        with self._database.session() as session:
            of_it = PlanCheckPartRow.check_id == check_id, PlanCheckPartRow.number > after
            query = select(PlanCheckPartRow).where(*of_it).order_by(PlanCheckPartRow.number)
            return [(row.number, row.concerns) for row in session.scalars(query)]

    def add_part(self, check_id: str, number: int, concerns: Sequence[dict[str, Any]], done: int) -> bool:
        """Add a part of a check's findings, and tell whether the check is still wanted.

        `done`: machines and volumes until now.
        """
        with self._database.session() as session:
            if not _is_wanted(session, check_id):
                return False
            session.merge(PlanCheckPartRow(check_id=check_id, number=number, concerns=list(concerns)))
            session.execute(update(PlanCheckRow).where(PlanCheckRow.id == check_id).values(done=done))
            return True

    def sign(self, check_id: str) -> bool:
        """Note a sign of life of whoever does a check, and tell whether it is still wanted."""
        with self._database.session() as session:
            own = update(PlanCheckRow).where(PlanCheckRow.id == check_id)
            session.execute(own.values(signed_at=clock(session.connection().engine)))
            return _is_wanted(session, check_id)

    def end(self, check_id: str, state: State, error: dict[str, Any] | None = None) -> None:
        """End a check, if it hasn't ended before."""
        with self._database.session() as session:
            _end(session, check_id, state, error)

    def cancel(self, plan_id: str, check_id: str) -> None:
        """Cancel a check. Raises NotFound."""
        with self._database.session() as session:
            _end(session, self._find(session, plan_id, check_id).id, CANCELLED, None)

    def _find(self, session: Session, plan_id: str, check_id: str) -> PlanCheckRow:
        query = select(PlanCheckRow).where(PlanCheckRow.id == check_id, PlanCheckRow.plan_id == plan_id)
        row = session.scalar(query.where(self._visible()))
        if row is None:
            raise NotFound(
                f"There is no check {check_id} of this plan.", advice="They are kept for a day: begin another."
            )
        return row

    def _visible(self) -> ColumnElement[bool]:
        return true() if self._scope.everything else PlanCheckRow.project_id == self._scope.project_id


_INTERRUPTED = {
    "code": "interrupted",
    "message": "The process that checked it has ended. Begin another check.",
    "advice": "Begin another check.",
}


def _is_wanted(session: Session, check_id: str) -> bool:
    """Tell whether a check is still wanted.

    It isn't when somebody has ended it, or the plan was changed meanwhile: then it ends.
    """
    row = session.get(PlanCheckRow, check_id)
    if row is None or row.state != RUNNING:
        return False
    plan = session.get_one(PlanRow, row.plan_id)
    if plan.revision != row.revision:
        _end(session, check_id, CANCELLED, _changed(plan.name))
        return False
    return True


def _end(session: Session, check_id: str, state: State, error: dict[str, Any] | None) -> None:
    own = update(PlanCheckRow).where(PlanCheckRow.id == check_id, PlanCheckRow.state == RUNNING)
    session.execute(own.values(state=state, error=error, ended_at=utc_now()))


def _changed(plan: str) -> dict[str, Any]:
    return {"code": ChangedMeanwhile.code, "message": f"The plan {plan} was changed meanwhile."}


def _now(session: Session) -> float:
    return float(session.scalar(select(clock(session.connection().engine))) or 0.0)


def _record(row: PlanCheckRow) -> PlanCheckRecord:
    return filled(
        PlanCheckRecord,
        row,
        state=cast(State, row.state),
        done=row.done or 0,
    )
