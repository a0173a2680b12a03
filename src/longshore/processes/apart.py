"""Work that takes long or much memory, each piece in a process of its own that has read all of the program already.

Python computes in one thread at a time: while a process looks at what somebody's ten thousand machines are given, it
answers everybody else half as fast, or worse. So a server sets a process aside before it has threads or callers. That
one does nothing but fork: a child takes what it is given, answers, and ends. It is the processors' last choice, its
memory and time are bounded, it is the first to go when memory runs out, and it ends with whoever waits for it.
"""

import asyncio
import gc
import logging
import os
import resource
import select
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from longshore.errors import Overstepped

_AT_ONCE = 6
_MEMORY = 1 << 30  # bytes of address space, beyond what the process that was set aside has
_SECONDS = 600  # from start to end: what asks clouds waits for them
_COURTESY = 10  # of 19
_GONE_FIRST = "1000"  # of 1000
_NAME = 64  # letters of what is to be done, at most


@dataclass(frozen=True, slots=True)
class Work:
    does: Callable[[bytes], bytes]
    computing: int = 60  # seconds of a processor that it may take


_log = logging.getLogger("longshore.apart")


class Apart:
    """A server has one. What is to be done there is put into `works`, by name, before `begin`."""

    def __init__(self) -> None:
        self.works: dict[str, Work] = {}
        self._control: socket.socket | None = None
        self._room = asyncio.Semaphore(_AT_ONCE)

    def begin(self) -> None:
        """Set the process aside. Here, there may be no other thread yet: its locks would be held for ever there."""
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            status = 1
            try:
                ours.close()
                _serve(theirs, self.works)
                status = 0
            finally:
                os._exit(status)
        theirs.close()
        self._control = ours

    def close(self) -> None:
        if self._control:
            self._control.close()
            self._control = None

    async def do(self, name: str, given: bytes) -> bytes:
        """Return what the named work makes of `given`: in a process set aside for that, or in a thread here where there
        is none.

        A few at a time; further ones wait. Raises Overstepped when it takes more memory or time than it may.
        """
        async with self._room:
            return await self._done(name, given)

    async def _done(self, name: str, given: bytes) -> bytes:
        wire = self._process()
        if wire is None:
            return await asyncio.to_thread(self.works[name].does, given)
        reader, writer = await asyncio.open_unix_connection(sock=wire)
        done = b""
        try:
            with suppress(ConnectionError):  # it has ended; that it says nothing tells
                writer.write(name.encode().ljust(_NAME))
                writer.write(given)
                writer.write_eof()
                done = await reader.read()
        finally:
            writer.close()
        if not done:
            raise Overstepped("This takes more memory or time than it may.", advice="Ask for less at once.")
        return done[1:]

    def _process(self) -> socket.socket | None:
        """Return a wire to a new process; None where nobody makes any."""
        if self._control is None:
            return None
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [b"."], [theirs.fileno()])
            except OSError:  # something has ended it
                ours.close()
                self.close()
                return None
        return ours


def _serve(control: socket.socket, works: dict[str, Work]) -> None:
    """Start a process for each request that comes, until the server has ended."""
    for ending in (signal.SIGINT, signal.SIGTERM):  # sent to all of a service: what is under way is finished
        signal.signal(ending, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how children have ended
    gc.freeze()  # memory that nobody writes to is one for all
    while True:
        said, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not said:
            return
        with socket.socket(fileno=descriptors[0]) as wire:
            if os.fork() == 0:
                try:
                    control.close()
                    _work(wire, works)
                finally:
                    os._exit(0)


def _work(wire: socket.socket, works: dict[str, Work]) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(wire.fileno(),), daemon=True).start()
    with wire.makefile("rb") as asked:
        name = asked.read(_NAME).decode().strip()
        _bound(works[name].computing)
        given = asked.read()
    try:
        done = works[name].does(given)
    except MemoryError:
        return
    except Exception:  # noqa: BLE001 its server hears only that it has ended
        _log.exception("%s failed", name)
        return
    with suppress(ConnectionError):
        wire.sendall(b"!" + done)


def _bound(computing: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    Path("/proc/self/oom_score_adj").write_text(_GONE_FIRST)
    os.nice(_COURTESY)
    memory = pages * resource.getpagesize() + _MEMORY
    for what, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, computing), (resource.RLIMIT_CORE, 0)):
        resource.setrlimit(what, (most, most))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, _SECONDS)


def _end_with(wire: int) -> None:
    """End this process once the other side of the wire is gone: nobody waits for its answer any more."""
    waiting = select.poll()
    waiting.register(wire, 0)  # which leaves POLLHUP, of both directions
    waiting.poll()
    os._exit(0)
