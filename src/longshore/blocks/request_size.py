"""How long requests are.

A file system takes one stretch of free memory for each write into its cache. On a virtual machine the long stretches
may be those that were given back to the host, and to have them back takes many times as long as to fill them; pieces
are found in what is left (docs/decisions/copy-threads.md). So pieces are the rule. Storage for which every write is
work, such as Ceph, has less to do with fewer of them: where writing takes much longer than reading, blocks go through
whole, unless a trial, with every other block, shows that this takes longer still.
"""

PIECE = 256 << 10  # bytes
LOOK = 32  # blocks that tell what is usual
SLOWER = 5.0  # times what reading takes; for a file it is 1 to 3, for Ceph 7 to 9
TRIAL = 16  # blocks of each length
WORSE = 2.0  # times what pieces take; for a file without memory it is 3 to 4, for Ceph hardly above 1
KEPT = 16 * LOOK  # blocks until there is another trial


class RequestSize:
    """The length of the next block's requests, in bytes: that of a piece, or of the whole block."""

    def __init__(self, block_size: int) -> None:
        self.length = self._piece = min(PIECE, block_size)
        self._whole = block_size
        self._left = LOOK  # blocks until there is something to decide
        self._reading = self._writing = 0.0  # seconds, of the blocks since
        self._tried: dict[int, list[float]] | None = None  # seconds of each block, by the length of its requests

    def note(self, length: int, reading: float, writing: float) -> None:
        """A block with requests of that length waited so many seconds for the source, and for the target."""
        if self._tried is not None:
            self._try(self._tried, length, reading + writing)
            return
        self._left -= 1
        self._reading += reading
        self._writing += writing
        if self._left:
            return
        if self._writing > SLOWER * self._reading or self.length != self._piece:
            self._tried = {self._piece: [], self._whole: []}
        self._look(LOOK)

    def _try(self, tried: dict[int, list[float]], length: int, seconds: float) -> None:
        tried[length].append(seconds)
        if any(len(times) < TRIAL for times in tried.values()):
            self.length = min(tried, key=lambda size: len(tried[size]))
            return
        pieces, whole = (sum(tried[size][:TRIAL]) for size in (self._piece, self._whole))
        self.length = self._piece if whole > WORSE * pieces else self._whole
        self._tried = None
        self._look(KEPT)

    def _look(self, blocks: int) -> None:
        self._left, self._reading, self._writing = blocks, 0.0, 0.0
