"""Costly reads that many ask for at once: those who wait for the same thing are answered together.

A plan of a thousand machines takes a tenth of a second to tell, and everybody who watches it asks again and again.
Whoever asks while a reading is under way waits for the next one, which begins after that: so each answer is of a moment
after it was asked for, and knows what the caller did before.
"""

import asyncio
from collections.abc import Callable, Hashable, Mapping
from typing import Annotated, Any, TypeVar

from anyio import to_thread
from fastapi import Depends, Request, Response

from longshore.service.turns import LINE, OF_READS, Turns

T = TypeVar("T")


class SharedReads:
    """Reads that requests of one application share."""

    def __init__(self) -> None:
        self._turns = Turns(OF_READS, LINE)
        self._now: dict[Hashable, asyncio.Task[Any]] = {}
        self._next: dict[Hashable, asyncio.Task[Any]] = {}

    async def read(self, what: Hashable, work: Callable[[], T], project: str = "") -> T:
        """Return what `work` returns, shared with all who ask for the same.

        `what` says it all: who may see what, and what was asked. `project`: whose; it reads a few things at a time, so
        that there are threads left for others. Raises what `work` raises, to all who share it, and Busy.
        """
        key = (asyncio.get_running_loop(), what)
        task: asyncio.Task[T] | None = self._next.get(key)
        if task is None:
            task = self._next[key] = asyncio.ensure_future(self._after(self._now.get(key), key, work, project))
        return await asyncio.shield(task)  # others wait for it when this caller goes away

    async def _after(self, before: asyncio.Task[Any] | None, key: Hashable, work: Callable[[], T], project: str) -> T:
        if before is not None:
            await asyncio.wait({before})
        self._now[key] = self._next.pop(key)
        try:
            async with self._turns.turn(f"{project} {id(asyncio.get_running_loop())}"):
                return await to_thread.run_sync(work)
        finally:
            if key not in self._next:
                del self._now[key]


def answered(body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, media_type="application/json", headers=headers)


def _reads(request: Request) -> SharedReads:
    reads: SharedReads = request.app.state.reads
    return reads


TheReads = Annotated[SharedReads, Depends(_reads)]
