"""Figures of a machine's protection: how old its newest point is, was at worst, and how long the next sync takes.

Each function takes the arrivals of usable points, in any order. A point that has turned out suspect is left out, for
the past, too. All moments are in UTC, and say so.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from longshore.model.point import Arrival

WINDOWS = (timedelta(hours=24), timedelta(days=7), timedelta(days=30))
LAST_FEW = 5  # syncs that a forecast goes by


def rpo_now(arrivals: Iterable[Arrival], now: datetime) -> timedelta | None:
    """Return how much would be lost: the age of the newest usable point; None where there is none.

    A point whose moment is still to come (clocks have disagreed) counts from then on.
    """
    moments = [arrival.moment for arrival in arrivals if max(arrival) <= now]
    return now - max(moments) if moments else None


@dataclass(frozen=True, slots=True)
class Span:
    """The protection of a machine for some time."""

    length: timedelta  # of it, what the machine was to be protected
    worst: timedelta | None  # RPO; None where there was no usable point at all
    without: timedelta  # time with no usable point
    kept: timedelta  # time for which there was one, no older than the objective

    @property
    def share(self) -> float | None:
        """Return how much of the time the objective was kept, 0 to 1."""
        return self.kept / self.length if self.length else None


def look_back(arrivals: Iterable[Arrival], objective: timedelta, since: datetime, until: datetime) -> Span:
    """Look back on the protection from when the machine was to be protected, or any later moment, until another."""
    worst, without, kept = None, timedelta(), timedelta()
    for begin, end, moment in _stretches(arrivals, since, until):
        if moment is None:
            without += end - begin
            continue
        worst = max(end - moment, worst or timedelta())
        kept += max(min(moment + objective, end) - begin, timedelta())
    return Span(max(until - since, timedelta()), worst, without, kept)


def look_back_over_windows(
    arrivals: Sequence[Arrival], objective: timedelta, since: datetime, now: datetime
) -> dict[timedelta, Span]:
    """Look back over each of WINDOWS until now, as far as the machine was to be protected then, which it is since
    `since`."""
    return {window: look_back(arrivals, objective, max(since, now - window), now) for window in WINDOWS}


@dataclass(frozen=True, slots=True)
class SyncPace:
    """The pace of a sync of changes: what it took."""

    wrote: timedelta  # for which the machine had been writing, since the moment of the point before
    took: timedelta  # from the wish for a snapshot to a usable point


def forecast(paces: Sequence[SyncPace], writes: timedelta) -> timedelta | None:
    """Estimate what a sync will take that begins when the machine has been writing for `writes`; None before there was
    one.

    `paces` is oldest first, without seeds and audits, which read everything. A part is the same for each sync, however
    little has changed; the rest grows with the time for which the machine has written. Of the last few the fastest
    shows the first, and the middle one the second: one that was slow by chance doesn't count.
    """
    last = paces[-LAST_FEW:]
    if not last:
        return None
    least = min(pace.took for pace in last)
    rates = [(pace.took - least) / pace.wrote for pace in last if pace.wrote > timedelta()]
    return least + (median(rates) if rates else 0.0) * writes


def _stretches(
    arrivals: Iterable[Arrival], since: datetime, until: datetime
) -> Iterator[tuple[datetime, datetime, datetime | None]]:
    """Begin, end, and the moment of the point that was the newest usable one meanwhile."""
    edges: list[tuple[datetime, datetime | None]] = [(since, None)]
    newest: datetime | None = None
    for usable_at, moment in sorted((max(arrival), arrival.moment) for arrival in arrivals):
        if newest is None or moment > newest:
            newest = moment
            edges.append((usable_at, moment))
    for (one, meanwhile), (two, _) in pairwise([*edges, (until, None)]):
        if max(one, since) < min(two, until):
            yield max(one, since), min(two, until), meanwhile
