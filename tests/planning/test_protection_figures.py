"""How old the newest point is, was at worst, and for how long: against a look at each second."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longshore.model.point import Arrival
from longshore.planning.protection_figures import (
    WINDOWS,
    Span,
    SyncPace,
    forecast,
    look_back,
    look_back_over_windows,
    rpo_now,
)

NOON = datetime(2026, 3, 29, 12, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def came(moment, took=0):
    return Arrival(NOON + moment * SECOND, NOON + (moment + took) * SECOND)


@settings(max_examples=50)
@given(
    st.lists(st.builds(came, st.integers(0, 120), st.integers(-5, 60)), max_size=8),
    st.integers(1, 60),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_figures_are_those_of_a_look_at_each_second(arrivals, objective, since, length):
    begin = NOON + since * SECOND
    ages = [rpo_now(arrivals, begin + second * SECOND) for second in range(length)]
    known = [age + SECOND for age in ages if age is not None]  # at the end of each second
    assert look_back(arrivals, objective * SECOND, begin, begin + length * SECOND) == Span(
        length=length * SECOND,
        worst=max(known, default=None),
        without=ages.count(None) * SECOND,
        kept=sum(age <= objective * SECOND for age in known) * SECOND,
    )


def test_a_point_counts_from_when_its_snapshot_was_asked_for_and_only_once_it_is_usable():
    every_minute = [came(60 * n, took=8) for n in range(60)]
    assert rpo_now(every_minute, NOON + 127 * SECOND) == 67 * SECOND
    assert rpo_now(every_minute, NOON + 128 * SECOND) == 8 * SECOND
    hour = look_back(every_minute, MINUTE, NOON + 8 * SECOND, NOON + HOUR)
    assert (hour.worst, hour.without) == (68 * SECOND, 0 * SECOND)
    assert hour.share == pytest.approx(1 - 8 * 59 / 3592)


def test_where_there_is_no_point_there_is_no_age():
    assert rpo_now([], NOON) is None
    assert rpo_now([came(60)], NOON) is None  # clocks have disagreed
    assert look_back([], MINUTE, NOON, NOON + HOUR) == Span(HOUR, None, HOUR, 0 * SECOND)
    assert look_back([], MINUTE, NOON, NOON).share is None


def test_windows_begin_when_the_machine_was_to_be_protected():
    now = NOON + 3 * DAY
    spans = look_back_over_windows([came(n * 3600, took=600) for n in range(72)], 2 * HOUR, NOON, now)
    assert [spans[window].length for window in WINDOWS] == [DAY, 3 * DAY, 3 * DAY]
    assert [spans[window].without for window in WINDOWS] == [0 * DAY, 10 * MINUTE, 10 * MINUTE]
    assert spans[DAY].share == 1
    assert spans[30 * DAY].worst == 70 * MINUTE


@pytest.mark.parametrize(
    ("paces", "writes", "seconds"),
    [
        ([], MINUTE, None),
        ([(60, 8)], 10 * MINUTE, 8),
        # 5 s for each, and a second more for each minute of writing
        ([(60, 6), (600, 15), (0, 5)], HOUR, 65),
        # one that was slow by chance
        ([(60, 8), (60, 8), (60, 300), (60, 8)], MINUTE, 8),
        # how it was long ago
        ([(60, 100), *[(60, 8)] * 5], MINUTE, 8),
    ],
)
def test_what_the_next_sync_takes_is_told_from_the_last_few(paces, writes, seconds):
    found = forecast([SyncPace(wrote * SECOND, took * SECOND) for wrote, took in paces], writes)
    assert found == (None if seconds is None else seconds * SECOND)
