"""A point in a vault is held, so that it stays, and released again."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.backups import Vault, VaultPointDetails
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.web.asking import ApiClient
from longshore.web.forms import Form
from longshore.web.holding import HeldKind, told_of_hold
from longshore.web.page import Page
from longshore.web.rendering import confirm, render
from longshore.wording.texts import _


async def ask(request: Request) -> Response:
    return await _asked(request, Form({}), None)


async def _asked(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    asking: ApiClient = request.state.asking
    vault, point = await asyncio.gather(
        asking.get(Vault, f"/v1/vaults/{part(request.path_params['vault'])}"),
        asking.get(VaultPointDetails, _path(request)),
    )
    status = 200 if trouble is None else 400
    return render(request, "backups/hold.html", status, vault=vault, point=point, said=said, **told_of_hold(trouble))


async def ask_to_release(request: Request) -> Response:
    found = await request.state.asking.get(VaultPointDetails, _path(request))
    told = [found.name, _("Whether it stays is for the rules of its policy to say again, and anybody may delete it.")]
    heading = _("Release the point of %(name)s?") % {"name": found.machine_name}
    does = f"{_vault(request)}/release/{part(found.name)}"
    hidden = {"name": found.hold.name if found.hold else ""}
    return confirm(request, heading, told=told, does=does, said=_("Release it"), back=_page(request), hidden=hidden)


def _path(request: Request) -> str:
    named = request.path_params
    return f"/v1/vaults/{part(named['vault'])}/points/{part(named['point'])}"


def _vault(request: Request) -> str:
    return f"/ui/backups/vaults/{part(request.path_params['vault'])}"


def _page(request: Request) -> str:
    return f"{_vault(request)}/points/{part(request.path_params['point'])}"


_held = HeldKind(VaultPointDetails, _path, _page, _asked)
ROUTES = [
    Page("/backups/vaults/{vault}/hold/{point:path}", ask, "GET", "migration:vault:keep"),
    Page("/backups/vaults/{vault}/hold/{point:path}", _held.hold, "POST", "migration:vault:keep"),
    Page("/backups/vaults/{vault}/release/{point:path}", ask_to_release, "GET", "migration:vault:keep"),
    Page("/backups/vaults/{vault}/release/{point:path}", _held.release, "POST", "migration:vault:keep"),
]
