"""Reads a near target back on threads, each of which waits for its own answers.

Where an answer takes hardly longer than a digest, a loop that does both is what limits verifying. System calls and
BLAKE3 let go of the interpreter while they work, so a few threads with a connection each keep the processors busy: to
read, digest and compare one block after the other costs Python next to nothing (wire.py). A far target needs more in
flight than there should be threads, and is left to the loop; so are questions about what should be zero.

A reader gives up at the first error: what it hasn't compared then, the loop reads, with all its patience.
"""

import threading
from collections import deque
from collections.abc import Iterator

from longshore.blocks.lanes import Loop
from longshore.blocks.manifest import digest_of
from longshore.blocks.wire import Wire
from longshore.errors import CopyError
from longshore.model.extents import Extent

Work = tuple[Extent, bytes | None]


class Readers:
    """Threads that share `work`: extents with their digests, or with None for what should be zero.

    `left` is what the loop has to look at, `wrong` what differs. The loop is woken when there is something in `left`,
    and when the last thread has ended.
    """

    def __init__(self, loop: Loop, uri: str, count: int, block_size: int, work: Iterator[Work]) -> None:
        self._loop = loop
        self._uri = uri
        self._block_size = block_size
        self._work = work
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
            wire = Wire(self._uri)
            memory = memoryview(bytearray(self._block_size))
            while (item := self._next()) is not None:
                self._compare(wire, memory, item)
            wire.close()
        except (CopyError, OSError):
            pass  # The loop will find out what is the matter, and say so
        except BaseException as error:  # noqa: BLE001 - what it was reading has not been compared
            self._loop.fail(error)
        with self._lock:
            self._running -= 1
        self._wake()

    def _next(self) -> Work | None:
        with self._lock:
            return None if self._stopped else next(self._work, None)

    def _compare(self, wire: Wire, memory: memoryview, item: Work) -> None:
        extent, expected = item
        if expected is None:
            self._leave(item)
            return
        try:
            data = memory[: extent.length]
            wire.read(data, extent.offset)
            right = digest_of(data) == expected
        except OSError:
            self._leave(item)
            raise
        with self._lock:
            self.compared += extent.length
            if not right:
                self.wrong.append(extent)

    def _wake(self) -> None:
        self._loop.call_soon(lambda: None)

    def _leave(self, item: Work) -> None:
        self.left.append(item)
        self._wake()
