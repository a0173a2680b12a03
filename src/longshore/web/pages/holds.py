"""A point in a vault is held, so that it stays, and released again."""

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from longshore.errors import LongshoreError
from longshore.web.forms import Form
from longshore.web.holding import hold, release, show_hold
from longshore.web.page import Page, declare_form
from longshore.web.rendering import confirm
from longshore.web.things import VAULT, VAULT_POINT
from longshore.wording.texts import _


async def _asked(request: Request, said: Form, trouble: LongshoreError | None) -> Response:
    vault, point = await asyncio.gather(VAULT.read(request), VAULT_POINT.read(request))
    return show_hold(request, "backups/hold.html", said, trouble, vault=vault, point=point)


async def ask_to_release(request: Request) -> Response:
    found = await VAULT_POINT.read(request)
    return confirm(
        request,
        _("Release the point of %(name)s?") % {"name": found.machine_name},
        told=[
            found.name,
            _("Whether it stays is for the rules of its policy to say again, and anybody may delete it."),
        ],
        does=VAULT_POINT.address_of("release", request, found),
        said=_("Release it"),
        back=VAULT_POINT.page_of(request),
        hidden={"name": found.hold.name if found.hold else ""},
    )


_RULE = "migration:vault:keep"
ROUTES = [
    *declare_form(VAULT_POINT.route_of("hold"), _RULE, _asked, hold(VAULT_POINT)),
    Page(VAULT_POINT.route_of("release"), ask_to_release, "GET", _RULE),
    Page(VAULT_POINT.route_of("release"), release(VAULT_POINT), "POST", _RULE),
]
