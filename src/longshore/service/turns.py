"""Who may wait for other clouds at the same time, so that nobody's waiting keeps all others waiting.

A cloud may take minutes to answer, and a hostile one takes as long as it is let. Each such request has a thread of the
server while it lasts. A project gets a few of them; all projects together get less than there are, and what asks no
cloud finds the rest. Whoever comes beyond that waits for a turn, and is told after a while to come again.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from longshore.errors import LongshoreError

OF_A_PROJECT = 6  # requests that wait for clouds
OF_ALL = 24  # of the 40 threads in which requests are answered
QUEUE = 50  # requests of one project that wait for their turn
PATIENCE = 30.0  # seconds that they do
COME_AGAIN = 5  # seconds


class Busy(LongshoreError):
    """The caller's project has as much under way as it may."""

    code = "too-many-requests"


@dataclass(slots=True)
class _Project:
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(OF_A_PROJECT))
    requests: int = 0  # that have their turn, or wait for it


class Turns:
    """Of one application."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(OF_ALL)
        self._projects: dict[str, _Project] = {}

    @asynccontextmanager
    async def turn(self, project_id: str) -> AsyncIterator[None]:
        """Raises Busy."""
        project = self._projects.setdefault(project_id, _Project())
        if project.requests >= OF_A_PROJECT + QUEUE:
            raise _busy()
        project.requests += 1
        try:
            async with _within(project.room), _within(self._room):
                yield
        finally:
            project.requests -= 1
            if not project.requests:
                self._projects.pop(project_id, None)


@asynccontextmanager
async def _within(room: asyncio.Semaphore) -> AsyncIterator[None]:
    try:
        await asyncio.wait_for(room.acquire(), PATIENCE)
    except TimeoutError:
        raise _busy() from None
    try:
        yield
    finally:
        room.release()


def _busy() -> Busy:
    return Busy("Too many requests that wait for clouds are under way.", advice="Try again in a moment.")
