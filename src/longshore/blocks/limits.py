"""How fast a copy may read."""

import time

BURST = 0.1  # seconds' worth of bytes that may be read at once after a pause


class Bucket:
    """Tokens for bytes, filled at a rate. A read may overdraw it; the next one waits until that is made up for."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._tokens = rate * BURST
        self._filled = time.monotonic()

    def pause(self) -> float:
        """Seconds until the next read may begin; 0 for now."""
        now = time.monotonic()
        self._tokens = min(self._tokens + (now - self._filled) * self.rate, self.rate * BURST)
        self._filled = now
        return max(0.0, -self._tokens / self.rate)

    def spend(self, length: int) -> None:
        self._tokens -= length


class Limits:
    """All limits of one copy."""

    def __init__(self, rate: int | None) -> None:
        self._buckets = [Bucket(rate)] if rate else []

    def pause(self) -> float:
        """Seconds until the next read may begin; 0 for now."""
        return max((bucket.pause() for bucket in self._buckets), default=0.0)

    def spend(self, length: int) -> None:
        for bucket in self._buckets:
            bucket.spend(length)
