"""Threads in which others are told something. A listener that is slow keeps only those of its own project waiting."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

AT_ONCE = 32  # of all projects
OF_A_PROJECT = 2
LINE = 200  # of one project that wait

_log = logging.getLogger("longshore.engine")


@dataclass(slots=True)
class _Project:
    waiting: deque[Callable[[], None]] = field(default_factory=deque)
    turns: int = 0  # of its own: they tell something now, or are
    due: int = 0  # in the line of all


class Telling:
    """A queue of things to tell, in which projects take turns: each has a few places in the line of all, and keeps the
    others of its own behind these.

    Each thing that is told has to come to an end by itself. A process doesn't end before all is told.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="telling")
        self._projects: dict[str, _Project] = {}
        self._changed = threading.Condition()

    def tell(self, project: str, work: Callable[[], None]) -> bool:
        """Have `work` done as soon as it is the project's turn. Return False when too many of its own wait already."""
        with self._changed:
            own = self._projects.setdefault(project, _Project())
            if len(own.waiting) >= LINE:
                return False
            own.waiting.append(work)
            if own.turns < OF_A_PROJECT:
                own.turns += 1
                own.due += 1
                self._pool.submit(self._turn, project, own)
        return True

    def wait(self, timeout: float) -> bool:
        """Wait until all is told. Return False when that took longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._projects, timeout)

    def _turn(self, project: str, own: _Project) -> None:
        more = True
        while more:
            with self._changed:
                own.due -= 1
                work = own.waiting.popleft()
            try:
                work()
            except Exception:  # noqa: BLE001 nobody waits for it
                _log.exception("telling something failed")
            more = self._goes_on(project, own)

    def _goes_on(self, project: str, own: _Project) -> bool:
        """Tell whether the project's next one is to be told at once; else others have their turn before, or it is
        through."""
        with self._changed:
            if len(own.waiting) > own.due:
                own.due += 1
                try:
                    self._pool.submit(self._turn, project, own)
                except RuntimeError:  # this process ends, and waits for what has begun
                    return True
                return False
            own.turns -= 1
            if not own.turns:
                del self._projects[project]
                self._changed.notify_all()
            return False
