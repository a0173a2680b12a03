"""The bodies of requests as they come in: of bounded size, and the large ones of a project one after another.

A large body takes memory while it comes, and time of everybody's while it is looked at. So one project's wait for each
other from its 256th KiB on, before more of them is read; what others send goes on beside them.
"""

import asyncio
from contextlib import AsyncExitStack
from weakref import WeakValueDictionary

from starlette.datastructures import Headers
from starlette.types import Receive, Scope

LARGE = 256 << 10  # bytes


class TooLarge(Exception):
    pass


class Bodies:
    def __init__(self, limit: int) -> None:
        """`limit`: the largest body, in bytes."""
        self.limit = limit
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def read(self, scope: Scope, receive: Receive, project_id: str, held: AsyncExitStack) -> bytes:
        """All of a request's body. It is the project's only large one until `held` is closed. Raises TooLarge."""
        said = Headers(scope=scope).get("content-length", "")
        if said.isdecimal() and int(said) > self.limit:
            raise TooLarge
        parts: list[bytes] = []
        size, waited = 0, False
        while True:
            message = await receive()
            parts.append(bytes(message.get("body", b"")))
            size += len(parts[-1])
            if size > self.limit:  # measured, too: what the headers say may be wrong, or missing
                raise TooLarge
            if not message.get("more_body", False):
                return b"".join(parts)
            if size > LARGE and not waited:
                await held.enter_async_context(self._turns.setdefault(project_id, asyncio.Lock()))
                waited = True
