"""Middleware that every request to a server passes first: it gets an id, its token is judged, and it waits for its
turn.

Pure ASGI, around the whole application: whatever is behind it can't be reached past it.
"""

import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

import structlog
from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from longshore.errors import Busy, LongshoreError
from longshore.service import turns
from longshore.service.caller import OPEN, Caller, Forbidden, IdentityUnavailable, Tokens, Unauthenticated
from longshore.service.judging import Judging
from longshore.service.policy import rule_of
from longshore.service.refusals import body_of
from longshore.service.shares import Shares

REQUEST_ID = "X-Openstack-Request-Id"

_STATUS = {Unauthenticated: 401, Forbidden: 403, IdentityUnavailable: 503}
_READS = ("GET", "HEAD", "OPTIONS")
_log = structlog.get_logger("longshore.access")
_audit = structlog.get_logger("longshore.audit")


class Gate:
    def __init__(self, app: ASGIApp, tokens: Tokens) -> None:
        self._app = app
        self._judging = Judging(tokens)
        self._turns = turns.Turns(turns.IN_WORK, turns.LINE)
        self._shares = Shares()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        if scope.get("state", {}).get("caller"):  # the server that this process answers for has judged and counted it
            await self._app(scope, receive, send)
            return
        passage = _Passage(f"req-{uuid.uuid4()}", send)
        bound = structlog.contextvars.bind_contextvars(request_id=passage.request_id)
        began = time.monotonic()
        caller: Caller | None = None
        try:
            if scope["path"] not in OPEN:
                caller = _let_in_by_pages(scope) or await self._judging.caller(scope)
            async with AsyncExitStack() as work:
                if caller:
                    turn = await work.enter_async_context(AsyncExitStack())
                    await turn.enter_async_context(self._turns.turn(caller.project_id))
                    await work.enter_async_context(self._shares.share(caller.project_id))
                    passage.begun = work.aclose  # a stream of events is no work until its end
                    scope.setdefault("state", {}).update(end_turn=turn.aclose)
                scope.setdefault("state", {}).update(caller=caller, request_id=passage.request_id)
                await self._app(scope, receive, passage.send)
        except Busy as error:
            await _refusal(429, error, {"Retry-After": str(turns.COME_AGAIN)})(scope, receive, passage.send)
        except (Unauthenticated, Forbidden, IdentityUnavailable) as error:
            headers = {"WWW-Authenticate": "Keystone"} if isinstance(error, Unauthenticated) else {}
            await _refusal(_STATUS[type(error)], error, headers)(scope, receive, passage.send)
        except Exception:
            _log.exception("unforeseen", path=scope["path"])
            if passage.status is not None:
                raise
            said = f"That was a fault of the server's. Its log says more of {passage.request_id}."
            await JSONResponse({"code": "unforeseen", "message": said}, 500)(scope, receive, passage.send)
        finally:
            self._record(scope, passage, caller, time.monotonic() - began)
            structlog.contextvars.reset_contextvars(**bound)

    def _record(self, scope: Scope, passage: "_Passage", caller: Caller | None, seconds: float) -> None:
        """Log who asked for what; bodies and headers stay out, since there are secrets in them.

        Requests that were to change anything, and those that were refused, are also logged for the audit, with the rule
        that they stood under.
        """
        if scope["path"] in OPEN:
            return
        status = passage.status or 0
        who = {"project_id": caller.project_id if caller else None, "user_id": caller.user_id if caller else None}
        what = {"method": scope["method"], "path": scope["path"], "status": status}
        _log.info("request", **what, seconds=round(seconds, 3), **who)
        if scope["method"] in _READS and status not in (401, 403):
            return
        route = scope.get("route")
        _audit.info(
            "audit",
            outcome="done" if status < 400 else "refused" if status < 500 else "failed",
            action=rule_of(scope["method"], route.path) if isinstance(route, APIRoute) else None,
            **what,
            **who,
            user_domain_id=caller.user_domain_id if caller else None,
            roles=list(caller.roles) if caller else [],
            address=(scope.get("client") or [None])[0],
        )


def _let_in_by_pages(scope: Scope) -> Caller | None:
    """Return the reader of the project whose wall link the pages have been shown, if so.

    They say it in the scope's state, in which nothing is that comes over the network.
    """
    project_id = scope.get("state", {}).get("reader_of")
    return None if project_id is None else Caller(project_id, roles=("reader",))


def _refusal(status: int, error: LongshoreError, headers: Mapping[str, str]) -> JSONResponse:
    return JSONResponse(body_of(error), status, headers)


class _Passage:
    """The way of an answer: it carries the request's id, and its status is remembered."""

    def __init__(self, request_id: str, send: Send) -> None:
        self.request_id = request_id
        self.status: int | None = None
        self.begun: Callable[[], Awaitable[None]] | None = None  # to be called once the answer begins
        self._send = send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)[REQUEST_ID] = self.request_id
            if self.begun:
                await self.begun()
        await self._send(message)
