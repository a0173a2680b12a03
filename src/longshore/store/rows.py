"""Records, filled from rows of the tables; and rows, from what is to be added."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import fields
from datetime import datetime
from enum import Enum
from functools import cache, partial
from types import EllipsisType, NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from longshore.errors import InvalidInput
from longshore.model.forms import form
from longshore.store.tables import Base, in_column

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
R = TypeVar("R", bound="Base")
V = TypeVar("V")
_PLAIN = (str, int, float, bytes, datetime, NoneType, EllipsisType)

_log = logging.getLogger("longshore.store")


def filled(kind: type[T], row: Any, /, **others: Any) -> T:
    """Make a record: each of its fields has what the row, or whatever it is made of, has by that name, as the field's
    type, unless `others` has that field.

    Raise ValueError for what can't be of that type.
    """
    read = _readers(kind)
    return kind(**{name: others[name] if name in others else read[name](getattr(row, name)) for name in read})


def new_row(kind: type[R], new: DataclassInstance, /, **others: Any) -> R:
    """Make a row: each of its columns has what `new` has by that name, as JSON where it is no plain value, unless
    `others` has it. Where neither has, it is left to the column's default."""
    names = {field.name for field in fields(new)} & set(kind.__table__.columns.keys()) - others.keys()
    return kind(**{name: in_json(getattr(new, name)) for name in names}, **others)


def in_json(value: Any) -> Any:
    """Return a value as a column has it: plain ones as they are, others as JSON."""
    return in_column(value) if isinstance(value, _PLAIN) else form(type(value)).dump_python(value, mode="json")


def readable(rows: Iterable[Any], read: Callable[[Any], V], what: str) -> list[V]:
    """Read each row and return the results. A row that can't be read is logged and left out.

    `what`: what the rows are called, for whoever reads the log.
    """
    found = []
    for row in rows:
        try:
            found.append(read(row))
        except (InvalidInput, TypeError, ValueError) as error:  # the last: pydantic's, and that of enumerations
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            _log.warning("a %s can't be read and is left out of a list: %s: %s", what, getattr(row, "id", row), said)
    return found


@cache
def _readers(kind: type) -> dict[str, Callable[[Any], Any]]:
    """Return for each field of a record what makes of a column's value one of the field's type."""
    return {name: _reader(hint) for name, hint in get_type_hints(kind).items()}


def _reader(hint: Any) -> Callable[[Any], Any]:
    """Return what makes of a column's value one of this type: of nothing, an empty tuple or mapping where it is one."""
    kind, plain = get_origin(hint) or hint, _is_plain(hint)
    if kind in (tuple, dict):
        read = kind if plain else partial(_validated, hint)
        return lambda value: read(value or kind())
    if plain:
        return _as_it_is
    if kind is UnionType:
        (some,) = set(get_args(hint)) - {NoneType}
        of_some = _reader(some)
        return lambda value: None if value is None else of_some(value)
    return kind if issubclass(kind, Enum) else partial(_validated, kind)


def _validated(hint: Any, value: Any) -> Any:
    return form(hint).validate_python(value)  # whose form is made when it is first asked for: that takes milliseconds


def _as_it_is(value: Any) -> Any:
    return value


def _is_plain(hint: Any) -> bool:
    """Tell whether the database has values of this type as they are, but for a tuple's being a list."""
    parts = get_args(hint)
    return all(map(_is_plain, parts)) if parts else hint in (*_PLAIN, bool, Any, ...)
