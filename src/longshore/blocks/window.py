"""How many blocks to have in flight.

As few as keep both sides busy, so that they stay in the processor's cache; as many as the way there and back is long.
The time a block takes when it needn't wait for others is the shortest one seen. While blocks take hardly longer than
that, there is room for more of them; when they take much longer, they are only queueing for each other. Where even the
shortest time is long, the cache is no matter, and more in flight does no harm.
"""

NEAR, FAR = 4, 32  # the fewest in flight
FAR_FROM = 0.003  # seconds that a block takes at least
MEMORY = 128 << 20  # bytes that blocks may take
LARGEST = 256
ROOM = 2.0  # times the shortest time
QUEUEING = 4.0


class Window:
    """The number of blocks in flight, adapted to the time that each took."""

    def __init__(self, block_size: int) -> None:
        self._largest = max(NEAR, min(MEMORY // block_size, LARGEST))
        self.size = NEAR
        self.shortest = float("inf")

    def took(self, seconds: float) -> None:
        """A block has been read and written, or only read; it took that long."""
        self.shortest = min(self.shortest, seconds)
        fewest = min(FAR, self._largest) if self.shortest >= FAR_FROM else NEAR
        if seconds < ROOM * self.shortest:
            self.size = min(self.size + 1, self._largest)
        elif seconds > QUEUEING * self.shortest:
            self.size -= 1
        self.size = max(self.size, fewest)
