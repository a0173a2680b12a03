"""Holds of points on pages, a vault's or a replica's. Their form has the fields `name` and `until`."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from longshore.errors import LongshoreError
from longshore.web.forms import Form, not_a_moment
from longshore.web.page import Handler
from longshore.web.rendering import show_form
from longshore.web.things import Thing


def hold(point: Thing[Any]) -> Callable[[Request, Form], Awaitable[str]]:
    """Return what holds a point of this kind."""

    async def done(request: Request, said: Form) -> str:
        body = {"name": said["name"], "until": said.moment("until")}
        await request.state.asking.post(point.kind, f"{point.path_of(request)}/hold", body)
        return point.page_of(request)

    return done


def release(point: Thing[Any]) -> Handler:
    """Return what ends the hold of one name, as it was asked for; holds of other names stay."""

    async def done(request: Request) -> Response:
        await point.read(request)  # one that isn't there is said before a name that is none
        body = {"name": request.state.form["name"]}
        await request.state.asking.post(point.kind, f"{point.path_of(request)}/release", body)
        return point.back(request)

    return done


def show_hold(request: Request, template: str, said: Form, trouble: LongshoreError | None, **more: Any) -> Response:
    """Return the page with the form."""
    return show_form(request, template, said, trouble, ("name", "until"), {"until": not_a_moment()}, **more)
