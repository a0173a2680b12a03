"""Connections to a server: how long each may be silent or slow, and whose is ended when there are too many.

uvicorn gives a connection all the time of the world within a request. Here a head has to be whole in ten seconds, what
nobody wants to read any more has five to go by, and whoever takes nothing of an answer for a minute doesn't get the
rest. Between two requests it has longer than clients and proxies keep it: who ends it is never the one that the next
request is on its way to, which would be lost. So a stranger can't keep connections, and what they keep meanwhile are
their own: where too many wait for a head, the oldest of the address that has most of them goes.
"""

import asyncio
import resource
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import h11
from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

from longshore.service.subscribers import network_of

HEAD_WITHIN = 10.0  # seconds for a whole head, and for the handshake of TLS before it
_IDLE = 75  # seconds between two requests
_REST_WITHIN = 5.0  # seconds for the rest of a body that was answered without being read
_REST = 1 << 20  # bytes of it: who waits for the answer has it by then
_TAKEN_WITHIN = 60.0  # seconds in which the other side has to take something of an answer
WAITING = 1000  # connections at most on which no whole head has come yet
_FILES = 65_536  # open ones; each connection is one


class BoundedProtocol(H11Protocol):
    def __init__(self, *args: Any, waiting: "_Waiting", **named: Any) -> None:
        super().__init__(*args, **named)
        self._end: asyncio.TimerHandle | None = None  # of what it is given time for
        self._for = ""
        self._passed_by = 0  # bytes of a rest
        self._stuck: asyncio.TimerHandle | None = None
        self._waiting = waiting

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waiting.add(self)
        self._await("head", HEAD_WITHIN)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()
        if self._for == "rest":
            self._passed_by += len(data)
            if self._passed_by > _REST:
                self.transport.abort()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await("", 0)
        self.resume_writing()
        self._waiting.remove(self)
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # which uvicorn leaves to itself where the connection was reset

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stuck = self._stuck or self.loop.call_later(_TAKEN_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stuck:
            self._stuck.cancel()
            self._stuck = None

    def _look(self) -> None:
        """Note what has to come next from the other side, and by when."""
        if self.conn.their_state is h11.IDLE:
            self._waiting.add(self)
            # Nothing of the next head yet: that is uvicorn's to bound
            self._await("head" if self.conn.trailing_data[0] else "", HEAD_WITHIN)
            return
        self._waiting.remove(self)
        over = self.conn.our_state in (h11.DONE, h11.MUST_CLOSE) and self.conn.their_state is h11.SEND_BODY
        self._await("rest" if over else "", _REST_WITHIN)

    def _await(self, what: str, seconds: float) -> None:
        """Begin to count where something else than before is awaited."""
        if what == self._for:
            return
        self._for, self._passed_by = what, 0
        if self._end:
            self._end.cancel()
        self._end = self.loop.call_later(seconds, self.transport.abort) if what else None


class _Waiting:
    """The connections of a server on which a head is awaited, by the network of the other side: `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: dict[str, dict[BoundedProtocol, None]] = {}
        self._count = 0

    def add(self, one: BoundedProtocol) -> None:
        own = self._of.setdefault(_network(one), {})
        if one not in own:
            own[one] = None
            self._count += 1
        if self._count > self._most:
            most = max(self._of.values(), key=len)
            oldest = next(iter(most))
            self.remove(oldest)
            oldest.transport.abort()

    def remove(self, one: BoundedProtocol) -> None:
        network = _network(one)
        own = self._of.get(network, {})
        if one in own:
            del own[one]
            self._count -= 1
            if not own:
                del self._of[network]


def _network(one: BoundedProtocol) -> str:
    return network_of(one.client[0] if one.client else "")


class ServerLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop, with less than the minute that it gives whoever says nothing in the handshake of TLS."""

    async def create_server(self, *args: Any, ssl: Any = None, **named: Any) -> asyncio.Server:
        listen: Callable[..., Awaitable[asyncio.Server]] = super().create_server
        within = {"ssl_handshake_timeout": HEAD_WITHIN, "ssl_shutdown_timeout": _REST_WITHIN} if ssl else {}
        return await listen(*args, ssl=ssl, **within, **named)


def bounded(app: ASGIApp, **options: Any) -> Config:
    """Return the configuration by which uvicorn serves an application with these bounds.

    From now on this process may have as many files open as it is let.
    """
    files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < _FILES:
        files = _FILES if most == resource.RLIM_INFINITY else min(most, _FILES)
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    protocol: Any = partial(BoundedProtocol, waiting=_Waiting(min(WAITING, files // 2)))
    return Config(app, http=protocol, loop=f"{__name__}:ServerLoop", ws="none", timeout_keep_alive=_IDLE, **options)
