"""Who may use the pages where one person has them for himself: whoever has followed a link that works once.

Nothing is kept on disk: all of it ends with the process.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from longshore.web.words import duration

_IDLE = 12 * 3600.0  # seconds without a page after which the link has to be followed anew
_MOST = 20  # browsers at once


@dataclass(slots=True)
class Session:
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))  # every form that changes has it
    used_at: float = field(default_factory=time.monotonic)


class OnePerson:
    """`told`: is given the path of the next link when one has been used."""

    def __init__(self, told: Callable[[str], None] = lambda _path: None) -> None:
        self._told = told
        self._sessions: dict[str, Session] = {}
        self._key = secrets.token_urlsafe(32)

    @property
    def link(self) -> str:
        """Path of the link that works once."""
        return f"/ui/open?key={self._key}"

    def open(self, key: str) -> str | None:
        """The id of a new session, for a cookie; None: the link isn't valid, or not any more."""
        if not secrets.compare_digest(key.encode(), self._key.encode()):
            return None
        self._key = secrets.token_urlsafe(32)
        self._told(self.link)
        session_id = secrets.token_urlsafe(32)
        self._sessions[session_id] = Session()
        while len(self._sessions) > _MOST:
            del self._sessions[min(self._sessions, key=lambda one: self._sessions[one].used_at)]
        return session_id

    def find(self, session_id: str | None) -> Session | None:
        found = self._sessions.get(session_id or "")
        if found is None:
            return None
        now = time.monotonic()
        if now - found.used_at > _IDLE:
            del self._sessions[session_id or ""]
            return None
        found.used_at = now
        return found

    def close(self, session_id: str | None) -> None:
        self._sessions.pop(session_id or "", None)

    @property
    def idle(self) -> str:
        """How long a session lasts that nobody uses."""
        return duration(_IDLE)
