"""Due times, from the text that was asked for; and whose turn it is when too much is due at once.

    every 15m
    hourly, daily, weekly                                  at a time that Longshore chooses
    daily 02:00 Europe/Berlin [spread 1h]
    weekly sunday 02:00 Europe/Berlin [spread 1h]
    cron 0 2 * * 1-5 Europe/Berlin [spread 1h]             minute, hour, day, month, weekday
    continuous                                             as often as the record's RPO needs

All moments are in UTC, and say so. A record's delay depends on its id alone, so that its times are equally far from
each other, whoever computes them.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from longshore.errors import InvalidInput
from longshore.model.quantities import parse_duration
from longshore.model.quoting import quote
from longshore.model.schedule import Calendar, Continuous, Cron, Every, Schedule
from longshore.planning.zones import find_zone

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=366)
WIDEST_SPREAD = timedelta(days=1)
MOST_MISSED = 1000  # that are counted
_WORDS = {"hourly": timedelta(hours=1), "daily": timedelta(days=1), "weekly": timedelta(days=7)}
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")  # as cron counts them
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_LONGEST_TEXT = 300  # characters
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ANY_DAY = datetime(2026, 1, 1, tzinfo=UTC)  # from which a calendar is asked whether it ever comes to anything


def parse_calendar(text: str) -> Calendar:
    """Read the schedule of what is done now and then: a test, an audit. Raises InvalidInput."""
    schedule = parse_schedule(text, timedelta(hours=1))
    if isinstance(schedule, Continuous):
        raise InvalidInput(
            "Tests, audits and backups can't be continuous.",
            advice='Say how often: "every 7d", "weekly sunday 03:00 UTC".',
        )
    return schedule


def parse_schedule(text: str, rpo: timedelta | None = None) -> Schedule:
    """Read a schedule from its text. `rpo` is the record's, for `continuous`. Raises InvalidInput."""
    if len(text) > _LONGEST_TEXT:
        raise _refuse(f"A schedule has at most {_LONGEST_TEXT} characters.")
    word, *rest = text.split() or [""]
    match word.lower():
        case "every" if len(rest) == 1:
            return Every(_interval(rest[0]))
        case "hourly" | "daily" | "weekly" as known if not rest:
            return Every(_WORDS[known])
        case "daily":
            rest, spread = _spread(rest)
            if len(rest) != 2:
                raise _refuse(f"{quote(text)}: say when and where: daily 02:00 Europe/Berlin.")
            return _cron([*_minute_and_hour(rest[0]), "*", "*", "*"], rest[1], spread)
        case "weekly":
            rest, spread = _spread(rest)
            if len(rest) != 3:
                raise _refuse(f"{quote(text)}: say the day, the time and the zone: weekly sunday 02:00 Europe/Berlin.")
            return _cron([*_minute_and_hour(rest[1]), "*", "*", _weekday(rest[0])], rest[2], spread)
        case "cron":
            rest, spread = _spread(rest)
            if len(rest) == 5:
                raise _refuse(f"{quote(text)} says no time zone. Add the one whose clock is meant, or UTC.")
            if len(rest) != 6:
                raise _refuse(f"{quote(text)}: cron takes five fields and a time zone: cron 0 2 * * 1-5 Europe/Berlin.")
            return _cron(rest[:5], rest[5], spread)
        case "continuous" if not rest:
            if rpo is None:
                raise _refuse('"continuous" needs an RPO: how old the newest usable point may become.')
            return Continuous(rpo)
    raise _refuse(
        f"{quote(text)} is no schedule. There are: every 15m; hourly, daily or weekly; daily 02:00 Europe/Berlin; "
        "weekly sunday 02:00 Europe/Berlin; cron 0 2 * * 1-5 Europe/Berlin; continuous."
    )


def next_time(schedule: Calendar, after: datetime, record_id: str) -> datetime:
    """Return the first time that is later than `after`."""
    if isinstance(schedule, Every):
        begin = _EPOCH + _offset(record_id, schedule.interval)
        return begin + (_count(schedule, after, begin) + 1) * schedule.interval
    offset = _offset(record_id, schedule.spread)
    begin = (after - offset).astimezone(find_zone(schedule.zone))
    for moment in CronSim(schedule.fields, begin):
        # In an hour that comes twice cronsim goes by the first, which may be past
        due = moment.astimezone(UTC) + offset
        if due > after:
            return due
    raise _refuse(f"cron {schedule.fields} never comes.")


def upcoming(schedule: Calendar, after: datetime, record_id: str) -> Iterator[datetime]:
    """Yield its times that are later than `after`, without an end unless a calendar has one."""
    try:
        while True:
            after = next_time(schedule, after, record_id)
            yield after
    except InvalidInput:  # it never comes again
        return


def is_same_for_all(schedule: Schedule) -> bool:
    """Tell whether its times are the same for each record: neither its own place in an interval, nor a delay."""
    return isinstance(schedule, Cron) and not schedule.spread


@dataclass(frozen=True, slots=True)
class Following:
    """The time that follows one that is made up for, or was kept."""

    due: datetime
    missed: int  # further ones that had passed by then; MOST_MISSED: so many, or more


def follow(schedule: Calendar, due: datetime, now: datetime, record_id: str) -> Following:
    """Return what follows on a begin at `now` of what was due at `due`: however many times passed meanwhile, it is the
    only one that makes up."""
    if isinstance(schedule, Every):
        begin = _EPOCH + _offset(record_id, schedule.interval)
        missed = _count(schedule, now, begin) - _count(schedule, due, begin)
        return Following(next_time(schedule, max(due, now), record_id), min(max(missed, 0), MOST_MISSED))
    missed, following = 0, next_time(schedule, due, record_id)
    while following <= now and missed < MOST_MISSED:
        missed, following = missed + 1, next_time(schedule, following, record_id)
    return Following(next_time(schedule, now, record_id) if following <= now else following, missed)


def after_begin(schedule: Calendar, due: datetime | None, now: datetime, record_id: str) -> Following:
    """Return what follows, as `follow` does, also on a begin before its time. What begins before its time (`due`; None:
    the first), because somebody wants it, misses none."""
    if due is None or now < due:
        return Following(next_time(schedule, now, record_id), 0)
    return follow(schedule, due, now, record_id)


def next_continuous(schedule: Continuous, newest: datetime | None, now: datetime, expected: timedelta) -> datetime:
    """Return when the next sync begins; `newest`: the moment of the newest usable point, `expected`: what a sync takes.

    The new point has to be usable before the newest one is too old. Between a quarter and half of the RPO is left for
    that: twice what is expected, where that is between them. Syncs that take longer than half can't keep the RPO, and
    follow each other at once.
    """
    if newest is None:
        return now
    left = min(max(2 * expected, schedule.rpo / 4), schedule.rpo / 2)
    return max(now, newest + schedule.rpo - left)


@dataclass(frozen=True, slots=True)
class DueRecord:
    """A record that is due and has no worker yet."""

    record_id: str
    due: datetime
    newest: datetime | None  # moment of the newest usable point
    rpo: timedelta | None
    expected: timedelta  # that a sync takes
    following: datetime  # when it is due again


def urgency(waiting: DueRecord) -> tuple[datetime, datetime, str]:
    """Return a key to sort by: first comes whoever has to begin first for its point to be there in time.

    That is before the newest one is older than the RPO; without a point yet the RPO counts from when the first was due.
    Without an RPO it is before the next one is due, so that nobody waits for ever.
    """
    needed = waiting.following if waiting.rpo is None else (waiting.newest or waiting.due) + waiting.rpo
    return needed - waiting.expected, waiting.due, waiting.record_id


def _count(schedule: Every, moment: datetime, begin: datetime) -> int:
    """Return how many of its times have come between the first and a moment."""
    return (moment - begin) // schedule.interval


def _offset(record_id: str, window: timedelta) -> timedelta:
    """Return a record's offset in the interval: the same for ever, and evenly distributed over records."""
    seconds = int(window.total_seconds())
    if seconds == 0:
        return timedelta()
    digest = hashlib.blake2b(record_id.encode(), digest_size=8).digest()
    return timedelta(seconds=int.from_bytes(digest) % seconds)


# Reading


def _interval(text: str) -> timedelta:
    interval = parse_duration(text)
    if not SHORTEST <= interval <= LONGEST:
        raise _refuse(f'"every {text}": from one minute to 366 days. What has to be more often is "continuous".')
    return interval


def _spread(words: list[str]) -> tuple[list[str], timedelta]:
    if len(words) < 2 or words[-2].lower() != "spread":
        return words, timedelta()
    spread = parse_duration(words[-1])
    if spread > WIDEST_SPREAD:
        raise _refuse(f'"spread {words[-1]}": at most a day.')
    return words[:-2], spread


def _minute_and_hour(text: str) -> tuple[str, str]:
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise _refuse(f"{quote(text)} is no time of day: 00:00 to 23:59.")
    return str(int(found[2])), str(int(found[1]))


def _weekday(text: str) -> str:
    for number, name in enumerate(_WEEKDAYS):
        if text.lower() in (name, name[:3]):
            return str(number)
    raise _refuse(f"{quote(text)} is no day of the week: monday to sunday.")


def _cron(fields: list[str], zone: str, spread: timedelta) -> Cron:
    written = " ".join(fields)
    found = find_zone(zone)
    try:
        next(CronSim(written, _ANY_DAY.astimezone(found)))
    except CronSimError as error:
        said = str(error)
        raise _refuse(f"{quote(f'cron {written}')} can't be read: {said[:1].lower()}{said[1:]}.") from None
    except StopIteration:
        raise _refuse(f"{quote(f'cron {written}')} never comes.") from None
    return Cron(written, zone, spread)


def _refuse(text: str) -> InvalidInput:
    return InvalidInput(text, code="schedule-refused")
