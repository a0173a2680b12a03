"""Answers that are put together when they are sent, in threads: ten thousand rows of one keep nobody else waiting."""

from collections.abc import Callable

from anyio import to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from longshore.service.turns import Turns


class Later(Response):
    """`make`: its text. One project has a few at a time put together, and so has an address from which nobody has
    logged in."""

    def __init__(
        self, make: Callable[[], str], kind: str, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(None, status, headers, kind)
        del self.headers["Content-Length"]
        self._make = make

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        turns: Turns = scope["app"].state.rendering
        visit = scope["state"].get("visit")
        whose = f"project {visit.project_id}" if visit else f"address {(scope.get('client') or [''])[0]}"
        async with turns.turn(whose):
            self.body = self.render(await to_thread.run_sync(self._make))
        self.headers["Content-Length"] = str(len(self.body))
        await super().__call__(scope, receive, send)
