"""The pages as an application: their routes, who may open them, and what is shown when something is refused."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope

from longshore.errors import LongshoreError
from longshore.web.asking import Asking
from longshore.web.forms import Foreign, read_form
from longshore.web.pages import migrations, overview, plans, providers, replicas, wizard
from longshore.web.rendering import STATIC, THEMES, render
from longshore.web.session import OnePerson

_log = logging.getLogger("longshore.web")
Handler = Callable[[Request], Awaitable[Response]]
_STATUS = {"not-found": 404, "conflict": 409, "invalid-input": 400, "foreign-form": 403, "unreachable": 502}
_THEME_LASTS = 365 * 86400  # seconds


def create_pages(api: ASGIApp, person: OnePerson, cookie: str) -> Starlette:
    """`cookie`: its name, one for each such server of a host, which may have several."""
    asking = Asking(api)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await asking.close()

    def route(path: str, handler: Handler, methods: str) -> Route:
        async def guarded(request: Request) -> Response:
            request.state.session = person.find(request.cookies.get(cookie))
            if request.state.session is None:
                return render(request, "signed_out.html", 401, wrong_key=False, idle=person.idle)
            request.state.asking = asking
            try:
                if request.method == "POST":
                    request.state.form = await read_form(request, request.state.session)
                return await handler(request)
            except LongshoreError as error:
                return refused(request, error)

        return Route(f"/ui{path}", guarded, methods=methods.split())

    async def open_(request: Request) -> Response:
        session_id = person.open(request.query_params.get("key", ""))
        if session_id is None:
            known = person.find(request.cookies.get(cookie))
            if known is not None:
                return RedirectResponse("/ui/", 303)
            return render(request, "signed_out.html", 403, wrong_key=True, idle=person.idle)
        answer = RedirectResponse("/ui/", 303)
        answer.set_cookie(cookie, session_id, path="/ui", httponly=True, samesite="lax")
        return answer

    async def close(request: Request) -> Response:
        person.close(request.cookies.get(cookie))
        answer = render_signed_out(request)
        answer.delete_cookie(cookie, path="/ui", httponly=True, samesite="lax")
        return answer

    def render_signed_out(request: Request) -> Response:
        request.state.session = None
        return render(request, "signed_out.html", wrong_key=False, idle=person.idle)

    subjects = (overview, providers, plans, wizard, migrations, replicas)
    routes: list[Any] = [route(*described) for subject in subjects for described in subject.ROUTES]
    return Starlette(
        routes=[
            Route("/ui/open", open_),
            Mount("/ui/static", _Kept(directory=STATIC)),
            route("/theme", choose_theme, "POST"),
            route("/close", close, "POST"),
            *routes,
        ],
        exception_handlers={HTTPException: _missing, Exception: _unforeseen},
        lifespan=lifespan,
    )


async def choose_theme(request: Request) -> Response:
    """Light, dark, or as the browser is."""
    wanted = request.state.form["theme"]
    answer = RedirectResponse(back_to(request.state.form["back"]), 303)
    if wanted in THEMES:
        answer.set_cookie("longshore_theme", wanted, _THEME_LASTS, path="/ui", httponly=True, samesite="lax")
    return answer


def back_to(address: str) -> str:
    """That of one of our own pages, whatever was sent."""
    said = urlsplit(address)
    own = not said.scheme and not said.netloc and said.path.startswith("/ui/") and "\\" not in address
    return address if own else "/ui/"


def refused(request: Request, error: LongshoreError) -> Response:
    """The sentence, and the way back. What a command line would do about it isn't said here."""
    advice = error.advice if "longshore " not in error.advice and "--" not in error.advice else ""
    status = 403 if isinstance(error, Foreign) else _STATUS.get(error.code, 400)
    return render(request, "refused.html", status, message=error.message, advice=advice, code=error.code)


async def _missing(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "There is no such page.", 405: "This can't be asked for like that."}
    return render(
        request, "refused.html", status, message=words.get(status, "That isn't possible."), advice="", code=""
    )


async def _unforeseen(request: Request, error: Exception) -> Response:
    _log.error("%s failed", request.url.path, exc_info=error)
    said = "Something failed that nobody foresaw. The terminal where the pages were started says more."
    return render(request, "refused.html", 500, message=said, advice="", code="unforeseen")


class _Kept(StaticFiles):
    """Files whose addresses change with their content; those of a version's folder never do."""

    def file_response(self, full_path: Any, stat_result: Any, scope: Scope, status_code: int = 200) -> Response:
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer
