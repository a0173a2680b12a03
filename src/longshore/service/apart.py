"""Requests that take long to answer, each answered in a process of its own (longshore.processes.apart).

The server has judged who asks and whether they may, and has read the body. What is answered is handed back as bytes.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.types import Message

from longshore.processes.apart import Apart, Work
from longshore.service.bodies import Bodies
from longshore.service.caller import Caller
from longshore.store import Store

_WORK, _OF_A_VAULT = "request", "request of a vault"
_FOR_A_VAULT = 600  # seconds of a processor, for all documents and maps of a vault with many thousand points


def prepare(apart: Apart, app: FastAPI, store: Store, body_limit: int) -> None:
    """Prepare `apart` to answer requests in its processes as `app` does."""

    def answer(given: bytes) -> bytes:
        app.state.bodies = Bodies(body_limit)  # none of which goes on to a further process
        store.leave_connections()
        store.state = replace(store.state, engine_kept=True)
        return asyncio.run(_answered(app, given))

    apart.works[_WORK] = Work(answer)
    apart.works[_OF_A_VAULT] = Work(answer, computing=_FOR_A_VAULT)


async def answer_apart(
    apart: Apart, request: Request, caller: Caller, body: bytes, *, reads_vault: bool = False
) -> Response:
    """Return the answer that the application gives, worked out in another process.

    `reads_vault`: it may compute ten times as long. Raises Overstepped.
    """
    scope = request.scope
    head = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode("latin-1"),
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in scope["headers"]],
        "client": scope["client"],
        "scheme": scope["scheme"],
        "caller": asdict(caller),
        "request_id": request.state.request_id,
    }
    work = _OF_A_VAULT if reads_vault else _WORK
    said, _, told = (await apart.do(work, _framed(head, body))).partition(b"\n")
    began = json.loads(said)
    response = Response(told, began["status"])
    response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in began["headers"]]
    return response


def _framed(head: Mapping[str, Any], body: bytes) -> bytes:
    return json.dumps(head).encode() + b"\n" + body


async def _answered(app: FastAPI, given: bytes) -> bytes:
    said, _, body = given.partition(b"\n")
    asked = json.loads(said)
    from structlog.contextvars import bind_contextvars  # which a command needn't load

    bind_contextvars(request_id=asked["request_id"])
    caller = Caller(**asked["caller"] | {"roles": tuple(asked["caller"]["roles"])})
    head: dict[str, Any] = {}
    pieces: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            head["status"] = message["status"]
            head["headers"] = [[n.decode("latin-1"), v.decode("latin-1")] for n, v in message["headers"]]
        else:
            pieces.append(message.get("body", b""))

    async def no_turn() -> None:
        """Do nothing: the gate's turn is the server's."""

    scope = {
        "type": "http",
        "http_version": "1.1",
        "root_path": "",
        "server": None,
        "method": asked["method"],
        "path": asked["path"],
        "raw_path": asked["path"].encode(),
        "scheme": asked["scheme"],
        "query_string": asked["query"].encode("latin-1"),
        "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in asked["headers"]],
        "client": asked["client"] and tuple(asked["client"]),
        "state": {"caller": caller, "request_id": asked["request_id"], "end_turn": no_turn},
    }
    await app(scope, receive, send)
    return _framed(head, b"".join(pieces))
