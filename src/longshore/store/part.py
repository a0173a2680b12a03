"""The parts of a store: what all of them have, those that show somebody what is theirs, and those whose things have
names."""

from copy import copy
from typing import Generic, Self

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import Session

from longshore.store.database import Database
from longshore.store.named import Row, find_named
from longshore.store.scope import WHOLE, Scope


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
    """Has rows of one kind, which people name."""

    _rows: type[Row]

    def id_of(self, name_or_id: str) -> str:
        """Return the id of one, which needn't be readable. Raises NotFound, or Conflict when several others are called
        so."""
        with self._database.session() as session:
            return self._find(session, name_or_id).id

    def _visible(self) -> ColumnElement[bool]:
        return true() if self._scope.everything else self._rows.project_id == self._scope.project_id

    def _find(self, session: Session, name_or_id: str) -> Row:
        """Return a row. Raises NotFound, or Conflict when several others are called so."""
        return find_named(session, self._rows, self._visible(), self._scope, name_or_id)
