"""A look ahead: when a schedule comes, and which points rules would have kept by then."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile

from longshore.model.point import Arrival, Consistency, Point
from longshore.model.retention import Retention
from longshore.model.schedule import Calendar, Continuous, Every, Schedule
from longshore.planning.retention import Decision, decide
from longshore.planning.schedules import SHORTEST, upcoming

AHEAD = timedelta(days=400)  # yearly rules show in it
MOST = 10_000  # runs


def times_ahead(schedule: Schedule, now: datetime, record_id: str) -> Iterator[datetime]:
    """Yield when a schedule comes from now on, for at most AHEAD and MOST times.

    One that is continuous is taken as often as half of its RPO: the most often that it comes while syncs are short.
    """
    calendar: Calendar = Every(max(SHORTEST, schedule.rpo / 2)) if isinstance(schedule, Continuous) else schedule
    return takewhile(lambda moment: moment <= now + AHEAD, islice(upcoming(calendar, now, record_id), MOST))


def kept_of(moments: Iterable[datetime], rules: Retention) -> Decision:
    """Return what rules would keep of points of these moments, at the last of them, if each came of itself well."""
    points = [Point(moment.isoformat(), Arrival(moment, moment), Consistency.CRASH) for moment in moments]
    return decide(points, rules, max(point.moment for point in points))
