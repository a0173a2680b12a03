"""Plans kept in vaults: one put there, those that are there listed, and made plans of this installation."""

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.backups import Vault
from longshore.api.kept_plans import ImportedPlan, KeptPlan
from longshore.api.schemas import PlanView
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.web.asking import ApiClient
from longshore.web.forms import Form, told_of
from longshore.web.page import Page
from longshore.web.rendering import render
from longshore.wording.states import of_status


async def listed(request: Request) -> Response:
    return await _listed(request, Form({}), None, None)


async def bring_here(request: Request) -> Response:
    """Make a plan of one that is kept there, and say what of it isn't as it was."""
    said: Form = request.state.form
    body = {"name": said["name"] or None, "with_moved": bool(said["with_moved"])}
    body |= {side: said[side] for side in ("source", "target") if said[side]}
    path = f"{_path(request)}/{part(said['plan'])}/import"
    try:
        made = await request.state.asking.post(ImportedPlan, path, body)
    except LongshoreError as error:
        return await _listed(request, said, None, error)
    return await _listed(request, Form({}), made, None)


async def _listed(request: Request, said: Form, made: ImportedPlan | None, trouble: LongshoreError | None) -> Response:
    asking: ApiClient = request.state.asking
    place = f"/v1/vaults/{part(request.path_params['vault'])}"
    vault, kept = await asyncio.gather(asking.get(Vault, place), asking.get(list[KeptPlan], f"{place}/plans"))
    return render(
        request,
        "backups/plans.html",
        200 if trouble is None else 400,
        vault=vault,
        kept=kept,
        choices=[(one.id, one.name) for one in kept if one.error is None],
        made=made,
        said=said,
        of_status=of_status,
        **told_of(trouble, ("plan", "name", "source", "target")),
    )


async def ask_to_keep(request: Request) -> Response:
    return await _asked(request, Form({}), None)


async def keep(request: Request) -> Response:
    said: Form = request.state.form
    try:
        await request.state.asking.post(KeptPlan, f"{_plan(request)}/keep-in", {"vault": said["vault"]})
    except LongshoreError as error:
        return await _asked(request, said, error)
    return RedirectResponse(f"/ui/backups/vaults/{part(said['vault'])}/plans", 303)


async def _asked(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    asking: ApiClient = request.state.asking
    view, vaults = await asyncio.gather(asking.get(PlanView, _plan(request)), asking.get(list[Vault], "/v1/vaults"))
    status = 200 if trouble is None else 400
    choices = [(one.id, one.name) for one in vaults]
    shown = {"name": view.plan["name"], "vaults": choices, "said": said, **told_of(trouble, ("vault",))}
    return render(request, "plans/keep_in.html", status, **shown)


def _path(request: Request) -> str:
    return f"/v1/vaults/{part(request.path_params['vault'])}/plans"


def _plan(request: Request) -> str:
    return f"/v1/plans/{part(request.path_params['name'])}"


ROUTES = [
    Page("/backups/vaults/{vault}/plans", listed, "GET"),
    Page("/backups/vaults/{vault}/plans", bring_here, "POST", "migration:plan:create"),
    Page("/plans/{name}/keep-in", ask_to_keep, "GET", "migration:plan:create"),
    Page("/plans/{name}/keep-in", keep, "POST", "migration:plan:create"),
]
