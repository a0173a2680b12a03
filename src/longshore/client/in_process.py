"""A request to an ASGI application in this process.

Not by httpx's transport: importing that takes a quarter of a second of each command's two, which is mostly its own
command's (click, rich, pygments).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import unquote

Message = MutableMapping[str, Any]
Take = Callable[[bytes], None]
Begin = Callable[[Mapping[str, str]], Take]  # what takes a body, by its headers, whose names are small letters
Application = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]


BAD = 400  # the first status that isn't an answer to what was asked


async def ask(
    app: Application,
    method: str,
    path: str,
    body: Any = None,
    *,
    if_match: str | None = None,
    begin: Begin | None = None,
    hear: Callable[[Mapping[str, str]], None] = lambda _headers: None,
) -> tuple[int, bytes]:
    """Ask, and return status and body of the answer. `path`: quoted, with its query. Raises what the application
    raises.

    `hear` is given the headers, whose names are small letters.

    What `begin` answers is given the pieces of a body as they come, instead, unless it is an error's.
    """
    content = b"" if body is None else json.dumps(body, allow_nan=False).encode()
    headers = [(b"host", b"embedded"), (b"content-length", b"%d" % len(content))]
    if content:
        headers.append((b"content-type", b"application/json"))
    if if_match is not None:
        headers.append((b"if-match", if_match.encode()))
    raw_path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": headers,
        "server": ("embedded", 80),
        "client": ("embedded", 0),
    }
    unsent = [{"type": "http.request", "body": content, "more_body": False}]
    answered = asyncio.Event()
    status = 0
    parts: list[bytes] = []
    take: Take = parts.append

    async def receive() -> Message:
        if unsent:
            return unsent.pop()
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status, take
        if message["type"] == "http.response.start":
            status = message["status"]
            said = {name.decode().lower(): value.decode() for name, value in message.get("headers", ())}
            hear(said)
            if begin is not None and status < BAD:
                take = begin(said)
        elif message["type"] == "http.response.body":
            take(message.get("body", b""))
            if not message.get("more_body", False):
                answered.set()

    await app(scope, receive, send)
    return status, b"".join(parts)
