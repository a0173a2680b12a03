"""A request to an ASGI application in this process: commands and pages ask the service by it."""

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


def scope_of(method: str, path: str, headers: Mapping[str, str], address: str) -> Message:
    """Return the ASGI scope of a request. `path`: quoted, with its query. `address`: of whoever asks."""
    raw_path, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": unquote(raw_path),
        "raw_path": raw_path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in {"Host": "embedded", **headers}.items()],
        "server": ("embedded", 80),
        "client": (address, 0),
        "state": {},
    }


async def ask(
    app: Application,
    method: str,
    path: str,
    body: Any = None,
    *,
    headers: Mapping[str, str] | None = None,
    address: str = "embedded",
    begin: Begin | None = None,
    hear: Callable[[Mapping[str, str]], None] = lambda _headers: None,
) -> tuple[int, bytes]:
    """Ask, and return status and body of the answer. Raises what the application raises.

    `path`: quoted, with its query. `headers`: besides those of the body. `address`: of whoever asks. `hear` is given
    the answer's headers, whose names are small letters.

    What `begin` answers is given the pieces of a body as they come, instead, unless it is an error's.
    """
    content = b"" if body is None else json.dumps(body, allow_nan=False).encode()
    of_body = {"Content-Length": str(len(content))} | ({"Content-Type": "application/json"} if content else {})
    scope = scope_of(method, path, {**of_body, **(headers or {})}, address)
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
