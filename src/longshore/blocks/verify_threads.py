"""Reads a near target back on threads, each of which waits for its own answers.

Where an answer takes hardly longer than a digest, a loop that does both is what limits verifying. System calls and
BLAKE3 let go of the interpreter while they work, so a few threads with a connection each keep the processors busy: to
read, digest and compare one block after the other costs Python next to nothing (wire.py). A far target needs more in
flight than there should be threads, and is left to the loop; so are questions about what should be zero.

Each takes stretches of neighbouring blocks, as a server's kernel reads ahead only where a connection reads one block
after the other. One thread for each processor is best as long as what they read is in memory; where it comes from a
disk they only wait, and there are more of them.

A thread gives up at the first error: what it hasn't compared then, the loop reads, with all its patience.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice

from longshore.blocks.connections import CopyLoop
from longshore.blocks.manifest import digest_of
from longshore.blocks.processors import own_processor, threads
from longshore.blocks.wire import Wire
from longshore.errors import CopyError
from longshore.model.extents import Extent

Work = tuple[Extent, bytes | None]

STRETCH = 64  # blocks at most that a thread takes at once; fewer near the end, so that all are done at the same time
WAITING = 7.0  # times as long as digesting it: reading a block from memory takes 2 to 4 times as long, from a disk 12
TRIED = 16  # blocks of each thread, after which it is seen whether there should be another thread


class VerifyThreads:
    """Threads that share `work`: extents with their digests, or with None for what should be zero.

    `size` is how many bytes that is; `most` are the threads there may be. `left` is what the loop has to look at,
    `wrong` what differs. The loop is woken when there is something in `left`, and when the last thread has ended.
    """

    def __init__(
        self, loop: CopyLoop, uri: str, work: Iterator[Work], *, size: int, most: int, block_size: int
    ) -> None:
        self._loop = loop
        self._uri = uri
        self._block_size = block_size
        self._work = work
        self._size = size  # of what nobody has taken yet
        self._most = most
        self._lock = threading.Lock()
        self._stopped = False
        self._running = 0
        self._tried = 0  # blocks since a thread was added last
        self._read_time = self._digest_time = 0.0  # seconds that these blocks took
        self.compared = 0  # bytes
        self.wrong: list[Extent] = []
        self.left: deque[Work] = deque()
        with self._lock:
            count = threads(most)
            for number in range(count):
                self._begin(own_processor(number, count, self._run))

    @property
    def ended(self) -> bool:
        return not self._running

    def stop(self) -> None:
        """Begin nothing new. Doesn't wait: a thread may be stuck with a server that doesn't answer."""
        self._stopped = True

    def _begin(self, run: Callable[[], None]) -> None:
        self._running += 1
        threading.Thread(target=run, daemon=True).start()

    def _run(self) -> None:
        mine: deque[Work] = deque()
        try:
            wire = Wire(self._uri)
            memory = memoryview(bytearray(self._block_size))
            while self._take(mine):
                while mine and not self._stopped:
                    self._compare(wire, memory, mine[0])
                    mine.popleft()
            wire.close()
        except (CopyError, OSError):
            pass  # The loop will find out what is the matter, and say so
        except BaseException as error:  # noqa: BLE001 - what it was reading has not been compared
            self._loop.fail(error)
        self.left += mine
        with self._lock:
            self._running -= 1
        self._wake()

    def _take(self, mine: deque[Work]) -> bool:
        """Take the next share of the work into `mine`. Returns whether there was any."""
        with self._lock:
            if self._stopped:
                return False
            fair = self._size // (2 * self._running * self._block_size)
            mine += islice(self._work, max(1, min(fair, STRETCH)))
            self._size -= sum(extent.length for extent, _ in mine)
            if not mine:
                self._most = 0  # there is nothing for another thread
        return bool(mine)

    def _compare(self, wire: Wire, memory: memoryview, item: Work) -> None:
        extent, expected = item
        if expected is None:
            self.left.append(item)
            self._wake()
            return
        data = memory[: extent.length]
        began = time.perf_counter()
        wire.read(data, extent.offset)
        arrived = time.perf_counter()
        right = digest_of(data) == expected
        known = time.perf_counter()
        with self._lock:
            self.compared += extent.length
            if not right:
                self.wrong.append(extent)
            self._read_time += arrived - began
            self._digest_time += known - arrived
            self._tried += 1
            if self._tried >= TRIED * self._running and self._running < self._most:
                if self._read_time > WAITING * self._digest_time:
                    self._begin(self._run)
                self._tried, self._read_time, self._digest_time = 0, 0.0, 0.0

    def _wake(self) -> None:
        self._loop.call_soon(lambda: None)
