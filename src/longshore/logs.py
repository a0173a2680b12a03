"""Logs of the processes that run for long: one JSON object a line, libraries' among them; lines where people read them.

What is said while a request is answered carries its `request_id`, what is said in a migration its `migration_id`:
whoever begins either binds it to the context, and all that runs in it has it, in threads too.
"""

import logging
import math
import threading
from typing import Any, TextIO, cast

import structlog

from longshore.border.texts import printable

_SELDOM = 10.0  # seconds


class _Printable(logging.Formatter):
    """A format of lines for terminals: they may hold names that strangers gave."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _InTurn:
    """A stream that threads write to one after the other, whichever library logs for them.

    Each library has a lock of its own, and Python's streams have none: two writers at once can end the process.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._turn = threading.Lock()

    def write(self, text: str) -> int:
        with self._turn:
            return self._stream.write(text)

    def flush(self) -> None:
        with self._turn:
            self._stream.flush()


class _Seldom(logging.Filter):
    """Lets a warning through only if its place in the code hasn't warned for a while, and of that its first line."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno > logging.WARNING:
            return True
        place = record.pathname, record.lineno
        if record.created - self._last.get(place, -math.inf) < _SELDOM:
            return False
        self._last[place] = record.created
        record.msg, record.args = record.getMessage().partition("\n")[0], ()
        return True


def seldom(name: str) -> None:
    """Log the warnings of a library's logger from now on by our own handlers, and each at most every ten seconds: one
    that tries again and again, in many threads, warns dozens of times a second while the database is away."""
    logger = logging.getLogger(name)
    if not any(isinstance(one, _Seldom) for one in logger.filters):
        logger.addFilter(_Seldom())
        logger.addHandler(logging.NullHandler())  # DBOS gives itself one for lines, unless there is any


def write_lines() -> None:
    """Log for people, to standard error, from now on."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def write_json(stream: TextIO) -> None:
    """Log lines of JSON from now on: of libraries warnings and more; of Longshore's own modules information too."""
    lines = cast("TextIO", _InTurn(stream))
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *ending],
        logger_factory=structlog.WriteLoggerFactory(lines),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    handler = logging.StreamHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("longshore").setLevel(logging.INFO)
