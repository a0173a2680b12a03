"""Records, filled from rows of the tables; and rows, from what is to be added."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from longshore.store.tables import Base

T = TypeVar("T", bound="DataclassInstance")
R = TypeVar("R", bound="Base")


def filled(kind: type[T], row: Any, /, **others: Any) -> T:
    """Make a record: each of its fields has what the row, or whatever it is made of, has by that name, unless `others`
    has that field."""
    names = (field.name for field in fields(kind))
    return kind(**{name: others[name] if name in others else getattr(row, name) for name in names})


def new_row(kind: type[R], new: DataclassInstance, /, **others: Any) -> R:
    """Make a row: each of its columns has what `new` has by that name, unless `others` has it. Where neither has, it is
    left to the column's default."""
    names = {field.name for field in fields(new)} & set(kind.__table__.columns.keys()) - others.keys()
    return kind(**{name: getattr(new, name) for name in names}, **others)
