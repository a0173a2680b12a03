"""The time at which machines that move will be there, told from nothing but what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import mean

_LONG_ENOUGH = 60.0  # seconds of copying before its average says anything
_ALONE = 0.5  # part of the time that is left by which one measure alone may be wrong
_AT_LEAST = 0.1  # likewise, by which two that agree may be
_LEAST = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Course:
    """The course of one machine's copy. Bytes are of its disks' sizes, so that all of it is known from the beginning.

    `pace`: of these bytes per second, now; `left`: seconds, of the disk that takes longest, as far as it is known.
    """

    size: float
    done: float
    pace: float
    left: float | None
    started_at: datetime | None
    ahead: bool  # it is copied, or queued for that


@dataclass(frozen=True, slots=True)
class Forecast:
    at: datetime
    give_or_take: float  # seconds


def forecast(courses: Sequence[Course], now: datetime) -> Forecast | None:
    """Return when all that is ahead will be there; None while nothing was measured, or nothing is ahead.

    There are two measures: what is copied at this moment, and what has come since the machines that are copied now were
    begun, which has what goes by between two copies in it. The mean of the two is told, and how far they differ.
    `now` and the times of courses are in UTC without a zone.
    """
    left = sum(one.size - one.done for one in courses if one.ahead)
    begun = [one.started_at for one in courses if one.ahead and one.started_at is not None]
    paces = [sum(one.pace for one in courses if one.ahead)]
    if begun and (gone_by := (now - min(begun)).total_seconds()) >= _LONG_ENOUGH:
        came = sum(one.done for one in courses if one.started_at is not None and one.started_at >= min(begun))
        paces.append(came / gone_by)
    takes = [left / pace for pace in paces if pace > 0]
    if not takes or not begun:
        return None
    longest = max((one.left or 0.0 for one in courses if one.ahead), default=0.0)
    takes_about = max(mean(takes), longest)
    part = _ALONE if len(takes) == 1 else _AT_LEAST
    differs = (max(takes) - min(takes)) / 2
    return Forecast(now + timedelta(seconds=takes_about), max(differs, part * takes_about, _LEAST))
