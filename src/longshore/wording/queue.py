"""The reason why something is queued, in a sentence: the same on a terminal and on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.wording.forecasts import about
from longshore.wording.texts import _

if TYPE_CHECKING:
    from longshore.api.schemas import QueuedBehind


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
