"""Connections that are lent, and kept for a moment when they come back.

Each step of a job opens its cloud for itself, and to log in takes Keystone longer than most of what is asked then. A
connection brings its token along, what services the cloud has, and where they listen.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from longshore.providers.openstack.connection import OpenstackSettings, connect

_IDLE = 60.0  # seconds that one is kept for who comes next
_OLD = 300.0  # seconds after which nobody gets it: roles and addresses are those of when it was made
_MOST = 16  # kept at once


@dataclass(eq=False, slots=True)
class Lent:
    """Nobody else has it until it is closed."""

    settings: OpenstackSettings
    secrets: Mapping[str, str] = field(repr=False)
    connection: Any
    made: float = field(default_factory=time.monotonic)
    closed: float | None = None

    def close(self) -> None:
        """A second call has nothing to do."""
        with _lock:
            if self.closed is None:
                self.closed = time.monotonic()
                _kept.append(self)
        _let_go()

    @property
    def is_past(self) -> bool:
        now = time.monotonic()
        return now - self.made >= _OLD or (self.closed is not None and now - self.closed >= _IDLE)


_lock = threading.Lock()
_kept: list[Lent] = []  # the one that came back last is the last one


def lend(settings: OpenstackSettings, secrets: Mapping[str, str]) -> Lent:
    """Lend a connection. Raises as `connect` does."""
    _let_go()
    with _lock:
        for kept in reversed(_kept):
            if (kept.settings, kept.secrets) == (settings, secrets):
                _kept.remove(kept)
                return replace(kept, closed=None)  # whoever had it may close the one that it had once more
    return Lent(settings, dict(secrets), connect(settings, secrets))


def _let_go() -> None:
    """Close the connections that are past, or too many."""
    with _lock:
        left = [kept for kept in _kept if not kept.is_past][-_MOST:]
        gone = [kept for kept in _kept if kept not in left]
        _kept[:] = left
    for past in gone:
        past.connection.close()
