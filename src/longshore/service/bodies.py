"""The bodies of requests as they come in: how large they may be, how long they may take, and whose turn it is.

A body is read once the caller's rule has been judged (judged.py), never before. What most routes are sent is looked at
within milliseconds. A large one takes memory while it comes and seconds of a processor while it is looked at. So those
of one project wait for each other before more of them is read, and what may be a whole plan is answered in a process of
its own (apart.py).
"""

import asyncio
import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

from anyio import CapacityLimiter, to_thread
from fastapi import HTTPException, Request
from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from longshore.errors import LongshoreError
from longshore.processes.apart import Apart

_KIB = 1 << 10
_WITHIN = 60.0  # seconds for a whole body, however steadily it trickles
_AT_ONCE = 2  # large bodies that are taken apart
_PARTS = b"[", b"{", b",", b"\\"  # what a body's time goes by, more than by its length


class TooLarge(LongshoreError):
    """The body has more bytes or parts than its route takes."""

    code = "too-large"


class TooSlow(LongshoreError):
    """The body wasn't there in time."""

    code = "too-slow"


@dataclass(frozen=True, slots=True)
class Room:
    """Bounds of a body: `bytes` and `parts` at most.

    Each list, object, further item and escaped character is a part. `apart`: what is large is answered in a process of
    its own.
    """

    bytes: int
    parts: int
    apart: bool = False


USUAL = Room(64 * _KIB, 8192)
_WITH_USER_DATA = Room(128 * _KIB, 8192)  # Nova takes 64 KiB of it
_WITH_NAMES = Room(512 * _KIB, 16_384)  # of a thousand or two of machines, by their paths in an inventory
_WITH_PLANS_NAMES = Room(1024 * _KIB, 32_768)  # of the ten thousand machines of a plan
# Ten thousand machines with ten options each; the operator says how many bytes
_WHOLE_PLAN = Room(1 << 40, 400_000, apart=True)
_PROPOSED_PLAN = Room(1 << 40, 65_536)  # the names of ten thousand machines, or thousands of OS-Migrate's workloads
# Rooms by route; all other routes have the usual one
LARGER: Mapping[str, Room] = {
    "PUT /v1/plans/{name}": _WHOLE_PLAN,
    "PATCH /v1/plans/{name}": _WHOLE_PLAN,
    "POST /v1/plans": _PROPOSED_PLAN,
    "PUT /v1/replica-file": _WHOLE_PLAN,
    "POST /v1/plans/{name}/check": _WITH_PLANS_NAMES,
    "POST /v1/plans/{name}/checks": _WITH_PLANS_NAMES,
    "POST /v1/plans/{name}/start": _WITH_PLANS_NAMES,
    "POST /v1/providers/{provider}/machines": _WITH_NAMES,
    "POST /v1/backup-policies": _WITH_NAMES,
    "PATCH /v1/backup-policies/{policy}": _WITH_NAMES,
    "POST /v1/replicas/adopt": _WITH_NAMES,
    "POST /v1/replica-groups": _WITH_NAMES,
    "PATCH /v1/replica-groups/{group}": _WITH_NAMES,
    "PATCH /v1/plans/{name}/machines/{machine:path}": _WITH_USER_DATA,
    "POST /v1/migrations": _WITH_USER_DATA,
    "POST /v1/replicas": _WITH_USER_DATA,
    "POST /v1/replicas/check": _WITH_USER_DATA,
    "POST /v1/restores": _WITH_USER_DATA,
    "POST /v1/restores/check": _WITH_USER_DATA,
}

# They have no body, and compute for seconds over what somebody has put into a vault
READING_VAULTS = {
    *("POST /v1/vaults/{vault}/check", "POST /v1/vaults/{vault}/recover"),
    *("GET /v1/vaults/{vault}/prunable", "GET /v1/vaults/{vault}/usage"),
}


class Bodies:
    """Bodies of the requests to one application."""

    def __init__(self, limit: int, apart: Apart | None = None) -> None:
        """Set the bounds of bodies. `limit`: the largest body of any route, in bytes."""
        self.apart = apart
        self._limit = limit
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._taking_apart = CapacityLimiter(_AT_ONCE)

    def room(self, method: str, path: str) -> Room:
        """Return how large the body of a route may be. `path`: as the route has it."""
        room = LARGER.get(f"{method} {path}", USUAL)
        return replace(room, bytes=min(room.bytes, self._limit))

    def turn(self, whose: str) -> asyncio.Lock:
        """Return the lock that the one request of a project that takes much holds while it is worked on."""
        return self._turns.setdefault(whose, asyncio.Lock())

    async def read(self, scope: Scope, receive: Receive, whose: str, room: Room, held: AsyncExitStack) -> bytes:
        """Return the whole body of a request. A large one is the only one of `whose`, a project, until `held` is
        closed.

        Raises TooLarge, TooSlow.
        """
        said = Headers(scope=scope).get("content-length", "")
        if said.isdecimal() and int(said) > room.bytes:
            raise _too_large(room)
        pieces: list[bytes] = []
        size, parts, waited = 0, 0, False
        try:
            async with asyncio.timeout(_WITHIN) as patience:
                while True:
                    message = await receive()
                    pieces.append(bytes(message.get("body", b"")))
                    size += len(pieces[-1])
                    parts += sum(map(pieces[-1].count, _PARTS))
                    if size > room.bytes or parts > room.parts:  # measured, too: headers may be wrong, or missing
                        raise _too_large(room)
                    if not message.get("more_body", False):
                        return b"".join(pieces)
                    if size > USUAL.bytes and not waited:
                        patience.reschedule(None)
                        await held.enter_async_context(self.turn(whose))
                        patience.reschedule(asyncio.get_running_loop().time() + _WITHIN)
                        waited = True
        except TimeoutError:
            raise TooSlow(f"The body wasn't there within {_WITHIN:.0f} s.", advice="Send it again.") from None

    async def take_apart(self, body: bytes) -> Any:
        """Return the content of a large body of JSON. Raises JSONDecodeError, UnicodeDecodeError, RecursionError."""
        read = json.loads  # noqa: TID251 as for small ones
        return await to_thread.run_sync(read, body, limiter=self._taking_apart)


class ReadRequest(Request):
    """A request whose body has been read."""

    def __init__(self, request: Request, bodies: Bodies, body: bytes) -> None:
        super().__init__(request.scope, request.receive)
        self._bodies, self._whole = bodies, body

    async def body(self) -> bytes:
        return self._whole

    async def json(self) -> Any:
        try:
            if len(self._whole) > USUAL.bytes:
                return await self._bodies.take_apart(self._whole)
            return json.loads(self._whole)  # noqa: TID251 FastAPI says what is wrong with it, in its own words
        except RecursionError:
            raise HTTPException(400, "The body has lists in lists in lists, too many of them") from None


def _too_large(room: Room) -> TooLarge:
    return TooLarge(
        f"The body is larger than what is taken here: {room.bytes} bytes, {room.parts} items and escaped characters."
    )
