"""A replica's point: its machine as it was then, what holds it; held, released, deleted."""

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.replicas import Point, Replica
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.web.asking import ApiClient
from longshore.web.forms import Form
from longshore.web.holding import HeldKind, told_of_hold
from longshore.web.page import Page
from longshore.web.rendering import confirm, render
from longshore.wording.texts import _


async def one(request: Request) -> Response:
    return await _shown(request, Form({}), None)


async def _shown(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    replica, point = await _of_replica(request)
    return render(
        request,
        "replicas/point.html",
        200 if trouble is None else 400,
        r=replica,
        point=point,
        machine=point.machine or {},
        said=said,
        **told_of_hold(trouble),
    )


async def ask_to_delete(request: Request) -> Response:
    replica, found = await _of_replica(request)
    heading = _("Delete point %(number)s of %(name)s?") % {"number": found.number, "name": replica.machine_name}
    told = [_("No machine can be made of this moment any more. Its snapshots at the target go.")]
    back = _page(request)
    return confirm(request, heading, told=told, does=f"{back}/delete", said=_("Delete it"), back=back, kind="danger")


async def delete(request: Request) -> Response:
    await request.state.asking.ask(type(None), "DELETE", _path(request))
    return RedirectResponse(f"/ui/replicas/{part(request.path_params['replica'])}", 303)


async def _of_replica(request: Request) -> tuple[Replica, Point]:
    asking: ApiClient = request.state.asking
    return await asyncio.gather(
        asking.get(Replica, f"/v1/replicas/{part(request.path_params['replica'])}"),
        asking.get(Point, _path(request)),
    )


def _path(request: Request) -> str:
    named = request.path_params
    return f"/v1/replicas/{part(named['replica'])}/points/{part(named['number'])}"


def _page(request: Request) -> str:
    named = request.path_params
    return f"/ui/replicas/{part(named['replica'])}/points/{part(named['number'])}"


_held = HeldKind(Point, _path, _page, _shown)
ROUTES = [
    Page("/replicas/{replica}/points/{number}", one, "GET"),
    Page("/replicas/{replica}/points/{number}/hold", _held.hold, "POST", "migration:replica:update"),
    Page("/replicas/{replica}/points/{number}/release", _held.release, "POST", "migration:replica:update"),
    Page("/replicas/{replica}/points/{number}/delete", ask_to_delete, "GET", "migration:replica:delete"),
    Page("/replicas/{replica}/points/{number}/delete", delete, "POST", "migration:replica:delete"),
]
