"""Logging in by an identity provider, to which Keystone sends the browser (WebSSO).

Keystone's answer is a form in the browser that posts a token to us. Any page can make a browser post such a form, with
a token of its author's: whoever then goes on works in that account without knowing it. So it is taken from Keystone's
own pages alone, and what comes lets nobody in before they have said that it is theirs.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.configuration import ServiceSettings
from longshore.errors import LongshoreError
from longshore.web.addresses import address_of, back_to, origin_of
from longshore.web.cookies import Cookies
from longshore.web.forms import Foreign, read_form
from longshore.web.rendering import render
from longshore.wording.texts import marked

_LASTS = 600  # seconds that a log-in may take


class Received(Protocol):
    """Sessions of the service, as far as single sign-on is about them.

    All methods wait for others, and raise LongshoreError.
    """

    def receive(self, token: str, *, address: str) -> str: ...
    def received(self, key: str) -> str | None: ...
    def accept(self, key: str, *, address: str, had: str | None) -> str: ...
    def decline(self, key: str) -> None: ...


@dataclass(frozen=True, slots=True)
class LoginWay:
    name: str
    address: str  # at Keystone


class SingleSignOn:
    """The way to log in by Keystone's single sign-on.

    `refused`: shows the form to log in with, and why. `in_thread`: calls there what waits.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        sessions: Received,
        cookies: Cookies,
        refused: Callable[[Request, LongshoreError], Response],
        in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        self.ways = _ways(settings)
        self._keystone = origin_of(settings.keystone.public_v3) if self.ways else ""
        self._sessions, self._cookies = sessions, cookies
        self._refused, self._in_thread = refused, in_thread

    @property
    def routes(self) -> list[tuple[str, Any, str]]:
        if not self.ways:
            return []
        return [
            ("/login/sso/{way:int}", self._leave, "GET"),
            ("/login/sso", self._receive, "POST"),
            ("/login/continue", self._ask, "GET"),
            ("/login/continue", self._answered, "POST"),
        ]

    async def _leave(self, request: Request) -> Response:
        """Lead the browser to Keystone to log in.

        Keystone knows the address to come back to word for word, so the page that is wanted stays here, in a cookie.
        """
        number, wanted = request.path_params["way"], back_to(request.query_params.get("to", ""))
        if number >= len(self.ways):
            return RedirectResponse(f"/ui/login?to={quote(wanted, safe='')}", 303)
        answer = RedirectResponse(self.ways[number].address, 303)
        self._cookies.give(answer, self._cookies.wanted, quote(wanted, safe=""), _LASTS)
        return answer

    async def _receive(self, request: Request) -> Response:
        try:
            if request.headers.get("origin") != self._keystone:
                raise Foreign(marked("This log-in doesn't come from Keystone: nobody was logged in."))
            token = (await read_form(request, None))["token"]
            key = await self._in_thread(partial(self._sessions.receive, token, address=address_of(request)))
        except LongshoreError as error:
            return self._refused(request, error)
        answer = RedirectResponse("/ui/login/continue", 303)
        self._cookies.give(answer, self._cookies.waiting, key, _LASTS)
        return answer

    async def _ask(self, request: Request) -> Response:
        name = await self._in_thread(partial(self._sessions.received, self._key(request)))
        if name is None:
            return RedirectResponse("/ui/login", 303)
        mark = request.cookies.get(self._cookies.entry) or secrets.token_urlsafe(24)
        request.state.visit = None
        answer = render(request, "continue.html", name=name, mark=mark)
        self._cookies.give(answer, self._cookies.entry, mark)
        return answer

    async def _answered(self, request: Request) -> Response:
        key, had = self._key(request), self._cookies.key(request) or None
        try:
            said = await read_form(request, request.cookies.get(self._cookies.entry) or secrets.token_urlsafe(24))
            if said["do"] != "continue":
                await self._in_thread(partial(self._sessions.decline, key))
                answer = RedirectResponse("/ui/login", 303)
            else:
                accept = partial(self._sessions.accept, key, address=address_of(request), had=had)
                session = await self._in_thread(accept)
                wanted = unquote(request.cookies.get(self._cookies.wanted, ""))
                answer = RedirectResponse(back_to(wanted), 303)
                self._cookies.give(answer, self._cookies.session, session)
                self._cookies.take(answer, self._cookies.entry)
        except LongshoreError as error:
            return self._refused(request, error)
        self._cookies.take(answer, self._cookies.waiting)
        self._cookies.take(answer, self._cookies.wanted)
        return answer

    def _key(self, request: Request) -> str:
        return request.cookies.get(self._cookies.waiting, "")


def _ways(settings: ServiceSettings) -> list[LoginWay]:
    """Return the ways of single sign-on that are configured. Each leads back to `/ui/login/sso`."""
    keystone = f"{settings.keystone.public_v3}/auth/OS-FEDERATION"
    back = urlencode({"origin": f"{origin_of(settings.url)}/ui/login/sso"})
    return [
        LoginWay(
            one.name,
            f"{keystone}/identity_providers/{one.identity_provider}/protocols/{one.protocol}/websso?{back}"
            if one.identity_provider
            else f"{keystone}/websso/{one.protocol}?{back}",
        )
        for one in settings.web.sso
    ]
