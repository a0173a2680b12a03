"""How long the requests of copy threads are.

A block that is read, digested and written in pieces stays in a processor's own cache all the way, and a file server's
kernel takes less and steadier time for short writes than for a whole block (docs/decisions/copy-threads.md). So pieces
are the rule. Storage that sets the pace itself, such as Ceph, has less work with fewer requests: there whole blocks are
tried, and kept for as long as they take less time.
"""

PIECE = 256 << 10  # bytes
TRIAL = 64  # blocks that tell how long a block takes; more than what a storage's cache takes at once
KEPT = 8 * TRIAL  # blocks until the other size is tried again


class RequestSize:
    """The length of the next block's requests, in bytes: that of a piece, or of the whole block."""

    def __init__(self, block_size: int) -> None:
        self.length = self._piece = min(PIECE, block_size)
        self._whole = block_size
        self._before: float | None = None  # seconds of a trial with the other length, while this one is tried
        self._left = TRIAL  # blocks until there is something to decide
        self._seconds = 0.0  # of the latest blocks, TRIAL of them at most

    def note(self, length: int, seconds: float, *, paced: bool) -> None:
        """A block with requests of that length took so many seconds; `paced`: the storage sets the pace."""
        if length != self.length:
            return  # begun before the last decision
        self._left -= 1
        if self._left < TRIAL:
            self._seconds += seconds
        if self._left:
            return
        took, self._seconds = self._seconds, 0.0
        if self._before is not None:
            if took > self._before:
                self._change()
            self._before, self._left = None, KEPT
        elif paced:
            self._change()
            self._before, self._left = took, TRIAL
        else:
            self.length, self._left = self._piece, TRIAL

    def _change(self) -> None:
        self.length = self._whole if self.length == self._piece else self._piece
