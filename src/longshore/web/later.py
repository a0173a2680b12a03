"""Answers that are put together when they are sent, in threads: ten thousand rows of one keep nobody else waiting."""

from collections.abc import Callable

from anyio import to_thread
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from longshore.errors import LongshoreError
from longshore.service.turns import COME_AGAIN, Turns


class DeferredText(Response):
    """`make`: its text. One project has a few at a time put together, and so has an address from which nobody has
    logged in."""

    def __init__(
        self, make: Callable[[], str], kind: str, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(None, status, headers, kind)
        del self.headers["Content-Length"]
        self._make = make
        self._made: bytes | None = None

    @property
    def body(self) -> bytes:
        """Put together when somebody first asks for it."""
        if self._made is None:
            self._made = bytes(self.render(self._make()))
        return self._made

    @body.setter
    def body(self, made: bytes) -> None:
        self._made = made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        turns: Turns = scope["app"].state.rendering
        visit = scope["state"].get("visit")
        whose = f"project {visit.project_id}" if visit else f"address {(scope.get('client') or [''])[0]}"
        try:
            async with turns.turn(whose):
                body = await to_thread.run_sync(lambda: self.body)
        except LongshoreError as error:  # it wasn't its turn in time
            await PlainTextResponse(f"{error}\n", 429, {"Retry-After": str(COME_AGAIN)})(scope, receive, send)
            return
        self.headers["Content-Length"] = str(len(body))
        await super().__call__(scope, receive, send)
