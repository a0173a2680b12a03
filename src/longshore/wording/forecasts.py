"""Forecasts as they are told, to the minute and never more exact than what was measured; why something is queued."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from longshore.model.durations import duration
from longshore.wording.figures import size
from longshore.wording.texts import _, marked

if TYPE_CHECKING:
    from longshore.api.schemas import PlanFigures, QueuedBehind, WaveForecast

_MINUTE, _HOUR = 60, 3600
# Why nothing can be told
UNKNOWN = {
    "not-measured": marked("end not known yet"),
    "begins-later": marked("end not known: not all of it has begun"),
    "cutover-first": marked("end not known: an earlier wave is to be cut over first"),
}


def about(at: datetime) -> str:
    """Write a moment of a forecast, in UTC, without its day if that is today's. `at` is in UTC without a zone."""
    today = datetime.now(UTC).date()
    return f"{at:%H:%M} UTC" if at.date() == today else f"{at:%Y-%m-%d %H:%M} UTC"


def roughly(seconds: float) -> str:
    """Write by how much a forecast may be wrong: in minutes, of some hours in quarters of one."""
    step = _MINUTE if seconds < 10 * _MINUTE else 5 * _MINUTE if seconds < 2 * _HOUR else 15 * _MINUTE
    return duration(-(-seconds // step) * step)


def what_of(figures: PlanFigures | WaveForecast) -> str:
    """Return what a forecast tells: that all is done about then, or only copied."""
    return _("copied about") if figures.until_cutover else _("done about")


def sentence_of(figures: PlanFigures) -> str:
    """Return how far a plan or a wave is, for a terminal: what is copied of it, how fast, and until when."""
    told = [", ".join(f"{count} {status}" for status, count in figures.states.items())]
    if figures.bytes_total:
        told.append(f"{size(figures.bytes_done)} of {size(figures.bytes_total)}")
    if figures.bytes_per_second:
        told.append(f"{size(figures.bytes_per_second)}/s")
    return "; ".join([*told, *([until] if (until := until_of(figures)) else [])])


def until_of(figures: PlanFigures) -> str:
    """Return until when a plan or a wave takes, for a terminal; empty when nothing of it is under way."""
    if figures.done_at is not None and figures.give_or_take is not None:
        return _told(figures.done_at, figures.give_or_take, until_cutover=figures.until_cutover)
    before = f"begins {about(figures.begins_at)}; " if figures.begins_at else ""
    if (first := figures.at_work) is not None:
        told = _told(first.done_at, first.give_or_take, until_cutover=first.until_cutover)
        before = f"wave {first.wave} {told}; "
    return f"{before}{UNKNOWN[figures.no_forecast]}" if figures.no_forecast else ""


def _told(at: datetime, give_or_take: float, *, until_cutover: bool) -> str:
    return f"{'copied' if until_cutover else 'done'} about {about(at)}, give or take {roughly(give_or_take)}"


def why_queued(behind: QueuedBehind | None) -> str:
    """Return what it is behind; empty where it is only in line."""
    if behind is None:
        return ""
    if behind.what == "wave":
        return _("Wave %(wave)s goes first: this one begins when all of it has ended.") % {"wave": behind.wave}
    if behind.what == "workers":
        return _("All places of the workers are taken.")
    if behind.what == "time" and behind.at is not None:
        return _("It begins at %(time)s.") % {"time": about(behind.at)}
    said = {"count": behind.at_once, "name": behind.name}
    return {
        "source": _("No more than %(count)s at once from %(name)s."),
        "target": _("No more than %(count)s at once to %(name)s."),
        "host": _("No more than %(count)s at once on host %(name)s."),
        "datastore": _("No more than %(count)s at once on datastore %(name)s."),
        "plan": _("No more than %(count)s of its plan at once."),
        "project": _("No more than %(count)s at once."),
    }[behind.of or "project"] % said
