"""Digests on a thread of their own, while the loop moves the next blocks.

BLAKE3 lets go of the interpreter while it works, at some 9 GB/s on one processor: several times what one loop can move.
"""

import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue

from longshore.blocks.lanes import Loop
from longshore.blocks.manifest import digest_of

WORTH_HANDING_OVER = 128 << 10  # bytes; what is shorter is digested sooner than handed to another thread


class Digester:
    """Takes the digest of memory that nobody changes meanwhile."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._queue: SimpleQueue[tuple[memoryview, Callable[[bytes], None]] | None] = SimpleQueue()
        threading.Thread(target=self._work, daemon=True).start()

    def digest(self, data: memoryview, done: Callable[[bytes], None]) -> None:
        """Call `done` with the digest, in the loop; at once when there is little to do."""
        if len(data) < WORTH_HANDING_OVER:
            done(digest_of(data))
        else:
            self._queue.put((data, done))

    def close(self) -> None:
        self._queue.put(None)

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            data, done = item
            self._loop.call_soon(partial(done, digest_of(data)))
