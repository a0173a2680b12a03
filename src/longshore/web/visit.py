"""Visitors of pages, and how they were let in: by a link that works once, or by logging in."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response

from longshore.errors import LongshoreError
from longshore.wording.texts import marked


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who was let in. Without a `token` the API is asked as its own user."""

    form_token: str | None = field(repr=False)  # every form that changes has it; None: see read_form
    token: str = field(default="", repr=False)
    address: str = ""  # where the browser is
    user: str = ""
    project_id: str = ""
    project: str = ""
    everything: bool = False  # things of all projects are shown
    ends_in: float | None = None  # seconds until the session ends if nobody uses it; None: nobody is told
    rules: frozenset[str] = frozenset()  # of the policy, that allow something

    def may(self, rule: str) -> bool:
        return rule in self.rules

    @property
    def place(self) -> str:
        """Return whose things an open page shows.

        When that changes, the page isn't brought up to date but loaded anew.
        """
        return f"{self.project_id}{'*' if self.everything else ''}"


class Door(Protocol):
    """The way in to the pages: it tells who asks, and what they are shown when they aren't let in.

    `routes`: its own pages, as (path, handler, methods), each of which looks by itself who asks.
    """

    inside: bool  # another program shows the pages in its own frame and looks, and keeps its own sessions
    alone: bool  # one person has the pages for themselves, and the service on their own machine
    origin: str | None  # of the pages as browsers know them, where requests don't say

    @property
    def routes(self) -> Sequence[tuple[str, Any, str]]: ...

    async def enter(self, request: Request, *, anywhere: bool = False) -> Visit | Response:
        """Return the visit of a request, or the answer to somebody who isn't let in.

        `anywhere`: a project needn't be chosen.
        """

    async def leave(self, request: Request) -> Response:
        """End the session, and return the answer to that."""

    async def ended(self, request: Request) -> Response:
        """Return the answer to a visit whose session's token the API doesn't take any more."""


def not_allowed() -> LongshoreError:
    return LongshoreError(
        marked("Your roles don't allow this."), advice=marked("Ask your project's administrator."), code="forbidden"
    )
