"""One side of a copy: several connections to one NBD export, driven by one poll loop.

The first connection is used until it has enough in flight, then the one with the least: a near server, which answers
fast, gets by with one, reads in order and doesn't have its threads wait for each other's locks; a far one is spoken to
on all. When an operation fails, it is tried again with back-off on a fresh connection; only an error that lasts, or
that trying again can't change, reaches whoever asked for it. But a flush that failed takes with it what it was to make
safe: that has to be written again.

Nothing here blocks: connecting, which can, happens on a thread.
"""

from __future__ import annotations

import errno
import heapq
import itertools
import math
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto

import nbd

from longshore.blocks.endpoints import Endpoint, connect, describe
from longshore.errors import CopyError
from longshore.processes.deadline import check as check_deadline

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from typing import TypeVar

    Result = TypeVar("Result")

ENOUGH = 8  # operations in flight on a connection before the next is used as well
FIRST_PAUSE = 0.1  # seconds before the first retry; doubles each time
LONGEST_PAUSE = 5.0
MAXIMUM_ATTEMPTS = 6  # of an operation that the server itself refuses; lost connections are judged by time alone

_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EPERM, errno.EROFS, errno.EINVAL, errno.EOVERFLOW, errno.ENOTSUP}
_LOST = {errno.ENOTCONN, errno.ECONNRESET, errno.EPIPE, errno.ESHUTDOWN}
_EVENTS = {0: 0, 1: select.POLLIN, 2: select.POLLOUT, 3: select.POLLIN | select.POLLOUT}


class OperationKind(Enum):
    READ = auto()
    WRITE = auto()
    ZERO = auto()
    STATUS = auto()
    FLUSH = auto()


_VERBS = {
    OperationKind.READ: "read",
    OperationKind.WRITE: "write",
    OperationKind.ZERO: "write zeroes to",
    OperationKind.STATUS: "say what is in",
    OperationKind.FLUSH: "flush",
}


class PendingRequest:
    """A request, and whom to tell when it has been answered. One that fails for good shows in `Connections.failure`."""

    __slots__ = ("attempts", "buffer", "done", "extents", "failing_since", "kind", "length", "offset")

    def __init__(
        self,
        kind: OperationKind,
        offset: int,
        length: int,
        done: Callable[[PendingRequest], None],
        buffer: nbd.Buffer | None = None,
    ) -> None:
        self.kind = kind
        self.offset = offset
        self.length = length
        self.done = done
        self.buffer = buffer
        self.extents: list[int] = []  # answer of STATUS: length, flags, length, flags, …
        self.attempts = 0
        self.failing_since = 0.0


def _nothing() -> None:
    """Do nothing: the default for whom nobody wants to tell."""


class CopyLoop:
    """poll(2) over all connections of both sides, timers, and calls from threads and signal handlers."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._connections: dict[int, _Connection] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._calls: deque[Callable[[], None]] = deque()
        # libnbd calls back with the connection locked, so callbacks only note what is finished; turn() deals with it
        self.finished: deque[Callable[[], None]] = deque()
        self._lock = threading.RLock()  # a signal handler may interrupt the thread that holds it
        self._closed = False
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wake_fd, select.POLLIN)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            os.close(self._wake_fd)
        self._calls.clear()  # they may hold connections that were made too late
        self.finished.clear()

    def call_soon(self, call: Callable[[], None]) -> None:
        """Run `call` in the loop's thread. May be called from any thread, and from signal handlers."""
        with self._lock:
            if not self._closed:
                self._calls.append(call)
                os.eventfd_write(self._wake_fd, 1)

    def fail(self, error: BaseException) -> None:
        """Raise `error` in the loop's thread, which ends the copy: nobody expects it. May be called from any thread."""

        def fail() -> None:
            raise error

        self.call_soon(fail)

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._numbers), call))

    def in_thread(self, work: Callable[[], Result], done: Callable[[Result | BaseException], None]) -> None:
        """Run `work` on a thread, then `done` in the loop, with what it returned or raised."""

        def run() -> None:
            outcome: Result | BaseException
            try:
                outcome = work()
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for it
                outcome = error
            self.call_soon(lambda: done(outcome))

        # Not from a pool: there are few of them, and one stuck in connect() must not keep the process from ending
        threading.Thread(target=run, daemon=True).start()

    def add(self, connection: _Connection) -> None:
        self._connections[connection.fd] = connection
        self._poll.register(connection.fd, 0)

    def remove(self, connection: _Connection) -> None:
        if self._connections.pop(connection.fd, None) is not None:
            self._poll.unregister(connection.fd)

    def turn(self, wait: float) -> None:
        """Wait at most `wait` seconds for something to happen, and deal with it."""
        if self._timers:
            wait = min(wait, max(0.0, self._timers[0][0] - time.monotonic()))
        if self.finished:
            wait = 0.0
        for connection in self._connections.values():
            direction = connection.handle.aio_get_direction()
            if direction != connection.direction:
                connection.direction = direction
                self._poll.modify(connection.fd, _EVENTS[direction])
        for fd, events in self._poll.poll(math.ceil(wait * 1000)):
            if fd == self._wake_fd:
                os.eventfd_read(fd)
                continue
            connection = self._connections[fd]
            try:
                if connection.direction & 1 and events & (select.POLLIN | select.POLLHUP | select.POLLERR):
                    connection.handle.aio_notify_read()
                else:
                    connection.handle.aio_notify_write()
            except nbd.Error:
                # The connection is dead; what was in flight on it has been called back with an error
                connection.lost()
        while self.finished:
            self.finished.popleft()()
        while self._calls:
            self._calls.popleft()()
        if self._timers:
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                heapq.heappop(self._timers)[2]()


class _Connection:
    """One connection."""

    __slots__ = ("_lost", "broken", "direction", "fd", "handle", "in_flight", "leaving")

    def __init__(self, handle: nbd.NBD, lost: Callable[[_Connection], None]) -> None:
        self.handle = handle
        self.fd: int = handle.aio_get_fd()
        self.direction = 0
        self.in_flight = 0
        self.broken = False  # and on_loss() has been told
        self.leaving = False  # gets no new operations; closed when the last one has been answered
        self._lost = lost

    def lost(self) -> None:
        self._lost(self)


def _pause(attempts: int) -> float:
    """Return the seconds before an operation that failed so often is tried again."""
    return min(FIRST_PAUSE * 2.0 ** max(0, attempts - 1), LONGEST_PAUSE)


class Connections:
    """Connections to one export, of which `first` is one. `role`, "source" or "target", and `disk` are for messages."""

    def __init__(self, loop: CopyLoop, uri: str, first: nbd.NBD, *, role: str, disk: str, retry_for: float) -> None:
        self._loop = loop
        self._uri = uri
        self._role = role
        self._disk = disk
        self._retry_for = retry_for
        self._connections: list[_Connection] = []
        self._waiting: deque[PendingRequest] = deque()
        self._connecting = 0
        self._wanted = self._most = 1
        self._failing_since = 0.0  # no connection at all since then
        self._failed_flushes = 0  # one after the other
        self._pause = FIRST_PAUSE
        self.in_flight = 0
        self.failure: CopyError | None = None
        self.on_loss: Callable[[], None] = _nothing  # called when no flush will cover what was written since the last
        self.endpoint: Endpoint = describe(uri, first)
        self._add(first)

    def widen(self, connections: int) -> None:
        """Have up to that many connections from now on: one, and all once that has enough in flight."""
        self._most = connections

    def close(self) -> None:
        """Say goodbye and close the sockets: a server may wait for its last client."""
        self._wanted = self._most = 0
        self.on_loss = _nothing
        for connection in self._connections:
            self._retire(connection)
            # What is still in flight refers to the connection: only without its handle is the socket closed now
            del connection.handle
        self._connections.clear()

    def submit(self, operation: PendingRequest) -> None:
        self.in_flight += 1
        if operation.kind is OperationKind.FLUSH and self._failed_flushes:
            self._loop.call_later(_pause(self._failed_flushes), lambda: self._issue(operation))
        else:
            self._issue(operation)

    def _add(self, handle: nbd.NBD) -> None:
        connection = _Connection(handle, self._abandon)
        self._connections.append(connection)
        self._loop.add(connection)

    def _retire(self, connection: _Connection) -> None:
        self._loop.remove(connection)
        with suppress(nbd.Error):
            if connection.in_flight == 0 and connection.handle.aio_is_ready():
                connection.handle.aio_disconnect()

    def _abandon(self, connection: _Connection) -> None:
        """Give this connection no new operations, and make another instead."""
        broken = connection.handle.aio_is_dead() or connection.handle.aio_is_closed()
        if not connection.leaving:
            connection.leaving = True
            self._connections.remove(connection)
            self._replace()
        if not connection.broken and (broken or not self.endpoint.multi_conn):
            connection.broken = True
            self.on_loss()
        if broken or connection.in_flight == 0:
            self._retire(connection)

    def _issue(self, operation: PendingRequest) -> None:
        if not self._connections:
            self._waiting.append(operation)
            return
        connection = self._connections[0]
        for other in self._connections:
            if connection.in_flight < ENOUGH:
                break
            if other.in_flight < connection.in_flight:
                connection = other
        if connection.in_flight >= ENOUGH and self._wanted < self._most:
            self._wanted = self._most
            self._replace()
        connection.in_flight += 1
        finished = self._loop.finished

        def completed(error: ctypes.c_int) -> int:
            number = error.value
            finished.append(lambda: self._finish(connection, operation, number))
            return 1

        handle = connection.handle
        try:
            match operation.kind:
                case OperationKind.READ:
                    handle.aio_pread(operation.buffer, operation.offset, completed)
                case OperationKind.WRITE:
                    check_deadline()
                    handle.aio_pwrite(operation.buffer, operation.offset, completed)
                case OperationKind.ZERO:
                    check_deadline()
                    handle.aio_zero(operation.length, operation.offset, completed)
                case OperationKind.FLUSH:
                    handle.aio_flush(completed)
                case OperationKind.STATUS:
                    found = operation.extents
                    found.clear()

                    def extents(_context: str, _offset: int, entries: Sequence[int], _error: ctypes.c_int) -> int:
                        found.extend(entries)
                        return 0

                    handle.aio_block_status(operation.length, operation.offset, extents, completed)
        except nbd.Error as error:
            # It was never sent, so `completed` will not be called
            number = error.errnum or errno.ENOTCONN
            finished.append(lambda: self._finish(connection, operation, number))

    def _finish(self, connection: _Connection, operation: PendingRequest, number: int) -> None:
        connection.in_flight -= 1
        if number:
            self._failed(connection, operation, number)
            return
        if connection.leaving and connection.in_flight == 0:
            self._retire(connection)
        self.in_flight -= 1
        if operation.kind is OperationKind.FLUSH:
            self._failed_flushes = 0
        operation.done(operation)

    def _failed(self, connection: _Connection, operation: PendingRequest, number: int) -> None:
        now = time.monotonic()
        lost = connection.handle.aio_is_dead() or connection.handle.aio_is_closed() or number in _LOST
        self._abandon(connection)
        if operation.kind is OperationKind.FLUSH:
            self._not_flushed(
                operation, number, dead=connection.handle.aio_is_dead() or connection.handle.aio_is_closed()
            )
            return
        if operation.failing_since == 0.0:
            operation.failing_since = now
        if not lost:
            operation.attempts += 1
        if (
            (not lost and number in _HOPELESS)
            or operation.attempts >= MAXIMUM_ATTEMPTS
            or now - operation.failing_since > self._retry_for
        ):
            self._fail(self._explain(operation, number))
            return
        self._loop.call_later(_pause(operation.attempts), lambda: self._issue(operation))

    def _not_flushed(self, flush: PendingRequest, number: int, *, dead: bool) -> None:
        """Count all that was written since the last flush as lost: a kernel says once that it dropped what it couldn't
        write.

        Another flush would succeed, and say nothing of that. So this one isn't tried again; there will be another when
        what is lost has been written once more.
        """
        self.in_flight -= 1
        self.on_loss()
        if dead:
            return
        self._failed_flushes += 1
        flush.attempts = self._failed_flushes
        if number in _HOPELESS or flush.attempts >= MAXIMUM_ATTEMPTS:
            self._fail(self._explain(flush, number))

    def _replace(self) -> None:
        while len(self._connections) + self._connecting < self._wanted and self.failure is None:
            self._connecting += 1
            self._loop.in_thread(lambda: connect(self._uri, extents=True), self._connected)

    def _connected(self, outcome: nbd.NBD | BaseException) -> None:
        self._connecting -= 1
        if not isinstance(outcome, BaseException):
            size = outcome.get_size()
            if size != self.endpoint.size:
                self._fail(
                    CopyError(
                        f"The {self._role} of {self._disk} changed its size from {self.endpoint.size} to {size} bytes "
                        "during the copy.",
                        advice="Start a new copy.",
                    )
                )
                return
            self._failing_since, self._pause = 0.0, FIRST_PAUSE
            self._add(outcome)
            waiting, self._waiting = self._waiting, deque()
            for operation in waiting:
                self._issue(operation)
            return
        if not isinstance(outcome, CopyError):
            raise outcome
        now = time.monotonic()
        if not self._connections:
            self._failing_since = self._failing_since or now
            if now - self._failing_since >= self._retry_for:
                self._fail(
                    CopyError(
                        f"The {self._role} of {self._disk} is gone: {outcome.message}",
                        advice="When it is back, run the copy again: with a checkpoint it goes on where it stopped.",
                        code=outcome.code,
                    )
                )
                return
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._loop.call_later(self._pause, self._replace)

    def _fail(self, error: CopyError) -> None:
        self.failure = self.failure or error

    def _explain(self, operation: PendingRequest, number: int) -> CopyError:
        where = f"{operation.length} bytes at offset {operation.offset} of {self._disk}"
        if operation.kind is OperationKind.FLUSH:
            where = f"what was written to {self._disk}"
        if number in (errno.ENOSPC, errno.EDQUOT):
            return CopyError(
                f"The target is full: {where} could not be written.",
                advice="Enlarge it and run the copy again: with a checkpoint it goes on where it stopped.",
                code="target-full",
            )
        if number in (errno.EPERM, errno.EROFS) and operation.kind in (OperationKind.WRITE, OperationKind.ZERO):
            return CopyError(
                f"The target refuses to be written: {where}: {os.strerror(number)}.",
                advice="See whether it is served read-only.",
                code="target-read-only",
            )
        times = f" {operation.attempts} times" if operation.attempts > 1 else ""
        return CopyError(
            f"The {self._role} failed{times} to {_VERBS[operation.kind]} {where}: {os.strerror(number)}.",
            advice=f"See what the {self._role}'s server and storage say.",
        )
