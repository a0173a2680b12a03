"""Links that show the overview on a wall to whoever has them."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.wall_links import MadeWallLink, WallLink
from longshore.client.calls import part
from longshore.errors import LongshoreError
from longshore.web.forms import Form
from longshore.web.page import Page, declare_form
from longshore.web.rendering import show_form
from longshore.wording.texts import _, marked

AT = "/ui/wall-links"
_SETS = "migration:wall-link:set"
_FIELDS = ("name", "hours")
_HOURS = {
    8: marked("8 hours"),
    24: marked("a day"),
    72: marked("3 days"),
    168: marked("a week"),
    720: marked("30 days"),
}


async def create(request: Request, said: Form) -> Response:
    """Make a link and show it: this once."""
    hours = next((one for one in _HOURS if str(one) == said["hours"]), 8)
    body = {"name": said["name"], "ends_at": (datetime.now(UTC) + timedelta(hours=hours)).isoformat()}
    return await _shown(request, Form(), made=await request.state.asking.post(MadeWallLink, "/v1/wall-links", body))


async def remove(request: Request) -> Response:
    path = f"/v1/wall-links/{part(request.state.form['link'])}"
    await request.state.asking.ask(type(None), "DELETE", path)
    return RedirectResponse(AT, 303)


async def _shown(
    request: Request, said: Form, trouble: LongshoreError | None = None, made: MadeWallLink | None = None
) -> Response:
    own = request.app.state.door.origin or "{0.scheme}://{0.netloc}".format(urlsplit(str(request.url)))
    return show_form(
        request,
        "wall_links.html",
        said,
        trouble,
        _FIELDS,
        links=await request.state.asking.get(list[WallLink], "/v1/wall-links"),
        hours=[(str(hours), _(text)) for hours, text in _HOURS.items()],
        made=made,
        address=f"{own}{made.path}" if made else "",
    )


ROUTES = [
    *declare_form("/wall-links", _SETS, _shown, create, seen_by_all=True),
    Page("/wall-links/remove", remove, "POST", _SETS),
]
