"""The moments when the next sync of a replica is due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from longshore.model.point import Arrival
from longshore.model.schedule import Continuous, Schedule
from longshore.planning import schedules
from longshore.planning.protection_figures import SyncPace, forecast
from longshore.planning.schedules import (
    DueRecord,
    next_continuous,
    next_time,
    parse_calendar,
    parse_schedule,
    urgency,
)
from longshore.store import ReplicaRecord
from longshore.store.jobs import NEVER
from longshore.store.tables import with_zone, without_zone

# After a first, second … sync in a row that failed; the last one stays
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10))


@dataclass(frozen=True, slots=True)
class Due:
    """The moment of the next sync, in UTC without a zone, as the store has it."""

    at: datetime
    missed: int = 0  # times of the schedule, since the one before


def after_begin(replica: ReplicaRecord, now: datetime) -> Due:
    """Return when the next sync is due after one that begins now, for whatever reason.

    Of a continuous replica the next moment is known only when this sync has ended.
    """
    schedule = _schedule(replica)
    if isinstance(schedule, Continuous):
        return Due(without_zone(now))
    following = schedules.after_begin(schedule, with_zone(replica.due_at), now, replica.id)
    return Due(without_zone(following.due), following.missed)


def after_end(replica: ReplicaRecord, arrivals: Sequence[Arrival], now: datetime) -> datetime:
    """Return when the next sync is due after one that has made a point, in UTC without a zone; it may have passed."""
    if replica.rests(without_zone(now)):
        return replica.paused_until or NEVER
    schedule = _schedule(replica)
    if not isinstance(schedule, Continuous):
        return replica.due_at or without_zone(now)
    moment = max((arrival.moment for arrival in _past(arrivals, now)), default=None)
    return without_zone(next_continuous(schedule, moment, now, expected(arrivals, now) or timedelta()))


def after_failure(replica: ReplicaRecord, now: datetime) -> datetime:
    """Return when a sync that failed is tried again: soon, however seldom it is due, since until then there is no new
    point."""
    if replica.rests(without_zone(now)):
        return replica.paused_until or NEVER
    again = without_zone(now) + PAUSES[min(replica.failures, len(PAUSES) - 1)]
    due = replica.due_at
    return due if due is not None and without_zone(now) < due < again else again


def next_audit(schedule: str | None, replica_id: str, now: datetime) -> datetime | None:
    """Return when the next audit is due. None: only when somebody asks for it. Raise InvalidInput for what is no
    schedule."""
    return _next(schedule, f"{replica_id}/audit", now)


def next_test(schedule: str | None, replica_id: str, now: datetime) -> datetime | None:
    """Return when the next test is due. None: only when somebody asks for it. Raise InvalidInput for what is no
    schedule."""
    return _next(schedule, f"{replica_id}/test", now)


def _next(schedule: str | None, what: str, now: datetime) -> datetime | None:
    """Return the schedule's next time. Other replicas have other times, and none is that of the replica's own syncs."""
    return without_zone(next_time(parse_calendar(schedule), now, what)) if schedule is not None else None


def at_rest(replica: ReplicaRecord, now: datetime, *, synchronised: bool) -> datetime:
    """Return when a job has to look again that has found nothing to do."""
    if not synchronised:
        return NEVER
    if replica.rests(without_zone(now)):
        return replica.paused_until or NEVER
    return replica.due_at or without_zone(now)


def mistimed(replica: ReplicaRecord, now: datetime) -> dict[str, datetime]:
    """Return moments in the record that are later than the schedules' next time from now on, and what they have to be.

    A clock that was wrong once has left them. The keys are the names of their columns, the values in UTC without a
    zone.
    """
    schedule = _schedule(replica)
    if not isinstance(schedule, Continuous):
        next_sync = next_time(schedule, now, replica.id)
    elif replica.due_at is not None and replica.due_at > without_zone(now + schedule.rpo):
        next_sync = now
    else:
        next_sync = with_zone(NEVER)
    nexts = {
        "due_at": without_zone(next_sync),
        "audit_due_at": next_audit(replica.audit, replica.id, now),
        "prove_due_at": next_test(replica.prove, replica.id, now),
    }
    return {
        name: following
        for name, following in nexts.items()
        if following is not None and (kept := getattr(replica, name)) is not None and following < kept
    }


def begin_by(replica: ReplicaRecord, arrivals: Sequence[Arrival], due: datetime, now: datetime) -> datetime | None:
    """Return by when a sync has to begin for its point to be in time, which is its place in a full queue.

    It is in UTC without a zone. None: nothing is due.
    """
    if due >= NEVER:
        return None
    schedule, at = _schedule(replica), with_zone(due)
    waiting = DueRecord(
        record_id=replica.id,
        due=at,
        newest=max((arrival.moment for arrival in _past(arrivals, now)), default=None),
        rpo=timedelta(seconds=replica.rpo) if replica.rpo else None,
        expected=expected(arrivals, now) or timedelta(),
        following=at if isinstance(schedule, Continuous) else next_time(schedule, at, replica.id),
    )
    return without_zone(urgency(waiting)[0])


def paces(arrivals: Sequence[Arrival]) -> list[SyncPace]:
    """Return the paces of syncs of changes, oldest first. The first sync of all isn't among them: it has read
    everything."""
    return [
        SyncPace(later.moment - earlier.moment, later.usable_at - later.moment) for earlier, later in pairwise(arrivals)
    ]


def expected(arrivals: Sequence[Arrival], now: datetime) -> timedelta | None:
    """Return how long a sync would take that began now; None before there were two."""
    past = _past(arrivals, now)
    return forecast(paces(past), now - past[-1].moment) if past else None


def _past(arrivals: Sequence[Arrival], now: datetime) -> list[Arrival]:
    """Return the arrivals without those of a moment to come: a clock was wrong when they were made."""
    return [arrival for arrival in arrivals if max(arrival) <= now]


def _schedule(replica: ReplicaRecord) -> Schedule:
    return parse_schedule(replica.schedule, timedelta(seconds=replica.rpo) if replica.rpo else None)
