"""The rules of how long points are kept."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Retention:
    """Each rule keeps points by itself, and a point stays while one of them keeps it.

    `daily=7` keeps the newest point of each of the last seven days that have one; the others likewise.
    """

    last: int = 0  # points, however close to each other
    hourly: int = 0
    daily: int = 0
    weekly: int = 0  # weeks begin on Monday
    monthly: int = 0
    yearly: int = 0
    within: timedelta | None = None  # all that are at most so much older than the newest
    zone: str = "UTC"  # IANA's name of the time zone in which hours, days, weeks, months and years begin
