"""Shapes that go over the wire, filled from records."""

from typing import Any, TypeVar

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)


def shaped(kind: type[T], record: Any, /, **others: Any) -> T:
    """Make one: each of its fields has what the record has by that name, unless `others` has that field."""
    return kind(**{name: others[name] if name in others else getattr(record, name) for name in kind.model_fields})
