"""When the next sync of a replica is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from longshore.model.point import Arrival
from longshore.model.schedule import Continuous, Schedule
from longshore.planning.protection_figures import Pace, forecast
from longshore.planning.schedules import follow, next_continuous, next_time, parse_schedule
from longshore.store import ReplicaRecord
from longshore.store.jobs import NEVER

# After a first, second … sync in a row that failed; the last one stays
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10))


@dataclass(frozen=True, slots=True)
class Due:
    """In UTC without a zone, as the store has it."""

    at: datetime
    missed: int = 0  # times of the schedule, since the one before


def after_begin(replica: ReplicaRecord, now: datetime) -> Due:
    """A sync begins now, for whatever reason. Of a continuous one the next is known only when it has ended."""
    schedule = _schedule(replica)
    if isinstance(schedule, Continuous):
        return Due(plain(now))
    due = replica.due_at.replace(tzinfo=UTC) if replica.due_at else None
    if due is None or now < due:  # the first, or one that somebody wanted
        return Due(plain(next_time(schedule, now, replica.id)))
    following = follow(schedule, due, now, replica.id)
    return Due(plain(following.due), following.missed)


def after_end(replica: ReplicaRecord, arrivals: Sequence[Arrival], now: datetime) -> datetime:
    """Of one that has made a point; it may have passed."""
    if replica.rests(plain(now)):
        return replica.paused_until or NEVER
    schedule = _schedule(replica)
    if not isinstance(schedule, Continuous):
        return replica.due_at or plain(now)
    moment = max((arrival.moment for arrival in arrivals), default=None)
    return plain(next_continuous(schedule, moment, now, expected(arrivals, now) or timedelta()))


def after_failure(replica: ReplicaRecord, now: datetime) -> datetime:
    """Soon, however seldom it is due: until then there is no new point."""
    if replica.rests(plain(now)):
        return replica.paused_until or NEVER
    again = plain(now) + PAUSES[min(replica.failures, len(PAUSES) - 1)]
    due = replica.due_at
    return due if due is not None and plain(now) < due < again else again


def at_rest(replica: ReplicaRecord, now: datetime, *, synchronised: bool) -> datetime:
    """When a job has to look again that has found nothing to do."""
    if not synchronised:
        return NEVER
    if replica.rests(plain(now)):
        return replica.paused_until or NEVER
    return replica.due_at or plain(now)


def paces(arrivals: Sequence[Arrival]) -> list[Pace]:
    """Of syncs of changes, oldest first: the first of all has read everything."""
    return [
        Pace(later.moment - earlier.moment, later.usable_at - later.moment) for earlier, later in pairwise(arrivals)
    ]


def expected(arrivals: Sequence[Arrival], now: datetime) -> timedelta | None:
    """What a sync would take that began now; None before there were two."""
    return forecast(paces(arrivals), now - arrivals[-1].moment) if arrivals else None


def plain(moment: datetime) -> datetime:
    """In UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _schedule(replica: ReplicaRecord) -> Schedule:
    return parse_schedule(replica.schedule, timedelta(seconds=replica.rpo) if replica.rpo else None)
