"""How many blocks to have in flight.

As few as keep both sides busy, so that they stay in the processor's cache; as many as the way there and back is long.
The time a block takes when it needn't wait for others is the shortest one seen. While blocks take hardly longer than
that, there is room for more of them; when they take much longer, they are only queueing for each other.
"""

SMALLEST = 8
LARGEST = 128  # a memory limit above all
ROOM = 2.0  # times the shortest time
QUEUEING = 4.0


class Window:
    """The number of blocks in flight, adapted to the time that each took."""

    def __init__(self) -> None:
        self.size = SMALLEST
        self._shortest = float("inf")

    def took(self, seconds: float) -> None:
        """A block has been read and written; it took that long."""
        self._shortest = min(self._shortest, seconds)
        if seconds < ROOM * self._shortest:
            self.size = min(self.size + 1, LARGEST)
        elif seconds > QUEUEING * self._shortest:
            self.size = max(self.size - 1, SMALLEST)
