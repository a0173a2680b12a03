"""Access to the pages where one person has them for themselves: whoever has followed a link that works once.

Nothing is kept on disk: all of it ends with the process.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.model.durations import duration
from longshore.web.rendering import render
from longshore.web.visit import Visit

_IDLE = 12 * 3600.0  # seconds without a page after which the link has to be followed anew
_MOST = 20  # browsers at once


@dataclass(slots=True)
class _Session:
    form_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    used_at: float = field(default_factory=time.monotonic)


class OnePerson:
    """Door for one person, by a link that works once.

    `cookie`: its name, one for each such server of a host, which may have several. `told`: is given the path of the
    next link when one has been used.
    """

    inside = False
    alone = True
    origin: str | None = None

    def __init__(self, cookie: str, told: Callable[[str], None] = lambda _path: None) -> None:
        self._cookie = cookie
        self._told = told
        self._sessions: dict[str, _Session] = {}
        self._key = secrets.token_urlsafe(32)

    @property
    def link(self) -> str:
        """Return the path of the link that works once."""
        return f"/ui/open?key={self._key}"

    @property
    def routes(self) -> list[tuple[str, Any, str]]:
        return [("/open", self._open, "GET")]

    async def enter(self, request: Request, *, anywhere: bool = False) -> Visit | Response:
        found = self._find(request.cookies.get(self._cookie))
        return Visit(found.form_token) if found else self._signed_out(request, 401)

    async def leave(self, request: Request) -> Response:
        self._sessions.pop(request.cookies.get(self._cookie, ""), None)
        answer = self._signed_out(request, 200)
        answer.delete_cookie(self._cookie, path="/ui", httponly=True, samesite="lax")
        return answer

    async def ended(self, request: Request) -> Response:
        return self._signed_out(request, 401)

    async def _open(self, request: Request) -> Response:
        session_id = self._begin(request.query_params.get("key", ""))
        if session_id is None:
            if self._find(request.cookies.get(self._cookie)) is not None:
                return RedirectResponse("/ui/", 303)
            return self._signed_out(request, 403, wrong_key=True)
        answer = RedirectResponse("/ui/", 303)
        answer.set_cookie(self._cookie, session_id, path="/ui", httponly=True, samesite="lax")
        return answer

    def _begin(self, key: str) -> str | None:
        """Begin a session and return its id, for a cookie; None: the link isn't valid, or not any more."""
        if not secrets.compare_digest(key.encode(), self._key.encode()):
            return None
        self._key = secrets.token_urlsafe(32)
        self._told(self.link)
        session_id = secrets.token_urlsafe(32)
        self._sessions[session_id] = _Session()
        while len(self._sessions) > _MOST:
            del self._sessions[min(self._sessions, key=lambda one: self._sessions[one].used_at)]
        return session_id

    def _find(self, session_id: str | None) -> _Session | None:
        found = self._sessions.get(session_id or "")
        if found is None:
            return None
        now = time.monotonic()
        if now - found.used_at > _IDLE:
            del self._sessions[session_id or ""]
            return None
        found.used_at = now
        return found

    def _signed_out(self, request: Request, status: int, *, wrong_key: bool = False) -> Response:
        request.state.visit = None
        return render(request, "signed_out.html", status, wrong_key=wrong_key, idle=duration(_IDLE))
