"""A point in a vault is held, so that it stays, and released again."""

import asyncio

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.backups import Vault, VaultPointDetails
from longshore.errors import LongshoreError
from longshore.web.asking import Asking, part
from longshore.web.forms import Form, refused_at
from longshore.web.page import Page
from longshore.web.rendering import confirm, render
from longshore.web.texts import _

_FIELDS = ("name", "until")  # where a refusal can stand


async def ask(request: Request) -> Response:
    return await _asked(request, Form({}), None)


async def hold(request: Request) -> Response:
    asking, said = request.state.asking, request.state.form
    body = {"name": said["name"], "until": f"{said['until']}Z" if said["until"] else None}
    try:
        await asking.post(VaultPointDetails, f"{_path(request)}/hold", body)
    except LongshoreError as error:
        return await _asked(request, said, error)
    return RedirectResponse(_page(request), 303)


async def _asked(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    asking: Asking = request.state.asking
    vault, point = await asyncio.gather(
        asking.get(Vault, f"/v1/vaults/{part(request.path_params['vault'])}"),
        asking.get(VaultPointDetails, _path(request)),
    )
    plain = {
        "name": _("A name has letters, digits, dots, dashes, underscores, and begins with a letter or digit."),
        "until": _("That isn't a moment: write it as 2026-12-01T02:00."),
    }
    at = trouble.field if trouble and trouble.field in _FIELDS else ""
    return render(
        request,
        "backups/hold.html",
        200 if trouble is None else 400,
        vault=vault,
        point=point,
        said=said,
        wrong={at: refused_at(at, trouble, plain)} if trouble and at else {},
        trouble=None if at else trouble,
    )


async def ask_to_release(request: Request) -> Response:
    found = await request.state.asking.get(VaultPointDetails, _path(request))
    told = [found.name, _("Whether it stays is for the rules of its policy to say again, and anybody may delete it.")]
    heading = _("Release the point of %(name)s?") % {"name": found.machine_name}
    does = f"{_vault(request)}/release/{part(found.name)}"
    hidden = {"name": found.hold.name if found.hold else ""}
    return confirm(request, heading, told=told, does=does, said=_("Release it"), back=_page(request), hidden=hidden)


async def release(request: Request) -> Response:
    """What it was held for when that was asked, and nothing that it is held for since."""
    asking: Asking = request.state.asking
    await asking.get(VaultPointDetails, _path(request))  # one that isn't there is said before a name that is none
    await asking.post(VaultPointDetails, f"{_path(request)}/release", {"name": request.state.form["name"]})
    return RedirectResponse(_page(request), 303)


def _path(request: Request) -> str:
    named = request.path_params
    return f"/v1/vaults/{part(named['vault'])}/points/{part(named['point'])}"


def _vault(request: Request) -> str:
    return f"/ui/backups/vaults/{part(request.path_params['vault'])}"


def _page(request: Request) -> str:
    return f"{_vault(request)}/points/{part(request.path_params['point'])}"


ROUTES = [
    Page("/backups/vaults/{vault}/hold/{point:path}", ask, "GET", "migration:vault:keep"),
    Page("/backups/vaults/{vault}/hold/{point:path}", hold, "POST", "migration:vault:keep"),
    Page("/backups/vaults/{vault}/release/{point:path}", ask_to_release, "GET", "migration:vault:keep"),
    Page("/backups/vaults/{vault}/release/{point:path}", release, "POST", "migration:vault:keep"),
]
