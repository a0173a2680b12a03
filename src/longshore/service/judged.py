"""The routes of the API: each judges whether its caller may ask before it reads what they send.

So whoever may not ask for something has no byte of theirs read, and nobody's body keeps others waiting.
"""

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

from longshore.service.apart import answer_apart
from longshore.service.bodies import READING_VAULTS, USUAL, Bodies, ReadRequest
from longshore.service.caller import EMBEDDED, OPEN, Access, Caller, Forbidden
from longshore.service.policy import rule_of

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JudgedRoute(APIRoute):
    def get_route_handler(self) -> Handler:
        handler = self._encoding_in_threads()

        async def judged(request: Request) -> Response:
            access: Access | None = request.app.state.access
            if access is None or request.scope["path"] in OPEN:
                return await handler(request)
            caller = caller_of(request)
            rule = rule_of(request.method, self.path)
            if rule is None or not access.policy.allows(rule, caller):
                raise Forbidden(f"Your roles don't allow this ({rule}).", advice="Ask your project's administrator.")
            bodies: Bodies = request.app.state.bodies
            if f"{request.method} {self.path}" in READING_VAULTS and bodies.apart:
                async with bodies.turn(caller.project_id):
                    return await answer_apart(bodies.apart, request, caller, b"", reads_vault=True)
            if self.body_field is None:
                return await handler(request)
            async with AsyncExitStack() as held:
                room = bodies.room(request.method, self.path)
                body = await bodies.read(request.scope, request.receive, caller.project_id, room, held)
                if room.apart and len(body) > USUAL.bytes and bodies.apart:
                    return await answer_apart(bodies.apart, request, caller, body)
                return await handler(ReadRequest(request, bodies, body))

        return judged

    def _encoding_in_threads(self) -> Handler:
        """Return a handler that checks and encodes its answers in the thread of what has made them.

        FastAPI checks them there, too, but encodes them where everybody waits.
        """
        described = self.response_field
        if described is None:
            return super().get_route_handler()
        encoded: Any = _Encoded(described)
        self.response_field = encoded
        handler = super().get_route_handler()
        self.response_field = described  # for the OpenAPI document
        return handler


class _Encoded:
    """FastAPI's field of an answer, but that what `validate` lets through is encoded already."""

    def __init__(self, field: Any) -> None:
        self._field = field

    def validate(self, value: Any, *said: Any, **named: Any) -> tuple[Any, Any]:
        checked, errors = self._field.validate(value, *said, **named)
        return (None, errors) if errors else (self._field.serialize_json(checked), errors)

    def serialize_json(self, value: Any, **_said: Any) -> Any:
        return value


def caller_of(request: Request) -> Caller:
    if request.app.state.access is None:
        return EMBEDDED
    caller = request.state.caller
    assert isinstance(caller, Caller)
    return caller
