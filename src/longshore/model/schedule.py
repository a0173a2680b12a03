"""Schedules: when something happens again, as it was asked for."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Every:
    """A schedule of equal intervals, which no summer time moves. Each record has its own place in the interval."""

    interval: timedelta


@dataclass(frozen=True, slots=True)
class Cron:
    """A schedule of calendar times."""

    fields: str  # minute, hour, day of month, month, day of week
    zone: str  # IANA's name of the time zone whose clock is meant
    spread: timedelta = timedelta()  # each record has its own delay, which is less than this


@dataclass(frozen=True, slots=True)
class Continuous:
    """A schedule as tight as needed for the newest usable point never to be older than `rpo`."""

    rpo: timedelta


Calendar = Every | Cron
Schedule = Calendar | Continuous
