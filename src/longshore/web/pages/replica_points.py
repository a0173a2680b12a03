"""A replica's point: its machine as it was then, what holds it; held, released, deleted."""

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.replicas import Point, Replica
from longshore.errors import LongshoreError
from longshore.web.asking import Asking, part
from longshore.web.forms import Form, refused_at
from longshore.web.page import Page
from longshore.web.rendering import confirm, render
from longshore.web.texts import _

_FIELDS = ("name", "until")  # where a refusal can stand


async def one(request: Request) -> Response:
    return await _shown(request, Form({}), None)


async def hold(request: Request) -> Response:
    said = request.state.form
    body = {"name": said["name"], "until": f"{said['until']}Z" if said["until"] else None}
    try:
        await request.state.asking.post(Point, f"{_path(request)}/hold", body)
    except LongshoreError as error:
        return await _shown(request, said, error)
    return RedirectResponse(_page(request), 303)


async def _shown(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    asking: Asking = request.state.asking
    replica, point = await asyncio.gather(
        asking.get(Replica, f"/v1/replicas/{part(request.path_params['replica'])}"),
        asking.get(Point, _path(request)),
    )
    plain = {
        "name": _("A name has letters, digits, dots, dashes, underscores, and begins with a letter or digit."),
        "until": _("That isn't a moment: write it as 2026-12-01T02:00."),
    }
    at = trouble.field if trouble and trouble.field in _FIELDS else ""
    machine = (point.machine or {}).get("machine") or {}
    return render(
        request,
        "replicas/point.html",
        200 if trouble is None else 400,
        r=replica,
        point=point,
        machine=machine,
        said=said,
        wrong={at: refused_at(at, trouble, plain)} if trouble and at else {},
        trouble=None if at else trouble,
    )


async def release(request: Request) -> Response:
    await request.state.asking.get(Point, _path(request))  # one that isn't there is said before a name that is none
    await request.state.asking.post(Point, f"{_path(request)}/release", {"name": request.state.form["name"]})
    return RedirectResponse(_page(request), 303)


async def ask_to_delete(request: Request) -> Response:
    found = await request.state.asking.get(Point, _path(request))
    heading = _("Delete point %(number)s?") % {"number": found.number}
    told = [_("No machine can be made of this moment any more. Its snapshots at the target go.")]
    back = _page(request)
    return confirm(request, heading, told=told, does=f"{back}/delete", said=_("Delete it"), back=back, kind="danger")


async def delete(request: Request) -> Response:
    await request.state.asking.ask(type(None), "DELETE", _path(request))
    return RedirectResponse(f"/ui/replicas/{part(request.path_params['replica'])}", 303)


def _path(request: Request) -> str:
    named = request.path_params
    return f"/v1/replicas/{part(named['replica'])}/points/{part(named['number'])}"


def _page(request: Request) -> str:
    named = request.path_params
    return f"/ui/replicas/{part(named['replica'])}/points/{part(named['number'])}"


ROUTES = [
    Page("/replicas/{replica}/points/{number}", one, "GET"),
    Page("/replicas/{replica}/points/{number}/hold", hold, "POST", "migration:replica:update"),
    Page("/replicas/{replica}/points/{number}/release", release, "POST", "migration:replica:update"),
    Page("/replicas/{replica}/points/{number}/delete", ask_to_delete, "GET", "migration:replica:delete"),
    Page("/replicas/{replica}/points/{number}/delete", delete, "POST", "migration:replica:delete"),
]
