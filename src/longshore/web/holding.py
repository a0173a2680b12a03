"""Holds of points on pages, a vault's or a replica's."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.backups import VaultPointDetails
from longshore.api.replicas import Point
from longshore.errors import LongshoreError
from longshore.web.forms import Form, not_a_moment, told_of


@dataclass(frozen=True, slots=True)
class HeldKind:
    """A kind of point. Its form has the fields `name` and `until`."""

    kind: type[Point] | type[VaultPointDetails]
    path: Callable[[Request], str]  # in the API
    page: Callable[[Request], str]  # that shows the point
    asks: Callable[[Request, Form, LongshoreError | None], Awaitable[Response]]  # the page with the form

    async def hold(self, request: Request) -> Response:
        said = request.state.form
        body = {"name": said["name"], "until": said.moment("until")}
        try:
            await request.state.asking.post(self.kind, f"{self.path(request)}/hold", body)
        except LongshoreError as error:
            return await self.asks(request, said, error)
        return RedirectResponse(self.page(request), 303)

    async def release(self, request: Request) -> Response:
        """End the hold of one name, as it was asked for; holds of other names stay."""
        asking, path = request.state.asking, self.path(request)
        await asking.get(self.kind, path)  # one that isn't there is said before a name that is none
        await asking.post(self.kind, f"{path}/release", {"name": request.state.form["name"]})
        return RedirectResponse(self.page(request), 303)


def told_of_hold(trouble: LongshoreError | None) -> dict[str, Any]:
    """Return what the form's template is told of a refusal."""
    return told_of(trouble, ("name", "until"), {"until": not_a_moment()})
