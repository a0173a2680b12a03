"""Waiting for what passes by itself, so that it doesn't cost a migration: a cloud that doesn't answer or asks to wait,
one that is busy with the very thing, and a log-in that is refused and was accepted before.

docs/decisions/errors-that-pass.md lists what each provider's errors count as.

Only what a cloud is asked through `Clouds` is waited for, call by call: each call finds what an earlier try of it may
have made, as it does when the process is killed in between. The user is told what is waited for, and may cancel.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from longshore.errors import FAULT, LoginRefused, LongshoreError, Occupied, Unreachable

T = TypeVar("T")
PASSING = (Unreachable.code, FAULT)  # errors after which nothing is known of what was asked
LONGEST = 1800.0  # seconds without any answer of a cloud after which it is given up
BRIEFLY = 30.0  # seconds, of one that was away for longer than that already
FAULTS = 3  # times that a cloud may fail without a reason: a lost message, or something that stays
OCCUPIED = 300.0  # seconds that somebody else's work on a thing is waited for; the machine may be off meanwhile
LOGINS = 2  # times that a log-in is tried again: more of them lock an account
_PAUSES = (1.0, 15.0)  # seconds: the first between two tries, doubled each time, and the longest
_LOOK_EVERY = 1.0  # seconds between looks whether the waiting is still wanted

Say = Callable[[str, str], None]  # a sentence, and its level


class Outages:
    """The outages of the clouds that one migration uses. Several of its threads may wait side by side."""

    def __init__(self, say: Say, raise_if_cancelled: Callable[[], None], *, tried_before: bool = False) -> None:
        """`raise_if_cancelled` raises when the waiting has no sense any more.

        `tried_before`: a cloud that is away now has been for long, and isn't waited for as long once more, until it has
        answered.
        """
        self._say = say
        self._raise_if_cancelled = raise_if_cancelled
        self._lock = threading.Lock()
        self._tried_before = tried_before
        self._answered: set[str] = set()
        self._since: dict[str, float] = {}

    def through(self, cloud: str, work: Callable[[], T]) -> T:
        """Return what `work` answers, tried again until the cloud of this name does answer.

        Raise Unreachable after LONGEST seconds without an answer, Occupied after OCCUPIED seconds of somebody else's
        work, the last error after FAULTS faults or LOGINS refused log-ins, and at once whatever else `work` raises.
        """
        pause, tries = _PAUSES[0], Counter[str]()
        began: float | None = None  # to wait for somebody else's work
        while True:
            try:
                answer = work()
            except LongshoreError as error:
                tries[error.code] += 1
                if isinstance(error, Occupied):
                    began = self._others_work(error, began)
                elif not self._is_waited_for(cloud, error, tries):
                    raise
                elif isinstance(error, LoginRefused):
                    pause = _PAUSES[1]
            else:
                self._answers(cloud)
                return answer
            end = time.monotonic() + pause
            while (left := end - time.monotonic()) > 0:
                self._raise_if_cancelled()
                time.sleep(min(left, _LOOK_EVERY))
            pause = min(pause * 2, _PAUSES[1])

    def _is_waited_for(self, cloud: str, error: LongshoreError, tries: Counter[str]) -> bool:
        if isinstance(error, LoginRefused):
            return cloud in self._answered and tries[error.code] <= LOGINS
        if error.code not in PASSING or tries[FAULT] > FAULTS:
            return False
        return time.monotonic() - self._away_since(cloud, error) < self._longest(cloud)

    def _others_work(self, error: Occupied, began: float | None) -> float:
        """Return since when somebody else's work has been waited for. Raise the error once that is too long."""
        now = time.monotonic()
        if began is None:
            self._say(f"{error.message} Trying again, for {OCCUPIED / 60:.0f} minutes at most.", "warning")
            return now
        if now - began >= OCCUPIED:
            raise error
        return began

    def _longest(self, cloud: str) -> float:
        return BRIEFLY if self._tried_before and cloud not in self._answered else LONGEST

    def _away_since(self, cloud: str, error: LongshoreError) -> float:
        with self._lock:
            if known := self._since.get(cloud):
                return known
            self._since[cloud] = now = time.monotonic()
        if self._longest(cloud) == LONGEST:
            text = f"{error.message} Waiting for {cloud} to answer, for {LONGEST / 60:.0f} minutes at most."
            self._say(text, "warning")
        return now

    def _answers(self, cloud: str) -> None:
        with self._lock:
            since = self._since.pop(cloud, None)
            self._answered.add(cloud)
        if since is not None:
            self._say(f"{cloud} answers again after {time.monotonic() - since:.0f} s: going on.", "information")
