"""The number of blocks to have in flight.

As few as keep both sides busy, so that they stay in the processor's cache; as many as the way there and back is long.
The time a block takes when it needn't wait for others is the shortest one seen. While blocks take hardly longer than
that, there is room for more of them; when they take much longer, they are only queueing for each other. Where even the
shortest time is long, the cache is no matter, and more in flight does no harm. Nor where the storage sets the pace,
which may take the first blocks at once and the others much later, as Ceph does: that works better on several at a time.

A server that unpacks what it reads, or packs what is written, takes as long as a far one, and more in flight only wait
in memory there. So one that knows says it, and its time isn't counted.
"""

COMPUTES = "longshore: computes"  # how a server describes an export whose answers take its processor's time
NEAR, PACED, FAR = 4, 16, 32  # the fewest in flight
BESIDE = 8  # in flight beside what copy threads have, where the storage sets the pace: as many as one connection takes
SLOW = 400 << 20  # bytes per second; below that it isn't us who set the pace
USUAL = 1 / 8  # part of what is usual that the latest block makes
FAR_FROM = 0.004  # seconds that a block takes at least
DOUBT = 0.05  # seconds: the first block of a near side may take as long, on a busy machine or from a cold cache
ALONE = 6  # blocks that go by themselves, one after the other, while that is in doubt
MEMORY = 128 << 20  # bytes that blocks may take
LARGEST = 256
ROOM = 2.0  # times the shortest time
QUEUEING = 4.0


class Window:
    """The number of blocks in flight, adapted to the time that each took."""

    def __init__(self, block_size: int, *, computes: bool = False) -> None:
        """Begin with one block. `computes`: one side packs or unpacks, some 350 MiB in a second, for which fewer are
        enough on a way of 40 ms."""
        self._far = PACED if computes else FAR
        self._largest = max(NEAR, min(MEMORY // block_size, LARGEST))
        self.size = 1  # the first block has both sides for itself, and shows how near they are
        self.shortest = float("inf")
        self._block_size = block_size
        self._usual = 0.0  # seconds
        self._alone = ALONE

    @property
    def near(self) -> bool:
        """Tell whether an answer takes hardly longer than what is done with it."""
        return self.shortest < FAR_FROM

    @property
    def far(self) -> bool:
        """Tell whether it is certain that it isn't near, for the time being."""
        return not self.near and self._alone <= 0

    def is_paced(self, in_flight: int) -> bool:
        """Tell whether, with so many blocks in flight, it is the storage that sets the pace."""
        return in_flight * self._block_size < SLOW * self._usual

    def note_carried(self, seconds: float) -> None:
        """Note that a block has been read and written by somebody who has a number of blocks in flight of their own."""
        self._usual += (seconds - self._usual) * (USUAL if self._usual else 1.0)

    def took(self, seconds: float) -> None:
        """Adapt to a block that has been read and written, or only read, and took that long."""
        self.shortest = min(self.shortest, seconds)
        self.note_carried(seconds)
        self._alone -= 1
        if not self.near and self._alone > 0 and seconds < DOUBT:
            return
        self._alone = 0
        if not self.near:
            fewest = min(self._far, self._largest)
        elif self.is_paced(self.size):
            fewest = min(PACED, self._largest)
        else:
            fewest = NEAR
        if seconds < ROOM * self.shortest:
            self.size = min(self.size + 1, self._largest)
        elif seconds > QUEUEING * self.shortest:
            self.size -= 1
        self.size = max(self.size, fewest)
