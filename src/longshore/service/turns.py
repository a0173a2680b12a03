"""Slots of requests that are worked on at the same time, so that no project's requests keep those of all others
waiting.

A cloud may take minutes to answer, and a hostile one takes as long as it is let. Each such request has a thread of the
server while it lasts. A project gets a few of them; all projects together get less than there are, and what asks no
cloud finds the rest. Of all its requests, of whatever kind, a project has a few in work, and the others stand in a line
of its own. Whoever comes beyond that waits for a turn, and is told after a while to come again.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from longshore.errors import Busy

OF_CLOUDS = 6  # requests of one project that wait for clouds
OF_ALL_CLOUDS = 24  # of the 40 threads in which requests are answered
QUEUE = 50  # requests of one project that wait for their turn at clouds
OF_FILES = 2  # files that are sent to one project: each takes a confined process while it is
OF_ALL_FILES = 8
OF_CHECKS = 6  # checks of plans of one project that haven't ended
OF_READS = 3  # costly reads of one project
OF_STREAMS = 20  # streams of events of one project; each asks the database twice a second
OF_PAGES = 2  # of one project that are put together
OF_ALL_PAGES = 8
OF_READING = 1  # plans in forms of one project that are read
OF_ALL_READING = 4
IN_WORK = 10  # requests of one project, of any kind: those at clouds leave some to others of their project
LINE = 1000  # requests of one project that wait to be worked on
PATIENCE = 30.0  # seconds that they do
COME_AGAIN = 5  # seconds


@dataclass(slots=True)
class _Project:
    room: asyncio.Semaphore
    requests: int = 0  # that have their turn, or wait for it


class Turns:
    """Turns of one application: how many requests a project has at once, how many more may wait, how many all have."""

    def __init__(self, of_a_project: int, queue: int, of_all: int | None = None) -> None:
        self._of_a_project = of_a_project
        self._most = of_a_project + queue
        self._room = None if of_all is None else asyncio.Semaphore(of_all)
        self._projects: dict[str, _Project] = {}

    @asynccontextmanager
    async def turn(self, project_id: str) -> AsyncIterator[None]:
        """Hold a turn of the project during the block. Raises Busy."""
        project = self._projects.setdefault(project_id, _Project(asyncio.Semaphore(self._of_a_project)))
        if project.requests >= self._most:
            raise _busy()
        project.requests += 1
        try:
            async with AsyncExitStack() as held:
                await held.enter_async_context(_within(project.room))
                if self._room is not None:
                    await held.enter_async_context(_within(self._room))
                yield
        finally:
            project.requests -= 1
            if not project.requests:
                self._projects.pop(project_id, None)


def turns_of_pages() -> Turns:
    return Turns(OF_PAGES, LINE, OF_ALL_PAGES)


def turns_of_reading() -> Turns:
    return Turns(OF_READING, LINE, OF_ALL_READING)


class Streams:
    """Streams of events under way in one application, by project."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()

    def full(self, project_id: str) -> bool:
        return self._under_way[project_id] >= OF_STREAMS

    async def counted(self, project_id: str, told: AsyncIterator[str]) -> AsyncIterator[str]:
        if self.full(project_id):  # several were asked for in the same moment
            return
        self._under_way[project_id] += 1
        try:
            async for each in told:
                yield each
        finally:
            self._under_way[project_id] -= 1


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
    return Busy("Your project has too many requests under way.", advice="Try again in a moment.")
