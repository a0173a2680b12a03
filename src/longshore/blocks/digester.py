"""Digests: on a thread of their own where a processor can be spared, while the loop moves the next blocks.

BLAKE3 lets go of the interpreter while it works, at some 9 GB/s on one processor: several times what one loop can move.
With two processors the servers on either side have use for both; there a digest is cheapest right where the block has
just been read, from the cache it is still in.
"""

import threading
from collections.abc import Callable
from functools import partial

from longshore.blocks.connections import CopyLoop
from longshore.blocks.manifest import digest_of
from longshore.blocks.processors import processors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from queue import SimpleQueue

    Queue = SimpleQueue[tuple[memoryview, Callable[[bytes], None]] | None]

WORTH_HANDING_OVER = 128 << 10  # bytes; what is shorter is digested sooner than handed to another thread
PROCESSORS = 3  # from so many on there is one to spare


class Digester:
    """Takes the digest of memory that nobody changes meanwhile."""

    def __init__(self, loop: CopyLoop) -> None:
        self._loop = loop
        self._queue: Queue | None = None
        if processors() >= PROCESSORS:
            from queue import SimpleQueue

            self._queue = SimpleQueue()
            threading.Thread(target=self._work, args=(self._queue,), daemon=True).start()

    def digest(self, data: memoryview, done: Callable[[bytes], None]) -> None:
        """Call `done` with the digest, in the loop; perhaps at once."""
        if self._queue is not None and len(data) >= WORTH_HANDING_OVER:
            self._queue.put((data, done))
        else:
            done(digest_of(data))

    def close(self) -> None:
        if self._queue is not None:
            self._queue.put(None)

    def _work(self, queue: "Queue") -> None:
        while (item := queue.get()) is not None:
            data, done = item
            self._loop.call_soon(partial(done, digest_of(data)))
