"""Middleware of all requests: pages are below /ui/, and each answer of theirs says what a browser may do with it.

`longshore web` answers those that are meant for its address and nobody else's, and doesn't serve the API beside its
pages: without Keystone that asks nobody who they are, and on this machine's loopback everybody could reach it. The
pages ask it inside this process. `longshore server` serves both.
"""

import secrets

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
    """Front of a server for many: the pages, those for another program, and the API.

    `secure`: browsers reach it by TLS, and are told never to do otherwise. `api` gets whatever isn't for the pages; it
    takes no cookie. `inside` are the pages for another program, which brings its user's token in a header: no page of a
    foreign site can make a browser do that.
    """

    def __init__(self, pages: ASGIApp, inside: ASGIApp, api: ASGIApp, *, secure: bool) -> None:
        self._secure = secure
        self._pages = pages
        self._inside = inside
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._secure:
            send = _strictly(send)
        if scope["type"] != "http" or not f"{scope['path']}/".startswith("/ui/"):
            await self._api(scope, receive, send)
        elif scope["path"] == "/ui":
            await RedirectResponse("/ui/", 302)(scope, receive, _with_headers(send, "/ui"))
        else:
            pages = self._inside if TOKEN in Headers(scope=scope) else self._pages
            await pages(scope, receive, _with_headers(send, scope["path"]))


class Front:
    """Front of one person's pages.

    `host`: what a request has to call this server, as host:port. Any other is a name that somebody has made lead here
    (DNS rebinding), so that a page of theirs could read ours. Nobody is told it: who knows it can have the browser's
    cookie sent to another port of this machine.
    """

    def __init__(self, pages: ASGIApp, host: str) -> None:
        self._pages = pages
        self._host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._pages(scope, receive, send)
            return
        answer = self._refusal(scope)
        await (answer or self._pages)(scope, receive, _with_headers(send, scope["path"]))

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        host = Headers(scope=scope).get("host", "")
        if not secrets.compare_digest(host.lower().encode(), self._host.encode()):
            return PlainTextResponse("This is Longshore. Follow the link that longshore web has printed.\n", 421)
        if scope["path"] == "/":
            return RedirectResponse("/ui/", 302)
        if not scope["path"].startswith("/ui/"):
            return PlainTextResponse("There is nothing here. The pages are below /ui/.\n", 404)
        return None


def _strictly(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["Strict-Transport-Security"] = "max-age=31536000"
        await send(message)

    return sending


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
