"""What requests meet first: pages are below /ui/, and each answer of theirs says what a browser may do with it.

`longshore web` answers those that are meant for its address and nobody else's, and doesn't serve the API beside its
pages: without Keystone that asks nobody who he is, and on this machine's loopback everybody could reach it. The pages
ask it inside this process. `longshore server` serves both.
"""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longshore.web.inside import TOKEN

CSP = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ]
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    # The link's key is in an address. With "no-referrer" browsers wouldn't say where our own forms are from, either
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class FrontOfMany:
    """`api` gets whatever isn't for the pages; it takes no cookie. `inside` are the pages for another program, which
    brings its user's token in a header: no page of a foreign site can make a browser do that."""

    def __init__(self, pages: ASGIApp, inside: ASGIApp, api: ASGIApp) -> None:
        self._pages = pages
        self._inside = inside
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith("/ui/"):
            await self._api(scope, receive, send)
        elif scope["path"] == "/ui":
            await RedirectResponse("/ui/", 302)(scope, receive, _with_headers(send, "/ui"))
        else:
            pages = self._inside if TOKEN in Headers(scope=scope) else self._pages
            await pages(scope, receive, _with_headers(send, scope["path"]))


class Front:
    """`hosts`: what a request may call this server, as host:port. Any other is a name that somebody has made lead here
    (DNS rebinding), so that a page of his could read ours."""

    def __init__(self, pages: ASGIApp, hosts: frozenset[str]) -> None:
        self._pages = pages
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._pages(scope, receive, send)
            return
        answer = self._refusal(scope)
        await (answer or self._pages)(scope, receive, _with_headers(send, scope["path"]))

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        host = Headers(scope=scope).get("host", "")
        if host.lower() not in self._hosts:
            return PlainTextResponse(f"This is Longshore at {min(self._hosts)}, and nothing else.\n", 421)
        if scope["path"] == "/":
            return RedirectResponse("/ui/", 302)
        if not scope["path"].startswith("/ui/"):
            return PlainTextResponse("There is nothing here. The pages are below /ui/.\n", 404)
        return None


def _with_headers(send: Send, path: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if not path.startswith("/ui/static/"):
                headers["Cache-Control"] = "no-store"
        await send(message)

    return sending
