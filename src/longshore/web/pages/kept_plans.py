"""Plans kept in vaults: one put there, those that are there listed, and made plans of this installation."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.backups import Vault
from longshore.api.kept_plans import ImportedPlan, KeptPlan
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.web.asking import ApiClient
from longshore.web.forms import Form
from longshore.web.page import declare_form
from longshore.web.rendering import show_form
from longshore.web.things import PLAN, VAULT
from longshore.wording.states import of_status


async def bring_here(request: Request, said: Form) -> Response:
    """Make a plan of one that is kept there, and say what of it isn't as it was."""
    body = {"name": said["name"] or None, "with_moved": bool(said["with_moved"])}
    body |= {side: said[side] for side in ("source", "target") if said[side]}
    path = f"{VAULT.path_of(request)}/plans/{part(said['plan'])}/import"
    return await _listed(request, Form(), None, await request.state.asking.post(ImportedPlan, path, body))


async def _listed(
    request: Request, said: Form, trouble: LongshoreError | None, made: ImportedPlan | None = None
) -> Response:
    asking: ApiClient = request.state.asking
    vault, kept = await asyncio.gather(
        VAULT.read(request), asking.get(list[KeptPlan], f"{VAULT.path_of(request)}/plans")
    )
    return show_form(
        request,
        "backups/plans.html",
        said,
        trouble,
        ("plan", "name", "source", "target"),
        vault=vault,
        kept=kept,
        choices=[(one.id, one.name) for one in kept if one.error is None],
        made=made,
        of_status=of_status,
    )


async def keep(request: Request, said: Form) -> str:
    await request.state.asking.post(KeptPlan, f"{PLAN.path_of(request)}/keep-in", {"vault": said["vault"]})
    return f"{VAULT.at(vault=said['vault'])}/plans"


async def _asked(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    view, vaults = await asyncio.gather(PLAN.read(request), request.state.asking.get(list[Vault], "/v1/vaults"))
    choices = [(one.id, one.name) for one in vaults]
    return show_form(request, "plans/keep_in.html", said, trouble, ("vault",), name=PLAN.called(view), vaults=choices)


_MAKES = "migration:plan:create"
ROUTES = [
    *declare_form(VAULT.route_of("plans"), _MAKES, _listed, bring_here, seen_by_all=True),
    *declare_form(PLAN.route_of("keep-in"), _MAKES, _asked, keep),
]
