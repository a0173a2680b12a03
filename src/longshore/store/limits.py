"""Limits that are set for places: how many jobs may run at one, whose, and how fast they may read together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select, true
from sqlalchemy.orm import Session

from longshore.errors import AccessDenied, InvalidInput, NotFound
from longshore.model.limit import Limit, LimitOf, LimitPlace, id_of
from longshore.store.changes import tell_workers
from longshore.store.database import in_portions, through_outages
from longshore.store.part import EVERY_PROJECT, ScopedPart
from longshore.store.providers import visible_providers
from longshore.store.quota import refuse_more
from longshore.store.tables import LimitRow, PlanRow, ProviderRow

FIGURES = ("at_once", "bytes_per_second")


@dataclass(frozen=True, slots=True)
class LimitRecord:
    limit: Limit
    provider: str | None  # its name, where the limit is of one or of something in it
    plan: str | None  # its name, where the limit is of one


@through_outages
class Limits(ScopedPart):
    """Limits of a project, and those for all projects at providers that it sees."""

    def all(self) -> list[LimitRecord]:
        """Return the limits that the scope sees, in the order of what they limit."""
        with self._database.session() as session:
            return _records(session, self._visible())

    def put(self, place: LimitPlace, project_id: str | None, figures: Mapping[str, int | None]) -> LimitRecord:
        """Set a limit. `figures` (FIGURES) that aren't named stay as they were. `project_id`: whose jobs it counts;
        None: those of all projects.

        Raises InvalidInput when nothing would be limited, AccessDenied for what isn't the scope's own, and Conflict
        when the project has as many limits as it may.
        """
        if not self._scope.everything and project_id != self._scope.project_id:
            raise _refused()
        id_ = id_of(place, project_id)
        with self._database.alone() as session:
            row = session.get(LimitRow, id_)
            if row is None:
                row = LimitRow(
                    id=id_,
                    project_id=EVERY_PROJECT if project_id is None else project_id,
                    of=place.of.value,
                    provider_id=place.subject if place.of.of_provider else None,
                    plan_id=place.subject if place.of is LimitOf.PLAN else None,
                    name=place.name,
                )
                if project_id is not None:
                    refuse_more(session, self._scope, LimitRow)
            for name in FIGURES:
                if name in figures:
                    setattr(row, name, figures[name])
            if all(getattr(row, name) is None for name in FIGURES):
                raise InvalidInput(
                    "That would limit nothing: say how many jobs at once, or how many bytes per second.",
                    advice="To take a limit away: longshore limit delete.",
                )
            session.add(row)
            session.flush()
            tell_workers(session)
            [record] = _records(session, LimitRow.id == id_)
            return record

    def remove(self, id_: str) -> None:
        """Remove a limit.

        Raises NotFound, or AccessDenied for one that isn't the scope's own, as it counts all projects' jobs.
        """
        with self._database.session() as session:
            row = session.scalar(select(LimitRow).where(LimitRow.id == id_, self._visible()))
            if row is None:
                if self._database.may_be_done:
                    return
                raise NotFound(f"There is no limit {id_}.", advice="See: longshore limit list.")
            if not self._scope.everything and row.project_id != self._scope.project_id:
                raise _refused()
            session.delete(row)
            tell_workers(session)

    # For the engine: whoever's they are

    def at_once(self) -> list[Limit]:
        """Return all limits that say how many jobs may be somewhere at once."""
        with self._database.session() as session:
            return [_limit(row) for row in session.scalars(select(LimitRow).where(LimitRow.at_once.is_not(None)))]

    def rates(self, ids: Sequence[str]) -> dict[str, int]:
        """Return bytes per second by limit, for those of these limits that are there and limit them."""
        with self._database.session() as session:
            found: dict[str, int] = {}
            for some in in_portions(ids):
                rows = session.execute(select(LimitRow.id, LimitRow.bytes_per_second).where(LimitRow.id.in_(some)))
                found |= {row.id: row.bytes_per_second for row in rows if row.bytes_per_second is not None}
            return found

    def _visible(self) -> ColumnElement[bool]:
        if self._scope.everything:
            return true()
        seen = select(ProviderRow.id).where(visible_providers(self._scope))
        for_all = (LimitRow.project_id == EVERY_PROJECT) & LimitRow.provider_id.in_(seen)
        return (LimitRow.project_id == self._scope.project_id) | for_all


def _refused() -> AccessDenied:
    return AccessDenied(
        "Only an administrator sets a limit that counts other projects' jobs.", advice="Limit your own project's."
    )


def _limit(row: LimitRow) -> Limit:
    place = LimitPlace(LimitOf(row.of), row.provider_id or row.plan_id or row.project_id, row.name)
    project_id = None if row.project_id == EVERY_PROJECT else row.project_id
    return Limit(place, project_id, row.at_once, row.bytes_per_second)


def _records(session: Session, only: ColumnElement[bool]) -> list[LimitRecord]:
    query = select(LimitRow, ProviderRow.name, PlanRow.name).select_from(LimitRow)
    query = query.outerjoin(ProviderRow, LimitRow.provider_id == ProviderRow.id)
    query = query.outerjoin(PlanRow, LimitRow.plan_id == PlanRow.id).where(only)
    order = LimitRow.of, ProviderRow.name, PlanRow.name, LimitRow.name, LimitRow.project_id, LimitRow.id
    rows = session.execute(query.order_by(*order))
    return [LimitRecord(_limit(row), provider, plan) for row, provider, plan in rows]
