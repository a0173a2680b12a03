"""Files of a point in a vault: looked at, looked for, and fetched, without a machine."""

from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from longshore.api.files import PointFiles
from longshore.client.calls import part
from longshore.web.asking import ApiClient
from longshore.web.page import Page
from longshore.web.rendering import render
from longshore.web.things import VAULT, VAULT_POINT

_SHOWN = 500  # files of one page
_LONGEST = 4096  # characters of a path


async def files(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    vault = await VAULT.read(request)
    path, find = _path(request), request.query_params.get("find", "").strip()[:1000]
    found, trouble = await asking.tried(PointFiles, _api(request, "files"), path=path, find=find, limit=_SHOWN)
    return render(
        request,
        "backups/files.html",
        200 if trouble is None else 400,
        vault=vault,
        point=found.point if found else request.path_params["point"],
        found=found,
        trouble=trouble,
        where=path,
        crumbs=_crumbs(path),
        find=find,
        fetches=not request.app.state.door.inside,  # another program's frame takes nothing but pages
        query=_query,
    )


async def file(request: Request) -> Response:
    """Send a file as it is, or a directory as a tar archive. What can't be had is refused as a page."""
    asking: ApiClient = request.state.asking
    await asking.get(PointFiles, _api(request, "files"), path=_path(request), limit=1)
    return asking.passed_on(_api(request, "file"), path=_path(request))


def _crumbs(path: str) -> list[tuple[str, str]]:
    """Return the path of each directory above, with its name: DISK.PARTITION:/ or / first."""
    top, _, below = path.partition("/")
    crumbs = [(f"{top}/", f"{top}/")]
    for name in filter(None, below.split("/")):
        crumbs.append((f"{crumbs[-1][0].rstrip('/')}/{name}", name))
    return crumbs


def _query(**said: Any) -> str:
    return urlencode({name: value for name, value in said.items() if value})


def _path(request: Request) -> str:
    return request.query_params.get("path", "")[:_LONGEST] or "/"


def _api(request: Request, what: str) -> str:
    return f"{VAULT.path_of(request)}/{what}/{part(request.path_params['point'])}"


ROUTES = [
    Page(VAULT_POINT.route_of("files"), files, "GET", "migration:vault:read-files"),
    Page(VAULT_POINT.route_of("file"), file, "GET", "migration:vault:read-files"),
]
