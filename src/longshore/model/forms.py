"""Values as plain JSON: how they are written, and read again. A form takes milliseconds to make: each type has one."""

from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


def form(kind: type[T]) -> TypeAdapter[T]:
    key: Any = kind
    made: TypeAdapter[T] = _make(key)
    return made


@cache
def _make(kind: Any) -> Any:
    return TypeAdapter(kind)
