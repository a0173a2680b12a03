"""The machines of a source: listed, searched, sorted, looked at and looked into; those that nothing protects; its
volumes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from longshore.api.inventories import Folder, MachinePage, UnprotectedPage, WeighedMachine
from longshore.api.schemas import LastMove, Migration, PlanSummary, Provider
from longshore.model.machine import Machine
from longshore.model.search import FIELDS
from longshore.web.asking import ApiClient
from longshore.web.page import Page
from longshore.web.rendering import render
from longshore.web.sheets import as_csv
from longshore.web.sorting import links_of, offset_of
from longshore.web.things import MIGRATION, PROVIDER
from longshore.wording.states import of_severity, of_status
from longshore.wording.texts import marked

PAGE = 50  # rows
_AT_ONCE = 1000  # machines that are asked for, for a file
_SORTED = {
    "name": marked("Name"),
    "power": marked("Power"),
    "guest": marked("Guest"),
    "cpus": marked("CPUs"),
    "memory": marked("Memory"),
    "disks": marked("Disks"),
    "folder": marked("Folder"),
}
_SHEET = (
    *("Name", "Ref", "Power", "CPUs", "Memory MiB", "Disks", "Size bytes", "Networks", "Guest", "Folder", "Cluster"),
    "Host",
)


async def machines(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    provider = await PROVIDER.read(request)
    q, offset = request.query_params.get("q", ""), offset_of(request)
    anew = request.query_params.get("anew") == "yes"
    sort = request.query_params.get("sort", "")
    path = f"{PROVIDER.path_of(request)}/inventory"
    of_page = {"q": q, "limit": PAGE, "offset": offset, "anew": anew, "sort": sort}
    page, trouble = await asking.tried(MachinePage, f"{path}/machines", **of_page)
    folders = None
    if page is not None:
        folders, trouble = await asking.tried(list[Folder], f"{path}/folders")
    at = PROVIDER.address_of("machines", request)
    if anew and trouble is None:
        same = urlencode({name: said for name, said in (("q", q), ("sort", sort)) if said})
        return RedirectResponse(f"{at}?{same}" if same else at, 303)
    last: dict[str, LastMove] = {}
    if page is not None and page.machines:
        last = await _last_moves(request, provider, [machine.ref for machine in page.machines])
    return render(
        request,
        "providers/machines.html",
        200 if trouble is None else 400,
        provider=provider,
        page=page,
        q=q,
        offset=offset,
        rows=PAGE,
        trouble=trouble,
        fields=FIELDS,
        sort=sort,
        sorts=links_of(request, _SORTED),
        folders=_tree_of([(one.path, one.machines) for one in folders or ()]),
        last=last,
        of_status=of_status,
    )


async def machines_as_csv(request: Request) -> Response:
    """Keep all that fit as a file."""
    asking: ApiClient = request.state.asking
    found: list[Machine] = []
    asked = {"q": request.query_params.get("q", ""), "sort": request.query_params.get("sort", ""), "limit": _AT_ONCE}
    while True:
        path = f"{PROVIDER.path_of(request)}/inventory/machines"
        page = await asking.get(MachinePage, path, offset=len(found), **asked)
        found += page.machines
        if len(found) >= page.total or not page.machines:
            break
    return as_csv(f"machines-{request.path_params['provider']}", _SHEET, map(_in_sheet, found))


def _in_sheet(m: Machine) -> tuple[Any, ...]:
    size, networks = sum(disk.size for disk in m.disks), dict.fromkeys(nic.network for nic in m.nics)
    sizes = m.cpus, m.memory_mib, len(m.disks), size
    return (m.name, m.ref, m.power.value, *sizes, ", ".join(networks), m.guest_name, m.folder, m.cluster, m.host)


async def unprotected(request: Request) -> Response:
    """Show the machines that have neither a replica nor a good backup by a policy that runs."""
    asking: ApiClient = request.state.asking
    provider = await PROVIDER.read(request)
    q, offset = request.query_params.get("q", ""), offset_of(request)
    of_page = {"q": q, "limit": PAGE, "offset": offset, "anew": request.query_params.get("anew") == "yes"}
    page, trouble = await asking.tried(UnprotectedPage, f"{PROVIDER.path_of(request)}/unprotected", **of_page)
    return render(
        request,
        "providers/unprotected.html",
        200 if trouble is None else 400,
        provider=provider,
        page=page,
        q=q,
        offset=offset,
        rows=PAGE,
        trouble=trouble,
    )


async def _last_moves(request: Request, provider: Provider, refs: list[str]) -> dict[str, LastMove]:
    """Return the last migration of each of these machines, by reference; none where the visit may see no migrations."""
    if not request.state.visit.may("migration:migration:get"):
        return {}
    found = await request.state.asking.get(list[LastMove], "/v1/last-moves", source=provider.id, machine=refs)
    return {one.machine_ref: one for one in found}


async def volumes(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    provider = await PROVIDER.read(request)
    found, trouble = await asking.tried(list[Machine], f"{PROVIDER.path_of(request)}/volumes")
    status = 200 if trouble is None else 400
    return render(request, "providers/volumes.html", status, provider=provider, volumes=found or [], trouble=trouble)


async def machine(request: Request) -> Response:
    asking: ApiClient = request.state.asking
    provider = await PROVIDER.read(request)
    word = request.path_params["machine"]
    weighed = await asking.get(WeighedMachine, f"{PROVIDER.path_of(request)}/concerns", machine=word)
    found = weighed.machine
    plans = await asking.get(list[PlanSummary], "/v1/plans", machine=found.ref)
    last = (await _last_moves(request, provider, [found.ref])).get(found.ref)
    return render(
        request,
        "providers/machine.html",
        provider=provider,
        machine=found,
        concerns=weighed.concerns,
        plans=plans,
        last=last,
        of_severity=of_severity,
        of_status=of_status,
    )


async def inspect(request: Request) -> Response:
    """Begin to look into a snapshot of a machine's disks.

    The findings are on the page of the migration by which that is watched.
    """
    provider = await PROVIDER.read(request)  # one that isn't there is said first
    body = {"source": provider.id, "machine": request.state.form["machine"]}
    begun = await request.state.asking.post(Migration, "/v1/inspections", body)
    return RedirectResponse(MIGRATION.at(migration=begun.id), 303)


@dataclass(slots=True)
class _FolderNode:
    """A folder, with those in it."""

    path: str
    name: str
    machines: int = 0  # in it and below
    below: list["_FolderNode"] = field(default_factory=list)

    @property
    def search(self) -> str:
        """Return the search that finds its machines."""
        quoted = self.path.replace("\\", "\\\\").replace('"', '\\"')
        return f'in:"{quoted}"'


def _tree_of(folders: Iterable[tuple[str, int]]) -> list[_FolderNode]:
    """Return the folders that are in no other one, with those below. `folders`: paths, and the machines in each itself.
    Machines in no folder aren't among them."""
    roots: list[_FolderNode] = []
    known: dict[str, _FolderNode] = {}
    for path, machines in folders:
        parts = path.strip("/").split("/") if path.strip("/") else []
        level = roots
        for depth in range(1, len(parts) + 1):
            at = "/".join(parts[:depth])
            node = known.get(at)
            if node is None:
                node = known[at] = _FolderNode(at, parts[depth - 1])
                level.append(node)
            node.machines += machines
            level = node.below
    return roots


ROUTES = [
    Page("/providers/{provider}/inspect", inspect, "POST", "migration:machine:inspect"),
    Page("/providers/{provider}/volumes", volumes, "GET"),
    Page("/providers/{provider}/machines", machines, "GET"),
    Page("/providers/{provider}/machines.csv", machines_as_csv, "GET"),
    Page("/providers/{provider}/unprotected", unprotected, "GET"),
    Page("/providers/{provider}/machines/{machine:path}", machine, "GET"),
]
