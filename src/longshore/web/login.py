"""Users of the pages of a server: whoever Keystone lets in, for one project at a time."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, TypeVar
from urllib.parse import quote, urlsplit

from anyio import CapacityLimiter, to_thread
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match

from longshore.api.me import Me
from longshore.configuration import ServiceSettings
from longshore.errors import LongshoreError
from longshore.model.session import PasscodeWanted, Session
from longshore.web.addresses import address_of, back_to, here, origin_of
from longshore.web.asking import ApiClient
from longshore.web.cookies import Cookies
from longshore.web.forms import FOREIGN, Form, read_form
from longshore.web.passcode import Passcodes, PasscodeStep
from longshore.web.rendering import render
from longshore.web.sso import Received, SingleSignOn
from longshore.web.visit import Visit, not_allowed
from longshore.web.walls import SharedWall, Walls
from longshore.wording.texts import _, marked

T = TypeVar("T")
ALL_PROJECTS = "migration:all_projects"  # the policy's rule
_AT_ONCE = 16  # requests that look for their sessions: nothing else that waits keeps people out
_AT_KEYSTONE = 8  # that log in or ask for projects
_STATUS = {"login-refused": 401, "second-factor": 401, "too-many-logins": 429, "unreachable": 503, FOREIGN: 403}
_NOTES = {
    "out": marked("You have logged out."),
    "ended": marked("Your session has ended. Log in again."),
    "form": marked("Your session had ended: what you sent has changed nothing. Log in, and you are back at its form."),
}
_WAYS = ("password", "credential", "token")
# What the service says of log-ins, for the catalogues
SAID = (
    marked("Keystone knows no such user, credential or token, or not with this secret."),
    marked("Check what you have typed, and try again."),
    marked("Keystone doesn't answer."),
    marked("Try again in a moment."),
    marked("Keystone doesn't let you into that project."),
)


class Sessions(Received, Passcodes, Walls, Protocol):
    """Sessions of the service. All methods wait for others, and raise LongshoreError."""

    def with_password(self, domain: str, user: str, password: str, *, address: str, had: str | None) -> str: ...
    def with_credential(self, id_: str, secret: str, *, address: str, had: str | None) -> str: ...
    def with_token(self, token: str, *, address: str, had: str | None) -> str: ...
    def find(self, key: str, *, used: bool) -> Session | None: ...
    def projects(self, session: Session) -> list[tuple[str, str]]: ...
    def choose(self, key: str, session: Session, project_id: str) -> str: ...
    def show_everything(self, key: str, session: Session, everything: bool) -> str: ...
    def log_out(self, key: str) -> None: ...


class Login:
    """Door of a server, where people log in by Keystone."""

    inside = False
    alone = False

    def __init__(self, sessions: Sessions, settings: ServiceSettings) -> None:
        origin = origin_of(settings.url)
        self.origin: str | None = origin
        self._sessions = sessions
        self._idle = settings.web.idle
        self._cookies = Cookies(origin)
        self._finding = CapacityLimiter(_AT_ONCE)
        self._at_keystone = CapacityLimiter(_AT_KEYSTONE)
        self._sso = SingleSignOn(settings, sessions, self._cookies, self._refused, self._in_thread)
        self._passcode = PasscodeStep(sessions, self._cookies, self._in_thread, _status_of)
        self._wall = SharedWall(sessions, self._cookies, self._found)

    @property
    def routes(self) -> Sequence[tuple[str, Any, str]]:
        return [
            ("/login", self._ask, "GET"),
            ("/login", self._log_in, "POST"),
            ("/project", self._ask_for_project, "GET"),
            ("/project", self._choose, "POST"),
            *self._passcode.routes,
            *self._sso.routes,
            *self._wall.routes,
        ]

    async def enter(self, request: Request, *, anywhere: bool = False) -> Visit | Response:
        session = await self._session(request)
        if session is None:
            return self._to_login(request, "ended" if self._cookies.session in request.cookies else "")
        if session.project_id is None and not anywhere:
            return RedirectResponse(f"/ui/project?to={quote(here(request), safe='')}", 303)
        return self._visit(request, session)

    async def leave(self, request: Request) -> Response:
        await self._in_thread(lambda: self._sessions.log_out(self._cookies.key(request)))
        answer = RedirectResponse("/ui/login?note=out", 303)
        self._cookies.take(answer, self._cookies.session)
        return answer

    async def ended(self, request: Request) -> Response:
        """Log the session out, and lead to the login.

        Keystone has called its token invalid, so no other page will be had with it.
        """
        await self._in_thread(lambda: self._sessions.log_out(self._cookies.key(request)))
        answer = self._to_login(request, "ended")
        self._cookies.take(answer, self._cookies.session)
        return answer

    # Logging in

    async def _ask(self, request: Request) -> Response:
        return self._asked(request, Form({}), request.query_params.get("by", ""), _to(request.query_params.get("to")))

    def _asked(self, request: Request, said: Form, by: str, to: str, trouble: LongshoreError | None = None) -> Response:
        """Return the form.

        Its mark is the browser's own until there is a session: nobody else can have it fill in one.
        """
        mark = request.cookies.get(self._cookies.entry) or secrets.token_urlsafe(24)
        note = _NOTES.get(request.query_params.get("note", ""), "")
        request.state.visit = None
        answer = render(
            request,
            "login.html",
            200 if trouble is None else _status_of(trouble),
            mark=mark,
            said=said,
            by=by if by in _WAYS else "password",
            to=to,
            ways=[one.name for one in self._sso.ways],
            note=_(note) if trouble is None else "",
            trouble=trouble,
        )
        self._cookies.give(answer, self._cookies.entry, mark)
        return answer

    def _refused(self, request: Request, trouble: LongshoreError) -> Response:
        return self._asked(request, Form({}), "", "/ui/", trouble)

    async def _log_in(self, request: Request) -> Response:
        said = Form({})
        try:
            # Without the cookie nothing fits
            said = await read_form(request, request.cookies.get(self._cookies.entry) or secrets.token_urlsafe(24))
            key = await self._in_thread(partial(self._begin, request, said))
        except PasscodeWanted as wanted:
            return self._passcode.begin(wanted.key, _to(said["to"]))
        except LongshoreError as error:
            return self._asked(request, said, said["by"], _to(said["to"]), error)
        answer = RedirectResponse(_to(said["to"]), 303)
        self._cookies.give(answer, self._cookies.session, key)
        self._cookies.take(answer, self._cookies.entry)
        return answer

    def _begin(self, request: Request, said: Form) -> str:
        had, address = self._cookies.key(request) or None, address_of(request)
        if said["by"] == "credential":
            return self._sessions.with_credential(
                said["credential_id"], said.exact("credential_secret"), address=address, had=had
            )
        if said["by"] == "token":
            return self._sessions.with_token(said["token"], address=address, had=had)
        return self._sessions.with_password(
            said["domain"], said["user"], said.exact("password"), address=address, had=had
        )

    # Projects

    async def _ask_for_project(self, request: Request) -> Response:
        session = await self._session(request)
        if session is None:
            return self._to_login(request, "ended")
        return await self._projects(request, session, None)

    async def _projects(self, request: Request, session: Session, trouble: LongshoreError | None) -> Response:
        request.state.visit = await self._known(request, session)
        found: list[tuple[str, str]] = []
        try:
            found = await self._in_thread(lambda: self._sessions.projects(session))
        except LongshoreError as error:
            trouble = trouble or error
        return render(
            request,
            "project.html",
            200 if trouble is None else 400,
            session=session,
            projects=found,
            to=_to(request.query_params.get("to")),
            trouble=trouble,
        )

    async def _choose(self, request: Request) -> Response:
        session = await self._session(request)
        if session is None:
            return self._to_login(request, "ended")
        key = self._cookies.key(request)
        try:
            said = await read_form(request, session.form_token)
            if said["project"]:
                new = await self._in_thread(lambda: self._sessions.choose(key, session, said["project"]))
            else:
                wanted = said["everything"] == "yes"
                if wanted and not (await self._known(request, session)).may(ALL_PROJECTS):
                    raise not_allowed()
                new = await self._in_thread(lambda: self._sessions.show_everything(key, session, wanted))
        except LongshoreError as error:
            return await self._projects(request, session, error)
        # The page before is of the former project, and the overview fits each. Without one, the page asked for is shown
        answer = RedirectResponse(_to(said["to"]) if session.project_id is None else "/ui/", 303)
        self._cookies.give(answer, self._cookies.session, new)
        return answer

    async def _known(self, request: Request, session: Session) -> Visit:
        """Return the visit of a session with the rules that allow it something, as far as these can be known.

        No failure is raised, as this page is there for those who may nothing, too.
        """
        visit = self._visit(request, session)
        if session.project_id is not None:
            asking = ApiClient(request.app.state.api, replace(visit, everything=False))
            with suppress(LongshoreError):
                return replace(visit, rules=frozenset((await asking.get(Me, "/v1/me")).rules))
        return visit

    # Sessions

    async def _session(self, request: Request) -> Session | None:
        key = self._cookies.key(request)
        if not key:
            return None
        by_itself = request.method == "GET" and "hx-request" in request.headers
        find = partial(self._sessions.find, key, used=not by_itself)
        return await self._found(find)

    async def _found(self, find: Callable[[], T]) -> T:
        return await to_thread.run_sync(find, limiter=self._finding)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await to_thread.run_sync(work, limiter=self._at_keystone)

    def _visit(self, request: Request, session: Session) -> Visit:
        return Visit(
            form_token=session.form_token,
            token=session.token,
            address=address_of(request),
            user=session.user_name,
            project_id=session.project_id or "",
            project=session.project_name,
            everything=session.everything,
            ends_in=min(self._idle, (session.ends_at - datetime.now(UTC)).total_seconds()),
        )

    def _page_of_form(self, request: Request) -> str:
        """Return the address of the page whose form was sent, as browsers say it; empty where it isn't one of ours."""
        try:
            said = urlsplit(request.headers.get("referer", ""))
        except ValueError:
            return ""
        own = (self.origin, f"{request.url.scheme}://{request.headers.get('host')}")
        asked = {**request.scope, "method": "GET", "path": said.path}
        known = any(route.matches(asked)[0] is Match.FULL for route in request.app.routes)
        if f"{said.scheme}://{said.netloc}" not in own or not known:
            return ""
        return back_to(said._replace(scheme="", netloc="", fragment="").geturl())

    def _to_login(self, request: Request, note: str) -> Response:
        if "hx-request" in request.headers:  # the page that is open says that it isn't up to date
            return Response(status_code=401)
        if request.method == "GET":
            to = here(request)
        elif to := self._page_of_form(request):
            note = "form"
        else:
            to = "/ui/"
        return RedirectResponse(f"/ui/login?to={quote(to, safe='')}{f'&note={note}' if note else ''}", 303)


def _status_of(trouble: LongshoreError) -> int:
    return _STATUS.get(trouble.code, 400)


def _to(address: str | None) -> str:
    return back_to(address or "")
