"""The overview on a wall, for whoever has a link to it: read-only, and without a log-in.

The link gives the browser a cookie that is for that one page. That asks the API as a reader of the link's project.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from longshore.model.wall_link import WallLink
from longshore.web.addresses import address_of
from longshore.web.asking import ApiClient
from longshore.web.cookies import Cookies
from longshore.web.pages.overview import standing
from longshore.web.rendering import render
from longshore.web.visit import Visit

AT = "/ui/wall/shared"


class Walls(Protocol):
    def wall(self, key: str) -> WallLink | None:
        """Return the wall link with this key; None when it has ended or was taken back."""


class SharedWall:
    def __init__(
        self, walls: Walls, cookies: Cookies, in_thread: Callable[[Callable[[], Any]], Awaitable[Any]]
    ) -> None:
        self._walls = walls
        self._cookies = cookies
        self._in_thread = in_thread

    @property
    def routes(self) -> Sequence[tuple[str, Any, str]]:
        return [("/wall/open", self._open, "GET"), ("/wall/shared", self._show, "GET")]

    async def _open(self, request: Request) -> Response:
        key = request.query_params.get("key", "")
        link = await self._link(key)
        if link is None:
            return self._over(request)
        answer = RedirectResponse(AT, 303)
        self._cookies.give_wall(answer, AT, key, int((link.ends_at - datetime.now(UTC)).total_seconds()))
        return answer

    async def _show(self, request: Request) -> Response:
        link = await self._link(request.cookies.get(self._cookies.wall, ""))
        if link is None:
            return self._over(request)
        visit = Visit(form_token=None, address=address_of(request), project_id=link.project_id)
        request.state.visit = visit
        said = await standing(ApiClient(_as_reader(request.app.state.api, link.project_id), visit))
        return render(request, "wall.html", live=True, link=link, now=datetime.now(UTC), **said)

    async def _link(self, key: str) -> WallLink | None:
        return await self._in_thread(lambda: self._walls.wall(key)) if key else None

    def _over(self, request: Request) -> Response:
        if "hx-request" in request.headers:  # the page that is open says that it isn't up to date
            return Response(status_code=401)
        request.state.visit = None
        return render(request, "wall_over.html", 403)


def _as_reader(api: ASGIApp, project_id: str) -> ASGIApp:
    """Return the API as somebody sees it who has the role reader in a project, and nothing else."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["reader_of"] = project_id
        await api(scope, receive, send)

    return asked
