"""Asking again a server that doesn't answer: what is being watched goes on without it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from longshore.errors import LongshoreError
from longshore.model.durations import duration

T = TypeVar("T")
_AWAY = {"unreachable", "identity-unavailable"}  # codes: nobody answers, its database doesn't, Keystone doesn't
_LONGEST = 600.0  # seconds without an answer after which the watching ends
_PAUSE = 2.0  # seconds between two tries


def retry_while_away(work: Callable[[], T], say: Callable[[str], None]) -> T:
    """Return what `work` answers, once the server does; `say` is told when it doesn't, and when it does again.

    Raises what the last try raised when that takes too long.
    """
    began: float | None = None
    while True:
        try:
            answer = work()
        except LongshoreError as error:
            if error.code not in _AWAY:
                raise
            if began is None:
                began = time.monotonic()
                say(f"{error.message} Asking again; what runs goes on meanwhile.")
            if time.monotonic() - began >= _LONGEST:
                raise
        else:
            if began is not None:
                say(f"There is an answer again, after {duration(time.monotonic() - began)}.")
            return answer
        time.sleep(_PAUSE)
