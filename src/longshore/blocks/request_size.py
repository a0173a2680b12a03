"""The length of requests to the target.

A file system takes one stretch of free memory for each write into its cache. On a virtual machine the long stretches
may be those that were given back to the host, and to have them back takes many times as long as to fill them; pieces
are found in what is left (docs/decisions/copy-threads.md). So pieces are the rule. Storage for which every write is
work, such as Ceph, has less to do with fewer of them: where writing takes much longer than reading all the time, blocks
go through whole, unless a trial, with every other block, shows that this takes longer still. A file, too, is slow for a
moment, while its system writes to the disk: one such moment is no reason. A server that knows its storage says it, and
gets whole blocks from the first one on.
"""

TAKES_WHOLE = "longshore: takes whole blocks"  # how a server describes an export of such storage
PIECE = 256 << 10  # bytes
LOOK = 32  # blocks that tell what is usual
SLOWER = 5.0  # times what reading takes; for a file it is 1 to 3, for Ceph mostly 2 to 12
LASTING = 4  # looks in a row, after which a target is slow by nature
TRIAL = 16  # blocks of each length
WORSE = 1.5  # times what pieces take; for a file without memory it is 3 to 4, for Ceph hardly above 1
REST = 16  # looks until there is another trial


class RequestSize:
    """The length of the next block's requests, in bytes: that of a piece, or of the whole block."""

    def __init__(self, block_size: int, *, takes_whole: bool = False) -> None:
        """Begin with pieces, or with whole blocks where the target's server says that it takes them (`takes_whole`)."""
        self.length = self._piece = block_size if takes_whole else min(PIECE, block_size)
        self._whole = block_size
        self._left = LOOK  # blocks of this look that are to come
        self._reading = self._writing = 0.0  # seconds, of those that came
        self._slow = 0  # looks in a row that found the target slow
        self._rest = 0  # looks until a trial may begin
        self._tried: dict[int, list[float]] | None = None  # seconds of each block, by the length of its requests

    def note(self, length: int, reading: float, writing: float) -> None:
        """Note that a block with requests of that length waited so many seconds for the source, and for the target."""
        if self._tried is not None:
            self._try(self._tried, length, reading + writing)
            return
        self._left -= 1
        self._reading += reading
        self._writing += writing
        if not self._left:
            self._look()

    def _look(self) -> None:
        self._rest -= 1
        if self._writing > SLOWER * self._reading:
            self._slow += 1
            if self._slow >= LASTING and self._rest <= 0:
                self._tried = {self._piece: [], self._whole: []}
        else:
            self._slow, self.length = 0, self._piece
        self._left, self._reading, self._writing = LOOK, 0.0, 0.0

    def _try(self, tried: dict[int, list[float]], length: int, seconds: float) -> None:
        tried[length].append(seconds)
        if any(len(times) < TRIAL for times in tried.values()):
            self.length = min(tried, key=lambda size: len(tried[size]))
            return
        pieces, whole = (sum(tried[size][:TRIAL]) for size in (self._piece, self._whole))
        self.length = self._piece if whole > WORSE * pieces else self._whole
        self._tried, self._rest = None, REST
