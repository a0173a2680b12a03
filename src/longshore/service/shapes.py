"""Shapes that go over the wire, filled from records."""

from typing import Any, TypeVar

from pydantic import BaseModel

T = TypeVar("T", bound=BaseModel)


def shaped(kind: type[T], *records: Any, **others: Any) -> T:
    """Make one: each of its fields has what `others` has by that name, else what the first of the records has that has
    it."""

    def found(name: str) -> Any:
        return others[name] if name in others else getattr(next(one for one in records if hasattr(one, name)), name)

    return kind(**{name: found(name) for name in kind.model_fields})
