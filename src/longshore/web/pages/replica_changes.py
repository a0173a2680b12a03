"""A replica is changed, audited, cut over as a migration, deleted; and a warm migration becomes one."""

from datetime import timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.replicas import Replica
from longshore.api.schedules import SchedulePreview
from longshore.api.schemas import Migration
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.model.quantities import write_duration
from longshore.web.forms import Form, told_of
from longshore.web.page import Page
from longshore.web.pages.backup_policies import previewed
from longshore.web.pages.new_replicas import PROTECTION
from longshore.web.rendering import confirm, render
from longshore.wording.texts import _

_CLOCKS = ("prove", "audit")  # which "never" ends


async def edit(request: Request) -> Response:
    found = await request.state.asking.get(Replica, _path(request))
    said = {name: [getattr(found, name) or ""] for name in PROTECTION if name != "rpo"}
    said["rpo"] = [write_duration(timedelta(seconds=found.rpo)) if found.rpo else ""]
    return _shown(request, found.machine_name, Form(said), None, change=found)


async def change(request: Request) -> Response:
    said = request.state.form
    found = await request.state.asking.get(Replica, _path(request))
    body: dict[str, Any] = {name: said[name] for name in PROTECTION if said[name]}
    body |= {name: "never" for name in _CLOCKS if not said[name]}
    try:
        await request.state.asking.ask(Replica, "PATCH", _path(request), body)
    except LongshoreError as error:
        return _shown(request, found.machine_name, said, error, change=found)
    return RedirectResponse(_page(request), 303)


async def preview(request: Request) -> Response:
    said = request.state.form
    found = await request.state.asking.get(Replica, _path(request))
    seen, trouble = await previewed(request.state.asking, said, replica=found.id)
    return _shown(request, found.machine_name, said, trouble, change=found, seen=seen)


async def preview_kept(request: Request) -> Response:
    said = request.state.form
    found = await request.state.asking.get(Migration, f"/v1/migrations/{part(request.path_params['migration'])}")
    seen, trouble = await previewed(request.state.asking, said)
    return _shown(request, found.machine_name, said, trouble, seen=seen)


async def ask_to_keep(request: Request) -> Response:
    found = await request.state.asking.get(Migration, f"/v1/migrations/{part(request.path_params['migration'])}")
    said = {"schedule": ["every 15m"], "retention": ["last 24, daily 14"], "rpo": ["30m"]}
    return _shown(request, found.machine_name, Form(said), None)


async def keep(request: Request) -> Response:
    said = request.state.form
    path = f"/v1/migrations/{part(request.path_params['migration'])}"
    found = await request.state.asking.get(Migration, path)
    body = {name: said[name] for name in PROTECTION if said[name]}
    try:
        kept = await request.state.asking.post(Replica, f"{path}/keep-as-replica", body)
    except LongshoreError as error:
        return _shown(request, found.machine_name, said, error)
    return RedirectResponse(f"/ui/replicas/{part(kept.id)}", 303)


def _shown(  # noqa: PLR0917
    request: Request,
    name: str,
    said: Form,
    trouble: LongshoreError | None,
    change: Replica | None = None,
    seen: SchedulePreview | None = None,
) -> Response:
    return render(
        request,
        "replicas/protection.html",
        200 if trouble is None else 400,
        name=name,
        r=change,
        said=said,
        does=request.url.path.removesuffix("/preview"),
        seen=seen,
        **told_of(trouble, PROTECTION),
    )


async def ask_to_migrate(request: Request) -> Response:
    found = await request.state.asking.get(Replica, _path(request))
    told = [
        _("The machine is shut down, its last changes are copied, and its server gets the replica's own volumes."),
        _("When that was seen up it is yours: all points go, and it is a replica no longer."),
        _("If it doesn't come up, the machine runs again, and the replica is as it was."),
    ]
    heading = _("Cut %(name)s over?") % {"name": found.machine_name}
    back = _page(request)
    return confirm(request, heading, told=told, does=f"{back}/migrate", said=_("Cut over now"), back=back)


async def ask_to_delete(request: Request) -> Response:
    found = await request.state.asking.get(Replica, _path(request))
    told = [
        _("Its points and volumes go, and all else that was made for it. The machine stays as it is."),
        _("It is refused while something that was made of its points is there."),
    ]
    heading = _("Delete the replica of %(name)s?") % {"name": found.machine_name}
    back = _page(request)
    return confirm(request, heading, told=told, does=f"{back}/delete", said=_("Delete it"), back=back, kind="danger")


async def delete(request: Request) -> Response:
    await request.state.asking.ask(Replica, "DELETE", _path(request))
    return RedirectResponse("/ui/replicas", 303)


def _does(verb: str) -> Any:
    async def act(request: Request) -> Response:
        await request.state.asking.post(Replica, f"{_path(request)}/{verb}")
        return RedirectResponse(_page(request), 303)

    return act


def _page(request: Request) -> str:
    return f"/ui/replicas/{part(request.path_params['replica'])}"


def _path(request: Request) -> str:
    return f"/v1/replicas/{part(request.path_params['replica'])}"


_CHANGES, _FAILS_OVER = "migration:replica:update", "migration:replica:failover"
ROUTES = [
    Page("/replicas/{replica}/edit", edit, "GET", _CHANGES),
    Page("/replicas/{replica}/edit", change, "POST", _CHANGES),
    Page("/replicas/{replica}/edit/preview", preview, "POST", _CHANGES),
    Page("/replicas/{replica}/audit", _does("audit"), "POST", _CHANGES),
    Page("/replicas/{replica}/migrate", ask_to_migrate, "GET", _FAILS_OVER),
    Page("/replicas/{replica}/migrate", _does("migrate"), "POST", _FAILS_OVER),
    Page("/replicas/{replica}/delete", ask_to_delete, "GET", "migration:replica:delete"),
    Page("/replicas/{replica}/delete", delete, "POST", "migration:replica:delete"),
    Page("/migrations/{migration}/keep", ask_to_keep, "GET", "migration:replica:create"),
    Page("/migrations/{migration}/keep", keep, "POST", "migration:replica:create"),
    Page("/migrations/{migration}/keep/preview", preview_kept, "POST", "migration:replica:create"),
]
