"""Reads a near target back on threads, each of which waits for its own answers.

Where an answer takes hardly longer than a digest, a loop that does both is what limits verifying. libnbd and BLAKE3
both let go of the interpreter while they work, so a few threads with a connection each keep the processors busy: to
read, digest and compare one block after the other costs Python next to nothing. A far target needs more in flight than
there should be threads, and is left to the loop.

A reader gives up at the first error: what it hasn't compared then, the loop reads, with all its patience.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator

import nbd

from longshore.blocks.endpoints import STATE_ZERO, connect
from longshore.blocks.manifest import digest_of
from longshore.errors import CopyError
from longshore.model.extents import Extent

Work = tuple[Extent, bytes | None]


class Readers:
    """Threads that share `work`: extents with their digests, or with None for what should be zero.

    `left` is what the loop has to look at, `wrong` what differs. `wake` is called, on a thread, when there is something
    in `left`, and when the last thread has ended.
    """

    def __init__(self, uri: str, count: int, work: Iterator[Work], wake: Callable[[], None]) -> None:
        self._uri = uri
        self._work = work
        self._wake = wake
        self._lock = threading.Lock()
        self._stopped = False
        self._running = count
        self.compared = 0  # bytes
        self.wrong: list[Extent] = []
        self.left: deque[Work] = deque()
        for _ in range(count):
            threading.Thread(target=self._run, daemon=True).start()

    @property
    def ended(self) -> bool:
        return not self._running

    def stop(self) -> None:
        """Begin nothing new. Doesn't wait: a thread may be stuck with a server that doesn't answer."""
        self._stopped = True

    def _run(self) -> None:
        try:
            handle = connect(self._uri, extents=True)
            while (item := self._next()) is not None:
                self._compare(handle, item)
            handle.shutdown()
        except (CopyError, nbd.Error):
            pass  # The loop will find out what is the matter, and say so
        finally:
            with self._lock:
                self._running -= 1
            self._wake()

    def _next(self) -> Work | None:
        with self._lock:
            return None if self._stopped else next(self._work, None)

    def _compare(self, handle: nbd.NBD, item: Work) -> None:
        extent, expected = item
        try:
            if expected is not None:
                right = digest_of(handle.pread(extent.length, extent.offset)) == expected
            elif _says_zero(handle, extent):
                right = True
            else:
                self._leave(item)  # which of its blocks are in doubt is for the loop to ask
                return
        except nbd.Error:
            self._leave(item)
            raise
        with self._lock:
            self.compared += extent.length
            if not right:
                self.wrong.append(extent)

    def _leave(self, item: Work) -> None:
        self.left.append(item)
        self._wake()


def _says_zero(handle: nbd.NBD, extent: Extent) -> bool:
    """Whether the server says that all of it reads as zeroes."""
    position = extent.offset
    while position < extent.end:
        entries: list[int] = []

        def found(_context: str, _offset: int, answer: list[int], _error: object, into: list[int] = entries) -> int:
            into.extend(answer)
            return 0

        handle.block_status(extent.end - position, position, found)
        if not all(flags & STATE_ZERO for flags in entries[1::2]):
            return False
        position += sum(entries[::2])
    return True
