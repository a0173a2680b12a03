"""Blocks of vaults as they were written, kept for who asks for them again.

Whoever looks for files in a point, then lists a directory and looks once more, reads much the same each time: where a
file system begins, its inodes, its directories. To unseal and unpack them takes longer than all else.
"""

import threading
import time
from collections import OrderedDict

_BlockId = tuple[str, bytes]  # whose it is, and what its digest is


class KeptBlocks:
    """The last that were asked for. May be used from several threads."""

    def __init__(self, most: int, seconds: float | None = None) -> None:
        """Keep at most `most` blocks. `seconds`: without a question, after which none is kept any longer; None: no such
        time."""
        self._most, self._seconds = most, seconds
        self._blocks: OrderedDict[_BlockId, bytes] = OrderedDict()
        self._asked = 0.0
        self._timer_runs = False
        self._lock = threading.Lock()

    def of(self, owner: str) -> "BlocksOf":
        return BlocksOf(self, owner)

    def find(self, id_: _BlockId) -> bytes | None:
        with self._lock:
            self._asked = time.monotonic()
            found = self._blocks.get(id_)
            if found is not None:
                self._blocks.move_to_end(id_)
            return found

    def keep(self, id_: _BlockId, block: bytes) -> None:
        with self._lock:
            self._blocks[id_] = block
            if len(self._blocks) > self._most:
                self._blocks.popitem(last=False)
            if self._seconds is not None and not self._timer_runs:
                self._end_after(self._seconds)

    def _end_after(self, seconds: float) -> None:
        self._timer_runs = True
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()

    def _end(self) -> None:
        """Forget all blocks, unless something was asked for meanwhile."""
        assert self._seconds is not None
        with self._lock:
            left = self._asked + self._seconds - time.monotonic()
            if left > 0:
                self._end_after(left)
                return
            self._timer_runs = False
            self._blocks.clear()


class BlocksOf:
    """The kept blocks of one owner. Nobody gets another's, whatever a vault of their own says is in it."""

    def __init__(self, kept: KeptBlocks, owner: str) -> None:
        self._kept, self._owner = kept, owner

    def find(self, id_: bytes) -> bytes | None:
        return self._kept.find((self._owner, id_))

    def keep(self, id_: bytes, block: bytes) -> None:
        self._kept.keep((self._owner, id_), block)
