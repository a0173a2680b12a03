"""The parts of a store: what all of them have, those that show somebody what is theirs, and those whose things have
names.

A scope says whose things are seen. Every part reads and writes for one, so no caller has to.
"""

from copy import copy
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Generic, Self, TypeVar

from sqlalchemy import ColumnElement, Select, select, true
from sqlalchemy.orm import Session

from longshore.configuration import QuotaSettings
from longshore.errors import Conflict, NotFound
from longshore.store.database import Database
from longshore.store.tables import BackupPolicyRow, ChannelRow, GroupRow, PlanRow, ProviderRow, WallLinkRow

Row = TypeVar("Row", PlanRow, ProviderRow, GroupRow, BackupPolicyRow, ChannelRow, WallLinkRow)
_KINDS: dict[type, tuple[str, str]] = {  # what users call them, and how they are listed
    PlanRow: ("plan", "plan list"),
    ProviderRow: ("provider", "provider list"),
    GroupRow: ("group", "replica group list"),
    ChannelRow: ("channel", "channel list"),
    WallLinkRow: ("wall link", "wall link list"),
    BackupPolicyRow: ("backup policy", "backup policy list"),
}
_LOOKED_THROUGH = 1000  # names, for the one that was meant

EVERY_PROJECT = "*"  # with whom a provider may be shared


@dataclass(frozen=True, slots=True)
class Scope:
    project_id: str  # to which new things belong
    everything: bool = False  # other projects' things are seen, too
    quotas: QuotaSettings | None = None  # what may be added to the project's things; None: whatever there is room for


# A user's own command and an engine: new things belong to no OpenStack project, and nothing is hidden
WHOLE = Scope("", everything=True)


class StorePart:
    def __init__(self, database: Database) -> None:
        self._database = database


class ScopedPart(StorePart):
    """Reads what a scope sees, and adds for it; all there is, until it is told for whom."""

    _scope = WHOLE

    def scoped(self, scope: Scope) -> Self:
        """Return the same part as somebody sees it."""
        view = copy(self)
        view._scope = scope
        return view


class NamedPart(ScopedPart, Generic[Row]):
    """Has rows of one kind, which people name. Names are unique in a project."""

    _rows: type[Row]

    def id_of(self, name_or_id: str) -> str:
        """Return the id of one, which needn't be readable. Raises NotFound, or Conflict when several others are called
        so."""
        with self._database.session() as session:
            return self._find(session, name_or_id).id

    def _visible(self) -> ColumnElement[bool]:
        return true() if self._scope.everything else self._rows.project_id == self._scope.project_id

    def _listed(self) -> Select[Row]:
        """Return the query for all that the scope sees, by name."""
        return select(self._rows).where(self._visible()).order_by(self._rows.name, self._rows.id)

    def _find(self, session: Session, name_or_id: str) -> Row:
        """Find a row by id or name. The id goes first: another row may be called like it. Then the project's own go
        first.

        Raises NotFound, or Conflict when several of other projects are called so.
        """
        rows, (kind, listing) = self._rows, _KINDS[self._rows]
        own = rows.unique_name == unique_name(self._scope, name_or_id)
        for wanted in (rows.id == name_or_id, own, rows.name == name_or_id):
            found = session.scalars(select(rows).where(wanted, self._visible()).limit(2)).all()
            if len(found) > 1:
                raise Conflict(f"Several {kind}s are called {name_or_id}.", advice="Say which one by its id.")
            if found:
                return found[0]
        names = session.scalars(select(rows.name).where(self._visible()).distinct().limit(_LOOKED_THROUGH))
        meant = "".join(f"Did you mean {name}? " for name in get_close_matches(name_or_id, names, n=1))
        raise NotFound(f"There is no {kind} named {name_or_id}.", advice=f"{meant}See: longshore {listing}.")

    def _find_to_remove(self, session: Session, name_or_id: str) -> Row | None:
        """Find a row as `_find` does; None where an earlier try may have removed it."""
        try:
            return self._find(session, name_or_id)
        except NotFound:
            if self._database.may_be_done:
                return None
            raise

    def _made_before(self, session: Session, name: str) -> Row | None:
        """Return the row of this name that an earlier try of the same work may have made."""
        own = self._rows.unique_name == unique_name(self._scope, name)
        return session.scalar(select(self._rows).where(own)) if self._database.may_be_done else None

    def _unique(self, session: Session, name: str) -> str:
        return new_unique_name(session, self._rows, self._scope, name)


def unique_name(scope: Scope, name: str) -> str:
    """Return PROJECT/NAME, which nothing else of its kind is called in any project."""
    return f"{scope.project_id}/{name}"


def new_unique_name(session: Session, rows: type[Row], scope: Scope, name: str) -> str:
    """Return the unique name of a row that is to be added. Raises Conflict when the name is taken."""
    unique = unique_name(scope, name)
    if session.scalar(select(rows.id).where(rows.unique_name == unique)):
        said = f"A {_KINDS[rows][0]} named {name} is there already."
        raise Conflict(said, advice="Choose another name or delete it.", field="name")
    return unique
