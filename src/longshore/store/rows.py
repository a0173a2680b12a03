"""Records, filled from rows of the tables."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def filled(kind: type[T], row: Any, /, **others: Any) -> T:
    """Make a record: each of its fields has what the row's column of that name has, unless `others` has that field."""
    names = (field.name for field in fields(kind))
    return kind(**{name: others[name] if name in others else getattr(row, name) for name in names})
