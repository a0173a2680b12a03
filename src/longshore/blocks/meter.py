"""Counts what a copy has done, and tells how it goes."""

import time
from collections import deque
from collections.abc import Callable

from longshore.blocks.request import CopyProgress, Phase

RATE_OVER = 5.0  # seconds over which "now" is averaged
REPORT_EVERY = 0.2  # seconds
SETTLED = 2.0  # seconds of a phase after which its pace says how long the rest takes; before that it is chance


class Meter:
    """The numbers of one copy; the engine adds to them. Bytes."""

    def __init__(self, report: Callable[[CopyProgress], None]) -> None:
        self._report = report
        self._reported = 0.0
        self.read = 0
        self.written = 0
        self.zeroed = 0
        self.skipped = 0
        self.resumed = 0
        self.verified = 0
        self.total = 0
        self.done = 0
        self.to_copy = 0
        self.zero = 0
        self.to_verify = 0
        self.begin(Phase.COPY)

    def begin(self, phase: Phase) -> None:
        self.phase = phase
        self._began = time.monotonic()
        self._marks: deque[tuple[float, int]] = deque([(self._began, self._count_moved())])
        self._start = self._count_moved()

    def _count_moved(self) -> int:
        return self.verified if self.phase is Phase.VERIFY else self.read

    def tell(self, *, now: bool = False) -> None:
        """Report, unless that was done a moment ago."""
        moment = time.monotonic()
        if not now and moment - self._reported < REPORT_EVERY:
            return
        self._reported = moment
        moved = self._count_moved()
        self._marks.append((moment, moved))
        while len(self._marks) > 2 and self._marks[0][0] < moment - RATE_OVER:
            self._marks.popleft()
        since, before = self._marks[0]
        left = self.to_verify - self.verified if self.phase is Phase.VERIFY else self.total - self.done
        elapsed = moment - self._began
        pace = self._pace(elapsed) if elapsed >= SETTLED else 0.0
        self._report(
            CopyProgress(
                phase=self.phase,
                total=self.total,
                done=self.done,
                to_copy=self.to_copy,
                copied=self.written,
                zero=self.zero,
                to_verify=self.to_verify,
                verified=self.verified,
                rate=(moved - before) / max(moment - since, 1e-6),
                mean_rate=(moved - self._start) / max(elapsed, 1e-6),
                eta=left / pace if pace else None,
            )
        )

    def _pace(self, elapsed: float) -> float:
        """Return the bytes of the disk dealt with per second, holes included: what the time left depends on."""
        done = self.verified if self.phase is Phase.VERIFY else self.done - self.resumed
        return done / elapsed if elapsed > 0 else 0.0
