"""When machines that move will be there: from what was measured, and not before anything was."""

from datetime import datetime, timedelta

import pytest

from longshore.planning.forecast import Course, forecast

NOW = datetime(2026, 11, 28, 22, 0)
GIB = 1 << 30


def course(size=40, done=0.0, pace=0.0, left=None, begun=None, *, ahead=True):
    """Return one of so many GiB; `begun`: minutes ago."""
    at = None if begun is None else NOW - timedelta(minutes=begun)
    return Course(size * GIB, done * GIB, pace * GIB, left, at, ahead)


def test_nothing_is_told_before_anything_was_measured():
    assert forecast([], NOW) is None
    assert forecast([course(), course(begun=0.5)], NOW) is None
    assert forecast([course(done=40, begun=60, ahead=False)], NOW) is None, "nothing is ahead"
    assert forecast([course(), course(done=40, begun=60, ahead=False)], NOW) is None, "nothing is copied now"


def test_two_measures_that_agree_tell_it_to_a_tenth():
    """In an hour one machine of two was copied, and half of the other; so was it in the last moment."""
    courses = [course(done=40, begun=60, ahead=False), course(done=20, pace=60 / 3600, begun=60), course()]
    told = forecast(courses, NOW)
    assert told.at == NOW + timedelta(hours=1)
    assert told.give_or_take == pytest.approx(360)


def test_the_less_they_agree_the_more_may_it_be_wrong():
    courses = [course(done=20, pace=2 * 20 / 3600, begun=60), course()]
    told = forecast(courses, NOW)  # 60 GiB: 1.5 h as it goes now, 3 h as it went
    assert told.at == NOW + timedelta(hours=2, minutes=15)
    assert told.give_or_take == pytest.approx(45 * 60)


def test_one_measure_alone_may_be_wrong_by_half():
    told = forecast([course(done=1, pace=39 / 600, begun=0.5)], NOW)
    assert (told.at, told.give_or_take) == (NOW + timedelta(minutes=10), 300.0)


def test_it_is_not_before_the_disk_that_takes_longest():
    courses = [course(done=39, pace=1.0, left=1800.0, begun=0.5)]
    assert forecast(courses, NOW).at == NOW + timedelta(minutes=30)


def test_what_was_moved_before_those_that_are_copied_now_were_begun_is_no_measure():
    lately = [course(done=20, pace=20 / 3600, begun=60)]
    assert forecast([course(done=40, begun=9000, ahead=False), *lately], NOW) == forecast(lately, NOW)
