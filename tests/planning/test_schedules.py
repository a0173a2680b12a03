"""When things are due: over changes of clocks, after outages, for many records at once."""

import heapq
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.errors import InvalidInput
from longshore.model.schedule import Continuous, Cron, Every
from longshore.planning.schedules import (
    MOST_MISSED,
    DueRecord,
    Following,
    follow,
    next_continuous,
    next_time,
    parse_schedule,
    urgency,
)

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
# A half-hour's summer time, one that changes at midnight, one that falls back to the day before, a day that never was
ZONES = {
    "Europe/Berlin": ("2026-03-29T01:00", "2026-10-25T01:00"),
    "Australia/Lord_Howe": ("2026-04-04T15:00", "2026-10-03T15:30"),
    "America/Santiago": ("2026-04-05T03:00", "2026-09-06T04:00"),
    "America/St_Johns": ("2010-11-07T02:31",),
    "Pacific/Apia": ("2011-12-30T10:00", "2011-04-02T14:00"),
}
CALENDARS = ("*/7 * * * *", "30 * * * *", "15 2 * * *", "0,30 0-3 * * *", "0 0 * * *", "59 23 * * 6", "* 1 * * *")
change = st.sampled_from([(zone, at) for zone, both in ZONES.items() for at in both])


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def times(schedule, after, count, record="r"):
    found = []
    for _ in range(count):
        after = next_time(schedule, after, record)
        found.append(after)
    return found


@settings(max_examples=50)
@given(change, st.sampled_from(CALENDARS), st.integers(0, 240), st.sampled_from([0, 1, 45]), st.text(max_size=5))
def test_the_next_time_is_later_and_none_is_passed_over(change, fields, before, spread, record):
    """Wherever one begins to ask around a change of clocks, the same times come."""
    zone, at = change
    schedule = Cron(fields, zone, spread * MINUTE)
    begin = utc(at) - 6 * HOUR
    whole = times(schedule, begin, 40, record)
    assert all(one < two for one, two in pairwise([begin, *whole]))
    asked = utc(at) - 2 * HOUR + before * MINUTE
    first = next_time(schedule, asked, record)
    assert first == next(moment for moment in [*whole, first] if moment > asked)


@pytest.mark.parametrize(
    ("fields", "after", "local"),
    [
        # an hour that isn't there: at its end; an hour that comes twice: in the first
        ("30 2 * * *", "2026-03-28T12:00", ["29 03:00 CEST", "30 02:30 CEST"]),
        ("30 2 * * *", "2026-10-24T12:00", ["25 02:30 CEST", "26 02:30 CET"]),
        ("30 2 * * *", "2026-10-25T00:45", ["26 02:30 CET", "27 02:30 CET"]),
        # between the first 02:30 and the second, by cronsim alone the first would come again
        ("30 2 * * *", "2026-10-25T01:15", ["26 02:30 CET", "27 02:30 CET"]),
        # what comes each hour comes in both
        ("30 * * * *", "2026-10-25T00:00", ["25 02:30 CEST", "25 02:30 CET", "25 03:30 CET"]),
        ("30 * * * *", "2026-03-29T00:00", ["29 01:30 CET", "29 03:30 CEST", "29 04:30 CEST"]),
    ],
)
def test_changes_of_clocks_are_met_as_debian_s_cron_meets_them(fields, after, local):
    found = times(Cron(fields, "Europe/Berlin"), utc(after), len(local))
    assert [f"{moment.astimezone(ZoneInfo('Europe/Berlin')):%d %H:%M %Z}" for moment in found] == local


@pytest.mark.parametrize("text", ["every 15m", "hourly", "every 7d", "daily 02:00 Europe/Berlin spread 1h"])
def test_a_record_has_its_own_place_and_keeps_it(text):
    schedule = parse_schedule(text)
    one, again, other = (times(schedule, NEW_YEAR, 5, record) for record in ("a", "a", "b"))
    assert one == again != other
    assert {two - one for one, two in pairwise(one)} == {schedule.interval if isinstance(schedule, Every) else DAY}


def test_ten_thousand_records_are_spread_evenly_and_simulated_in_seconds():
    texts = ("every 15m", "every 15m", "hourly", "cron 0 2 * * * Europe/Berlin spread 1h")
    schedules = [parse_schedule(text) for text in texts]
    begin, end = utc("2026-10-25T00:00"), utc("2026-10-25T02:00")  # 02:00 to 03:00 in Berlin, twice
    waiting = [(next_time(schedules[n % 4], begin, str(n)), n) for n in range(10_000)]
    heapq.heapify(waiting)
    taken, each_minute = Counter(), Counter()
    while waiting[0][0] <= end:
        due, number = waiting[0]
        taken[number] += 1
        each_minute[(due - begin) // MINUTE] += 1
        heapq.heapreplace(waiting, (follow(schedules[number % 4], due, due, str(number)).due, number))
    assert Counter((n % 4, count) for n, count in taken.items()) == {
        (0, 8): 2500,
        (1, 8): 2500,
        (2, 2): 2500,
        (3, 1): 2500,
    }
    usual = (2 * 2500 / 15 + 2500 / 60, 2500 / 60)  # of all each minute; in the first hour those of 02:00, too
    for minute in range(1, 119):
        assert abs(each_minute[minute] - usual[0] - (usual[1] if minute < 60 else 0)) < 90


def test_what_was_missed_is_made_up_for_once():
    every, nightly = Every(15 * MINUTE), Cron("0 2 * * *", "Europe/Berlin")
    due = next_time(every, NEW_YEAR, "r")
    assert follow(every, due, due, "r") == Following(due + 15 * MINUTE, 0)
    assert follow(every, due, due + 14 * MINUTE, "r") == Following(due + 15 * MINUTE, 0)
    assert follow(every, due, due + 50 * MINUTE, "r") == Following(due + 60 * MINUTE, 3)
    # a first time that is none of the schedule's own: when the record was made
    assert follow(every, due - MINUTE, due - MINUTE, "r") == Following(due, 0)
    two_o_clock = utc("2026-10-23T00:00")
    assert follow(nightly, two_o_clock, two_o_clock, "r") == Following(two_o_clock + DAY, 0)
    assert follow(nightly, two_o_clock, utc("2026-10-25T01:30"), "r") == Following(utc("2026-10-26T01:00"), 2)


def test_after_years_away_the_next_time_comes_at_once():
    minutely = Cron("* * * * *", "Europe/Berlin")
    later = NEW_YEAR + 2000 * DAY
    assert follow(minutely, NEW_YEAR, later, "r") == Following(later + MINUTE, MOST_MISSED)
    assert follow(Every(MINUTE), NEW_YEAR, later, "r").missed == MOST_MISSED


@given(st.integers(2, 3600), st.floats(0, 0.5), st.integers(0, 100))
def test_continuous_keeps_its_rpo_while_a_sync_takes_up_to_half_of_it(rpo, part, waits):
    """Also one that takes as long as expected only half the time that is left for it."""
    schedule, takes = Continuous(rpo * SECOND), rpo * part * SECOND
    newest, now = NEW_YEAR, NEW_YEAR + takes
    for _ in range(5):
        begin = next_continuous(schedule, newest, now, takes)
        assert begin >= now
        usable = begin + takes
        assert usable - newest <= schedule.rpo + timedelta(microseconds=2)
        newest, now = begin, usable
    assert next_continuous(schedule, None, now, takes) == now
    assert (
        next_continuous(schedule, newest, newest + rpo * (1 + waits) * SECOND, takes)
        == newest + rpo * (1 + waits) * SECOND
    )


def test_continuous_leaves_what_need_not_be_copied_yet():
    minute = Continuous(60 * SECOND)
    assert next_continuous(minute, NEW_YEAR, NEW_YEAR, 8 * SECOND) == NEW_YEAR + 44 * SECOND
    assert next_continuous(minute, NEW_YEAR, NEW_YEAR, SECOND) == NEW_YEAR + 45 * SECOND
    assert next_continuous(minute, NEW_YEAR, NEW_YEAR, 40 * SECOND) == NEW_YEAR + 30 * SECOND


def test_who_has_to_begin_first_comes_first():
    def wait(name, *, age=None, rpo=None, expected=0, following=DAY):
        newest = None if age is None else NEW_YEAR - age * MINUTE
        objective = None if rpo is None else rpo * MINUTE
        return DueRecord(name, NEW_YEAR, newest, objective, expected * MINUTE, NEW_YEAR + following)

    queue = [
        wait("b, as a", rpo=20),
        wait("nightly", following=DAY),
        wait("large", age=5, rpo=60, expected=50),
        wait("small", age=5, rpo=15),
        wait("a: no point yet", rpo=20),
        wait("breached", age=61, rpo=60),
    ]
    ordered = [waiting.record_id for waiting in sorted(queue, key=urgency)]
    assert ordered == ["breached", "large", "small", "a: no point yet", "b, as a", "nightly"]


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("every 15m", Every(15 * MINUTE)),
        ("Every  1h30m", Every(90 * MINUTE)),
        ("weekly", Every(7 * DAY)),
        ("daily 2:05 Europe/Berlin", Cron("5 2 * * *", "Europe/Berlin")),
        ("weekly sun 02:00 UTC spread 30m", Cron("0 2 * * 0", "UTC", 30 * MINUTE)),
        ("cron */5 8-18 * * 1-5 America/New_York", Cron("*/5 8-18 * * 1-5", "America/New_York")),
        ("cron 0 2 * * MON#1 UTC spread 1h", Cron("0 2 * * MON#1", "UTC", HOUR)),
        ("continuous", Continuous(60 * SECOND)),
    ],
)
def test_texts_that_are_known(text, schedule):
    assert parse_schedule(text, 60 * SECOND) == schedule


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is no schedule. There are: every 15m;"),
        ("every", "'every' is no schedule."),
        ("every 15", "'15' isn't a length of time."),
        ("every 15m30h", "'15m30h' isn't a length of time."),
        ("every 30s", '"every 30s": from one minute to 366 days.'),
        ("every 60w", '"every 60w": from one minute to 366 days.'),
        ("daily 02:00", "'daily 02:00': say when and where: daily 02:00 Europe/Berlin."),
        ("daily 24:00 UTC", "'24:00' is no time of day: 00:00 to 23:59."),
        ("weekly 02:00 UTC", "'weekly 02:00 UTC': say the day, the time and the zone:"),
        ("weekly someday 02:00 UTC", "'someday' is no day of the week: monday to sunday."),
        ("cron 0 2 * * *", "'cron 0 2 * * *' says no time zone. Add the one whose clock is meant, or UTC."),
        ("cron 0 0 2 * * * UTC", "'cron 0 0 2 * * * UTC': cron takes five fields and a time zone:"),
        ("cron 0 25 * * * UTC", "'cron 0 25 * * *' can't be read: bad hour."),
        ("cron H 2 * * * UTC", "'cron H 2 * * *' can't be read: bad minute."),
        ("cron 0 0 30 2 * UTC", "'cron 0 0 30 2 *' can't be read: bad day-of-month."),
        ("cron 0 0 */16 2 5#5 UTC", "'cron 0 0 */16 2 5#5' never comes."),
        ("cron 0 2 * * * Europe/Berlni", "'Europe/Berlni' is no time zone. Was Europe/Berlin meant?"),
        ("daily 02:00 UTC spread 2d", '"spread 2d": at most a day.'),
        ("daily 02:00 UTC spread", "'daily 02:00 UTC spread': say when and where:"),
        ("continuous 60s", "'continuous 60s' is no schedule."),
        ("continuous", '"continuous" needs an RPO: how old the newest usable point may become.'),
        ("x" * 400, "A schedule has at most 300 characters."),
    ],
)
def test_a_text_that_cannot_be_meant_is_refused_in_a_sentence(text, said):
    with pytest.raises(InvalidInput) as refused:
        parse_schedule(text)
    assert str(refused.value).startswith(said)


@given(st.lists(st.text("0123456789*/,-#LWMONJ²٣\x1b", max_size=6), min_size=5, max_size=5).map(" ".join) | st.text())
def test_no_text_does_worse_than_to_be_refused(text):
    try:
        schedule = parse_schedule(f"cron {text} UTC")
    except InvalidInput as refused:
        assert refused.message.isprintable()
    else:
        assert next_time(schedule, NEW_YEAR, "r") > NEW_YEAR
