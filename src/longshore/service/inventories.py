"""A source's machines, a page at a time out of what was read a while ago; and what a target has to choose from."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from fastapi import Depends, Query, Request

from longshore.api.inventories import Folder, MachinePage, TargetOffer
from longshore.model.machine import Machine
from longshore.model.search import parse_search
from longshore.service.kept_inventories import KeptInventories
from longshore.service.paging import LIMIT
from longshore.service.parts import TheClouds, TheStore, judged_router

router = judged_router("/v1")
T = TypeVar("T")
_Up = Literal["name", "power", "guest", "cpus", "memory", "disks", "folder"]
_Down = Literal["-name", "-power", "-guest", "-cpus", "-memory", "-disks", "-folder"]
_SORTS: dict[str, Callable[[Machine], Any]] = {
    "name": lambda m: m.name.casefold(),
    "power": lambda m: m.power.value,
    "guest": lambda m: m.guest_name.casefold(),
    "cpus": lambda m: m.cpus,
    "memory": lambda m: m.memory_mib,
    "disks": lambda m: sum(disk.size for disk in m.disks),
    "folder": lambda m: m.folder.casefold(),
}


@dataclass(frozen=True, slots=True)
class AskedMachines:
    """The machines of a source that are asked for."""

    q: Annotated[str, Query(description="Words and field:value; all have to fit.")] = ""
    limit: Annotated[int, Query(ge=1, le=LIMIT)] = 50
    offset: Annotated[int, Query(ge=0, le=1 << 31)] = 0
    anew: Annotated[bool, Query(description="Ask the source, whatever is known of it.")] = False

    def page_of(self, found: Sequence[T]) -> Sequence[T]:
        return found[self.offset : self.offset + self.limit]


TheAsked = Annotated[AskedMachines, Depends(AskedMachines)]


@router.get("/providers/{provider}/inventory/machines")
def machine_page(
    provider: str,
    request: Request,
    store: TheStore,
    clouds: TheClouds,
    asked: TheAsked,
    *,
    ref: Annotated[list[str] | None, Query(max_length=LIMIT, description="Only these, as often as there are.")] = None,
    sort: Annotated[_Up | _Down | None, Query(description="By what; -NAME: the other way round.")] = None,
) -> MachinePage:
    """List the machines that fit, by folder and name unless `sort` says otherwise, as the source had them at `read_at`,
    five minutes ago at most.
    """
    fits = parse_search(asked.q)
    record = store.providers.get(provider)
    inventories: KeptInventories = request.app.state.inventories
    kept = inventories.of(clouds, record, store.scope.project_id, anew=asked.anew)
    wanted = None if ref is None else set(ref)
    found = [machine for machine in kept.machines if (wanted is None or machine.ref in wanted) and fits(machine)]
    if sort is not None:
        found.sort(key=_SORTS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    shown = list(asked.page_of(found))
    return MachinePage(read_at=kept.read_at, total=len(found), of=len(kept.machines), machines=shown)


@router.get("/providers/{provider}/inventory/folders")
def folders(provider: str, request: Request, store: TheStore, clouds: TheClouds) -> list[Folder]:
    """List the folders that have machines, by path, as the source had them five minutes ago at most."""
    inventories: KeptInventories = request.app.state.inventories
    kept = inventories.of(clouds, store.providers.get(provider), store.scope.project_id, anew=False)
    counts = Counter(machine.folder for machine in kept.machines)
    return [Folder(path=path, machines=counts[path]) for path in sorted(counts, key=str.casefold)]


@router.get("/providers/{provider}/offer")
def offer(provider: str, clouds: TheClouds) -> TargetOffer:
    """Return what machines that come to this target can be given, and how much room its quota has."""
    with clouds.target(provider) as target:
        return TargetOffer(
            networks=target.networks(),
            volume_types=target.volume_types(),
            flavors=target.flavors(),
            choices=target.choices(),
            quota=target.quota_room(),
        )
