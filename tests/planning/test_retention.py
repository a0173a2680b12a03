"""Which points stay: against a slow reference that is obviously right, and promise by promise."""

import random
import re
from collections import defaultdict
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.errors import InvalidInput
from longshore.model.point import Arrival, Consistency, Hold, Point
from longshore.model.retention import Retention
from longshore.planning.retention import decide, parse_retention, write_retention
from longshore.wording.kept_by import kept_by
from longshore.wording.language import answer_in

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# A half-hour's summer time, one that ends at midnight, none, and the day's beginning in the middle of UTC's
ZONES = ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata", "Pacific/Auckland")
few = st.integers(0, 6)
policies = st.builds(
    Retention,
    last=few,
    hourly=few,
    daily=few,
    weekly=few,
    monthly=few,
    yearly=few,
    within=st.none() | st.integers(1, 200).map(lambda hours: hours * HOUR),
    zone=st.sampled_from(ZONES),
)
at = st.integers(0, 90 * 24 * 4).map(lambda quarters: NOON + quarters * 15 * MINUTE)
MID = NOON + 45 * DAY


def point(moment, name=None, **said):
    return Point(name or f"{moment.timestamp():.0f}", Arrival(moment, moment + MINUTE), Consistency.CRASH, **said)


some_points = st.lists(
    st.builds(
        point,
        at,
        suspect=st.booleans(),
        proved=st.booleans(),
        holds=st.sampled_from([(), (), (Hold("audit"),), (Hold("upgrade", MID),)]),
        users=st.sampled_from([(), (), (), ("test 7",)]),
        base_of=st.sampled_from([None, None, None, "sync 9"]),
    ),
    max_size=40,
    unique_by=lambda made: made.id,
)


def kept(points, policy, now):
    return {stays.point.id for stays in decide(points, policy, now).kept}


def wanted_by_rules(points, policy):
    """The same by definition: for each rule, the newest of each bucket, of the newest buckets."""
    zone = ZoneInfo(policy.zone)
    by_age = sorted(points, key=lambda p: (p.moment, p.id))
    found = {p.id for p in by_age[len(by_age) - min(policy.last, len(by_age)) :]}
    formats = {"hourly": "%Y%m%d%H%z", "daily": "%Y%m%d", "weekly": "%G%V", "monthly": "%Y%m", "yearly": "%Y"}
    for rule, form in formats.items():
        buckets = defaultdict(list)
        for p in by_age:
            buckets[p.moment.astimezone(zone).strftime(form)].append(p)
        newest = sorted((bucket[-1] for bucket in buckets.values()), key=lambda p: (p.moment, p.id), reverse=True)
        found |= {p.id for p in newest[: getattr(policy, rule)]}
    if policy.within is not None and by_age:
        found |= {p.id for p in by_age if by_age[-1].moment - p.moment <= policy.within}
    return found


@settings(max_examples=15)
@given(policies, st.integers(0, 1 << 32))
def test_ninety_days_of_thinning_leave_what_the_whole_past_says(policy, seed):
    """Points come at odd times and with gaps, are held and let go; each day those that go go for good."""
    chance = random.Random(seed)
    history, listed, holds = [], [], {}
    for day in range(90):
        midnight = NOON + day * DAY
        if chance.random() < 0.8:  # else a gap
            for minutes in sorted(chance.sample(range(1440), chance.randint(1, 6))):
                made = point(midnight + minutes * MINUTE, proved=chance.random() < 0.1)
                history.append(made)
                listed.append(made)
        if listed and chance.random() < 0.2:
            holds[chance.choice(listed).id] = Hold("by somebody", midnight + chance.randint(1, 20) * DAY)
        now = midnight + DAY
        listed = [replace(p, holds=(holds[p.id],) if p.id in holds else ()) for p in listed]
        listed = [stays.point for stays in decide(listed, policy, now).kept]
        held = {name for name, hold in holds.items() if hold.until > now}
        newest = {p.id for p in history[-1:]} | {p.id for p in [p for p in history if p.proved][-1:]}
        if day % 10 == 9:
            assert {p.id for p in listed} == wanted_by_rules(history, policy) | newest | held


@settings(max_examples=40)
@given(some_points, policies)
def test_nothing_protected_goes_and_every_point_is_judged_once(points, policy):
    answer = decide(points, policy, MID)
    going = {p.id for p in answer.going}
    assert sorted([*going, *(stays.point.id for stays in answer.kept)]) == sorted(p.id for p in points)
    assert all(stays.reasons for stays in answer.kept)
    for p in answer.going:
        assert not p.users and p.base_of is None and Hold("audit") not in p.holds and p.moment <= MID
    past = sorted((p for p in points if p.moment <= MID), key=lambda p: p.moment)
    usable = [p for p in past if not p.suspect]
    proved = [p for p in past if p.proved]
    for ladder in ([usable, past], [[p for p in usable if p.proved], proved]):
        last = next((rung[-1] for rung in ladder if rung), None)
        assert last is None or last.id not in going
    assert wanted_by_rules(usable, policy).isdisjoint(going)


@settings(max_examples=40)
@given(some_points, some_points, policies)
def test_more_points_bring_back_none_that_goes(points, more, policy):
    both = [*points, *(p for p in more if p.id not in {p.id for p in points})]
    assert kept(both, policy, MID) & {p.id for p in points} <= kept(points, policy, MID)


@settings(max_examples=40)
@given(some_points, policies, st.randoms(use_true_random=False))
def test_who_stops_half_way_is_told_the_same_again(points, policy, chance):
    answer = decide(points, policy, MID)
    left = [p for p in answer.going if chance.random() < 0.5]
    again = decide([*left, *(stays.point for stays in answer.kept)], policy, MID)
    assert again.kept == answer.kept
    assert {p.id for p in again.going} == {p.id for p in left}


@settings(max_examples=40)
@given(some_points, policies, st.data())
def test_a_doubt_about_one_point_lets_no_other_go(points, policy, data):
    if points:
        doubted = data.draw(st.sampled_from(points))
        after = [replace(p, suspect=True) if p is doubted else p for p in points]
        assert kept(points, policy, MID) - {doubted.id} <= kept(after, policy, MID)


@settings(max_examples=40)
@given(some_points, policies, st.integers(0, 4000))
def test_time_alone_lets_nothing_go_but_what_was_held(points, policy, days):
    past = [replace(p, holds=()) for p in points if p.moment <= MID]
    assert kept(past, policy, MID + days * DAY) == kept(past, policy, MID)


def reasons(points, policy, now=MID):
    return {stays.point.id: list(stays.reasons) for stays in decide(points, policy, now).kept}


def test_every_reason_is_said():
    held = replace(point(NOON, "1"), holds=(Hold("before the upgrade", MID), Hold("old", NOON)), base_of="sync 12")
    others = [point(NOON + DAY, "2", proved=True), point(NOON + DAY + HOUR, "3"), point(NOON + 2 * DAY, "4")]
    policy = parse_retention("last 1, daily 2, within 23h, zone Europe/Berlin")
    assert reasons([held, *others], policy, NOON + 3 * DAY) == {
        "4": [
            "newest usable point",
            "last 1: number 1",
            "daily 2: newest of 2026-03-03",
            "within 23h of the newest",
        ],
        "3": ["daily 2: newest of 2026-03-02", "within 23h of the newest"],
        "2": ["newest proved point"],
        "1": ["held until 2026-04-15 12:00 UTC: before the upgrade", "base of sync 12, which runs"],
    }


def test_what_only_a_job_keeps_is_due():
    points = [point(NOON, "used", users=("test 7",)), point(NOON + HOUR, "new", users=("test 8",))]
    answer = decide(points, Retention(last=1), MID)
    assert [(stays.point.id, stays.due) for stays in answer.kept] == [("new", False), ("used", True)]
    assert answer.kept[1].reasons == ("in use by test 7",)


def test_suspect_points_take_no_usable_one_s_place_and_go_no_sooner_for_it():
    points = [point(NOON + n * DAY, str(n), suspect=n > 3) for n in range(8)]
    assert reasons(points, Retention(daily=2)) == {
        "7": ["daily 2: newest of 2026-03-08 (suspect: it takes no usable one's place)"],
        "6": ["daily 2: newest of 2026-03-07 (suspect: it takes no usable one's place)"],
        "3": ["newest usable point", "daily 2: newest of 2026-03-04"],
        "2": ["daily 2: newest of 2026-03-03"],
    }


def test_where_no_point_is_usable_the_newest_stays():
    points = [point(NOON, "1", suspect=True, proved=True), point(NOON + HOUR, "2", suspect=True)]
    assert reasons(points, Retention()) == {
        "2": ["newest point, and none is usable"],
        "1": ["newest proved point, and none that is proved is usable"],
    }


def test_a_point_from_the_future_takes_no_other_one_s_place():
    points = [point(NOON, "now"), point(NOON + 400 * DAY, "clock was wrong")]
    assert reasons(points, Retention(last=1, within=HOUR), NOON)["now"] == [
        "newest usable point",
        "last 1: number 1",
        "within 1h of the newest",
    ]


@pytest.mark.parametrize(
    ("zone", "moments", "rule", "stays"),
    [
        # 23:30 and 00:30 in Berlin are one day in UTC, and two there
        ("UTC", ("2026-06-01T21:30", "2026-06-01T22:30"), "daily", ["22:30"]),
        ("Europe/Berlin", ("2026-06-01T21:30", "2026-06-01T22:30"), "daily", ["22:30", "21:30"]),
        # summer time ends: 02:15 comes twice, and is two hours of one day
        ("Europe/Berlin", ("2026-10-25T00:15", "2026-10-25T01:15"), "hourly", ["01:15", "00:15"]),
        ("Europe/Berlin", ("2026-10-24T22:00", "2026-10-25T22:59"), "daily", ["22:59"]),
        # summer time begins: a day of 23 hours
        ("Europe/Berlin", ("2026-03-28T23:00", "2026-03-29T21:59"), "daily", ["21:59"]),
        ("Europe/Berlin", ("2026-03-28T23:00", "2026-03-29T22:00"), "daily", ["22:00", "23:00"]),
        # hours that begin at UTC's half ones
        ("Asia/Kolkata", ("2026-06-01T10:00", "2026-06-01T10:45"), "hourly", ["10:45", "10:00"]),
        # ISO's weeks begin on Monday, and the last days of a year may be in the next one's first
        ("UTC", ("2026-12-28T00:00", "2027-01-03T23:59"), "weekly", ["23:59"]),
        ("UTC", ("2026-12-27T23:59", "2026-12-28T00:00"), "weekly", ["00:00", "23:59"]),
    ],
)
def test_days_begin_where_the_policy_says(zone, moments, rule, stays):
    points = [point(datetime.fromisoformat(moment).replace(tzinfo=UTC)) for moment in moments]
    answer = decide(points, Retention(**{rule: 2}, zone=zone), datetime(2030, 1, 1, tzinfo=UTC))
    by_rule = [k.point for k in answer.kept if any(reason.startswith(rule) for reason in k.reasons)]
    assert [f"{p.moment:%H:%M}" for p in by_rule] == stays


@settings(max_examples=40)
@given(policies)
def test_what_is_written_is_read_as_the_same(policy):
    if policy != Retention(zone=policy.zone):
        assert parse_retention(yaml.safe_load(yaml.safe_dump(write_retention(policy)))) == policy


def test_a_policy_is_a_line_or_a_table():
    table = yaml.safe_load("{last: 3, daily: 14, within: 36h, zone: Europe/Berlin}")
    assert parse_retention("last 3, daily 14, within 36h, zone Europe/Berlin") == parse_retention(table)
    assert parse_retention(table) == Retention(last=3, daily=14, within=36 * HOUR, zone="Europe/Berlin")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "This retention keeps nothing."),
        ("daily 0, zone UTC", "This retention keeps nothing."),
        ("daily", "'daily' isn't a name and a value."),
        ("dayly 7", "Retention knows no 'dayly'."),
        ("daily 7, daily 8", '"daily" is said twice.'),
        ("daily -1", '"daily" has to be a whole number from 0 to 100000.'),
        ("daily ٣", '"daily" has to be a whole number from 0 to 100000.'),
        ({"daily": True}, '"daily" has to be a whole number from 0 to 100000.'),
        ({"daily": 100_001}, '"daily" has to be a whole number from 0 to 100000.'),
        ({"within": 90}, '"within" has to be text, such as 2d.'),
        ("within 2y", "'2y' isn't a length of time."),
        ("within 0s", "'0s' is no length of time that can be meant."),
        ("within 9999999999w", "'9999999999w' is no length of time that can be meant."),
        ("daily 7, zone Europe/Berlni", "'Europe/Berlni' is no time zone. Was Europe/Berlin meant?"),
        ("daily 7, zone localtime", "'localtime' is no time zone."),
        ("daily 7, zone ../../etc/passwd", "'../../etc/passwd' is no time zone."),
        ({"zone": "Europe", "daily": 1}, "'Europe' is no time zone."),
        (["daily"], "Retention is a line such as: last 3,"),
        ({("daily",) * 999: 7}, "Retention knows no "),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_in_a_sentence(written, said):
    with pytest.raises(InvalidInput) as refused:
        parse_retention(written)
    assert str(refused.value).startswith(said)
    assert len(str(refused.value)) < 300


def in_german(reasons):
    answer_in("de")
    return kept_by(reasons)


@given(some_points, policies, at)
def test_why_a_point_stays_is_told_in_the_viewers_language(points, policy, now):
    for stays in decide(points, policy, now).kept:
        assert kept_by(stays.reasons) == "; ".join(stays.reasons).replace(
            "newest proved point, and none that is proved", "newest tested point, and none that was tested"
        ).replace("newest proved", "newest tested")
        german = copy_context().run(in_german, stays.reasons)
        assert re.findall(r"newest|point|usable|held|week |number|suspect|which|use by|moment", german) == []
