"""Pages for those who operate an installation: its workers, the queue of all projects, and what is left outside."""

import asyncio
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.backups import Vault
from longshore.api.nodes import Node
from longshore.api.operation import LeftOver, Operation, QueuedJob, Worker
from longshore.api.schemas import Cleanup
from longshore.client.calls import part
from longshore.web.asking import ApiClient
from longshore.web.page import Page
from longshore.web.rendering import render
from longshore.web.sorting import offset_of
from longshore.wording.states import of_status

AT = "/ui/administration"
SEES = "migration:operation:get"
_ROWS = 50
_SOON = timedelta(days=30)  # as the alert of deploy/monitoring has it
_FIRST = 10  # rows of each kind, on the page of all


async def overview(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    (stands, workers, stranded), (nodes, left, vaults) = await asyncio.gather(
        asyncio.gather(
            asking.get(Operation, "/v1/operation"),
            asking.get(list[Worker], "/v1/operation/workers"),
            asking.get(list[QueuedJob], "/v1/operation/queue", stranded=True, limit=_FIRST),
        ),
        asyncio.gather(
            asking.get(list[Node], "/v1/nodes"),
            asking.get(list[LeftOver], "/v1/operation/left-overs"),
            asking.get(list[Vault], "/v1/vaults", all_projects=True),
        ),
    )
    return render(
        request,
        "administration/overview.html",
        live=True,
        stands=stands,
        nodes=nodes,
        soon=_soon(nodes),
        workers=workers,
        stranded=stranded,
        left=left[:_FIRST],
        more_left=max(len(left) - _FIRST, 0),
        vaults=vaults,
        reachable=_reachable(request),
        of_status=of_status,
    )


def _soon(nodes: list[Node]) -> list[tuple[str, str, datetime]]:
    """Return certificates that end soon, as node, service that shows it, and when."""
    limit = datetime.now(UTC).replace(tzinfo=None) + _SOON
    shown = [(node.name, service, end) for node in nodes for service, end in node.certificates.items()]
    return [one for one in shown if one[2] < limit]


async def queue(request: Request) -> Response:
    asked = request.query_params
    worker, marker, stranded = asked.get("worker", ""), asked.get("marker", ""), asked.get("stranded") == "yes"
    found = await request.state.asking.get(
        list[QueuedJob], "/v1/operation/queue", worker=worker, stranded=stranded, marker=marker, limit=_ROWS
    )
    return render(
        request,
        "administration/queue.html",
        live=True,
        jobs=found,
        worker=worker,
        stranded=stranded,
        later=bool(marker),
        older=found[-1].id if len(found) == _ROWS else "",
        reachable=_reachable(request),
        of_status=of_status,
    )


async def left_overs(request: Request) -> Response:
    return await _left(request, [])


async def clean_up(request: Request) -> Response:
    """Clean up after one migration, and show what could not be removed."""
    path = f"/v1/migrations/{part(request.state.form['migration'])}/cleanup"
    done = await request.state.asking.ask(Cleanup, "POST", path, all_projects=True)
    return await _left(request, done.left) if done.left else RedirectResponse(f"{AT}/left-overs", 303)


async def _left(request: Request, said: list[str]) -> Response:
    found = await request.state.asking.get(list[LeftOver], "/v1/operation/left-overs")
    offset = offset_of(request)
    return render(
        request,
        "administration/left_overs.html",
        left=found[offset : offset + _ROWS],
        total=len(found),
        offset=offset,
        rows=_ROWS,
        said=said,
        reachable=_reachable(request),
    )


def _reachable(request: Request) -> object:
    """Return a function that tells whether a page of a project's things can be opened in this visit."""
    visit = request.state.visit
    everything = visit.everything or request.app.state.door.alone
    return lambda project_id: everything or project_id == visit.project_id


ROUTES = [
    Page("/administration", overview, "GET", SEES),
    Page("/administration/queue", queue, "GET", SEES),
    Page("/administration/left-overs", left_overs, "GET", SEES),
    Page("/administration/left-overs", clean_up, "POST", "migration:all_projects"),
]
