"""Records that can't be read any more are told in the log and passed over where several are listed."""

import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from longshore.errors import InvalidInput

_log = logging.getLogger("longshore.store")
T = TypeVar("T")


def readable(rows: Iterable[Any], read: Callable[[Any], T], what: str) -> list[T]:
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
