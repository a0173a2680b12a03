"""Precedence of requests: of those that could be worked on now, those go first whose projects have had less lately.

Python computes in one thread at a time. So each request that is at work slows all others down, however many threads
there are, and whoever asks without a pause would have half of the server beside anybody. Here it has what others leave:
before its next request begins it waits until those of projects that have had less are done, for a moment at most.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

_MOMENT = 0.25  # seconds that a request makes way; what has been at work for longer waits for something else
_RECENT = 1.0  # seconds after its last request that a project is taken to go on
_HALVED = 5.0  # seconds in which half of what was had is forgotten
_MUCH = 1.5  # times what another has had
_LITTLE = 0.2  # seconds of work, for which nobody makes way
_MANY, _FORGOTTEN = 100, 0.01  # projects, beyond which those are forgotten that have had less seconds than that


@dataclass(slots=True, eq=False)
class _Project:
    had: float = 0.0  # seconds of work, as of `at`
    at: float = 0.0
    begun: dict[object, float] = field(default_factory=dict)  # requests at work, and when they began

    def lately(self, now: float) -> float:
        return sum(now - begun for begun in self.begun.values()) + self.had * _left(now - self.at)

    def is_at_work(self, now: float) -> bool:
        return any(now - begun < _MOMENT for begun in self.begun.values())


def _left(seconds: float) -> float:
    """Return the share that still counts of what was had that long ago."""
    return math.pow(0.5, seconds / _HALVED)


class Shares:
    """Shares of the projects in the work of one application."""

    def __init__(self) -> None:
        self._projects: dict[str, _Project] = {}
        self._done = asyncio.Event()  # a new one each time

    @asynccontextmanager
    async def share(self, project_id: str) -> AsyncIterator[None]:
        """Hold the project's share while a request of it is worked on.

        It begins when nobody goes before it any more.
        """
        own = self._projects.setdefault(project_id, _Project())
        until = time.monotonic() + _MOMENT
        while (left := until - time.monotonic()) > 0 and self._goes_after(own):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._done.wait(), left)
        request = object()
        self._projects[project_id] = own  # it may have been forgotten meanwhile
        own.begun[request] = time.monotonic()
        try:
            yield
        finally:
            self._end(own, request)

    def _goes_after(self, own: _Project) -> bool:
        """Tell whether a request of this project has to wait for others.

        It does while a project that has had much less is at work; or goes on to ask, and this one has a request at
        work.
        """
        now = time.monotonic()
        most = (own.lately(now) - _LITTLE) / _MUCH
        busy = own.is_at_work(now)
        return any(
            other.is_at_work(now) or (busy and now - other.at < _RECENT)
            for other in self._projects.values()
            if other is not own and other.lately(now) < most
        )

    def _end(self, own: _Project, request: object) -> None:
        now = time.monotonic()
        began = own.begun.pop(request)
        own.had, own.at = own.had * _left(now - own.at) + now - began, now
        self._done.set()
        self._done = asyncio.Event()
        if len(self._projects) > _MANY:
            self._projects = {
                project: one for project, one in self._projects.items() if one.begun or one.lately(now) > _FORGOTTEN
            }
