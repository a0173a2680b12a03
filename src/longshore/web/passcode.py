"""The second step of a log-in where Keystone asks for a passcode (TOTP) besides the password."""

import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.errors import LongshoreError
from longshore.web.addresses import address_of, back_to
from longshore.web.cookies import Cookies
from longshore.web.forms import read_form
from longshore.web.rendering import render

_LASTS = 600  # seconds


class Passcodes(Protocol):
    """Sessions of the service, as far as passcodes are about them."""

    def with_passcode(self, key: str, passcode: str, *, address: str, had: str | None) -> str: ...


class PasscodeStep:
    """The step of a login at which Keystone wants a passcode.

    `in_thread`: calls there what waits. `status_of`: of an answer that says why something was refused.
    """

    def __init__(
        self,
        sessions: Passcodes,
        cookies: Cookies,
        in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
        status_of: Callable[[LongshoreError], int],
    ) -> None:
        self._sessions, self._cookies = sessions, cookies
        self._in_thread, self._status_of = in_thread, status_of

    @property
    def routes(self) -> list[tuple[str, Any, str]]:
        return [("/login/passcode", self._ask, "GET"), ("/login/passcode", self._log_in, "POST")]

    def begin(self, key: str, wanted: str) -> Response:
        """Lead the browser to this step of a login.

        `key`: of what the password has begun. `wanted`: the page to show at the end.
        """
        answer = RedirectResponse("/ui/login/passcode", 303)
        self._cookies.give(answer, self._cookies.half, key, _LASTS)
        self._cookies.give(answer, self._cookies.wanted, quote(wanted, safe=""), _LASTS)
        return answer

    async def _ask(self, request: Request) -> Response:
        return self._asked(request)

    def _asked(self, request: Request, trouble: LongshoreError | None = None) -> Response:
        if self._cookies.half not in request.cookies:
            return RedirectResponse("/ui/login", 303)
        mark = request.cookies.get(self._cookies.entry) or secrets.token_urlsafe(24)
        request.state.visit = None
        status = 200 if trouble is None else self._status_of(trouble)
        answer = render(request, "passcode.html", status, mark=mark, trouble=trouble)
        self._cookies.give(answer, self._cookies.entry, mark)
        return answer

    async def _log_in(self, request: Request) -> Response:
        try:
            said = await read_form(request, request.cookies.get(self._cookies.entry) or secrets.token_urlsafe(24))
            half, had = request.cookies.get(self._cookies.half, ""), self._cookies.key(request) or None
            begin = partial(self._sessions.with_passcode, half, said["passcode"], address=address_of(request), had=had)
            key = await self._in_thread(begin)
        except LongshoreError as error:
            return self._asked(request, error)
        answer = RedirectResponse(back_to(unquote(request.cookies.get(self._cookies.wanted, ""))), 303)
        self._cookies.give(answer, self._cookies.session, key)
        for name in (self._cookies.entry, self._cookies.half, self._cookies.wanted):
            self._cookies.take(answer, name)
        return answer
