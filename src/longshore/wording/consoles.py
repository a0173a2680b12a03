"""What is said of a server's console besides what it has printed: on pages, and by the command that shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from longshore.wording.texts import _

if TYPE_CHECKING:
    from longshore.api.schemas import ServerConsole


def power_of(console: ServerConsole) -> str:
    """Empty while the server runs: what it prints is news then."""
    return _("The server is off.") if console.off else ""


def emptiness_of(console: ServerConsole) -> str:
    """Why there is nothing to read, if there is nothing."""
    if console.text:
        return ""
    if console.off:
        return _("Nothing: most clouds forget what a server has printed when it is switched off.")
    return _("Nothing yet.")
