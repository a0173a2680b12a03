"""A replica's point: its machine as it was then, what holds it; held, released, deleted."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from longshore.errors import LongshoreError
from longshore.web.forms import Form
from longshore.web.holding import hold, release, show_hold
from longshore.web.page import Page, declare_form
from longshore.web.rendering import confirm
from longshore.web.things import REPLICA, REPLICA_POINT
from longshore.wording.texts import _


async def one(request: Request) -> Response:
    return await _shown(request, Form(), None)


async def _shown(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    replica, point = await asyncio.gather(REPLICA.read(request), REPLICA_POINT.read(request))
    machine = point.machine or {}
    return show_hold(request, "replicas/point.html", said, trouble, r=replica, point=point, machine=machine)


async def ask_to_delete(request: Request) -> Response:
    replica, found = await asyncio.gather(REPLICA.read(request), REPLICA_POINT.read(request))
    heading = _("Delete point %(number)s of %(name)s?") % {"number": found.number, "name": replica.machine_name}
    told = [_("No machine can be made of this moment any more. Its snapshots at the target go.")]
    does, back = REPLICA_POINT.address_of("delete", request), REPLICA_POINT.page_of(request)
    return confirm(request, heading, told=told, does=does, said=_("Delete it"), back=back, kind="danger")


async def delete(request: Request) -> Response:
    await request.state.asking.ask(type(None), "DELETE", REPLICA_POINT.path_of(request))
    return REPLICA.back(request)


_HOLDS, _DELETES = "migration:replica:update", "migration:replica:delete"
ROUTES = [
    Page(REPLICA_POINT.page, one, "GET"),
    declare_form(REPLICA_POINT.route_of("hold"), _HOLDS, _shown, hold(REPLICA_POINT))[1],
    Page(REPLICA_POINT.route_of("release"), release(REPLICA_POINT), "POST", _HOLDS),
    Page(REPLICA_POINT.route_of("delete"), ask_to_delete, "GET", _DELETES),
    Page(REPLICA_POINT.route_of("delete"), delete, "POST", _DELETES),
]
