"""Pages for another program, which shows them in its own frame: OpenStack's dashboard, with its user's own token.

That program has the session and keeps foreign forms out; nothing is remembered here from one request to the next.
"""

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from longshore.web.visit import Visit

TOKEN = "x-auth-token"  # noqa: S105 the header's name
_EVERYTHING = "x-longshore-all-projects"


class Inside:
    """Door for another program, which shows the pages in its own frame."""

    inside = True
    alone = False
    routes: Sequence[tuple[str, Any, str]] = ()

    def __init__(self, origin: str | None = None) -> None:
        self.origin = origin

    async def enter(self, request: Request, *, anywhere: bool = False) -> Visit | Response:
        return Visit(
            form_token=None,
            token=request.headers[TOKEN],
            address=request.client.host if request.client else "",
            everything=request.headers.get(_EVERYTHING) == "true",
        )

    async def leave(self, request: Request) -> Response:
        return await self.ended(request)

    async def ended(self, request: Request) -> Response:
        return PlainTextResponse("Keystone doesn't know this token any more.\n", 401)
