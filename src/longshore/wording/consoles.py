"""Sentences about a server's console beside what it has printed, for pages and for the command that shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.wording.texts import _

if TYPE_CHECKING:
    from longshore.api.schemas import ServerConsole


def power_of(console: ServerConsole) -> str:
    """Say that the server is off. Empty while it runs, since what it prints is news then."""
    return _("The server is off.") if console.off else ""


def emptiness_of(console: ServerConsole) -> str:
    """Say why there is nothing to read; empty where there is something."""
    if console.text:
        return ""
    if console.off:
        return _("Nothing: most clouds forget what a server has printed when it is switched off.")
    return _("Nothing yet.")
