"""Previews of schedules and rules of retention, as they go over the wire."""

from typing import Annotated

from pydantic import Field

from longshore.api.schemas import Moment, Name, Strict

_Line = Annotated[str, Field(min_length=1, max_length=1000)]


class PreviewWanted(Strict):
    """A schedule and rules that are thought of. With a policy or a replica, its points are judged by the rules, too."""

    schedule: _Line
    retention: _Line | None = None
    rpo: _Line | None = None  # as 30m, for "continuous"
    policy: Name | None = None  # of backups
    replica: _Line | None = None  # its id


class PreviewedPoint(Strict):
    """A point, and what the rules would make of it."""

    name: str  # in a vault; of a replica its number
    machine_name: str
    moment: Moment
    reasons: list[str]  # why it would stay; none: it would go


class LaterPoint(Strict):
    """A point that would be there."""

    moment: Moment
    reasons: list[str]


class Later(Strict):
    """Points that the rules would keep later on, if each run made one."""

    at: Moment  # of the last run that was counted
    runs: int
    kept: list[LaterPoint]  # newest first


class SchedulePreview(Strict):
    """A look ahead. Nothing of it is there yet, but for `points`."""

    next: list[Moment]  # the first ten
    zone: str | None  # whose clock the schedule means; null: none's, it comes in equal intervals
    exact: bool  # false: each record has its own times, in the same intervals or within the spread
    later: Later | None  # null: there are no rules, or the schedule doesn't come any more
    points: list[PreviewedPoint] | None  # that are there, by machine, newest first; null: none were asked for
