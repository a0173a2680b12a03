"""The content of a vault, a page at a time, newest first: each point with the policy that made it, and why it stays."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Query

from longshore.api.backups import PointInVault, VaultContents
from longshore.flows.backups.retention import decide_of_policy, suspects_of
from longshore.model.point import Hold
from longshore.service.parts import TheClouds, TheStore, TheVault, judged_router
from longshore.service.vault_points import told_together
from longshore.store import BackupPolicyRecord, Store
from longshore.vault.holds import holds
from longshore.vault.points import DamagedPoint, Point, folder_in, point_names, points, read_points
from longshore.vault.vault import Vault

router = judged_router("/v1")

_MOST = 1000  # points of one answer
_Up = Literal["machine", "moment", "size"]
_Down = Literal["-machine", "-moment", "-size"]
_SORTS: dict[str, Callable[[Point], Any]] = {
    "machine": lambda point: point.machine_name.casefold(),
    "size": lambda point: sum(top.size for top in point.disks.values()),
}


@router.get("/vaults/{vault}/contents")
def contents(  # noqa: PLR0917
    vault: TheVault,
    store: TheStore,
    clouds: TheClouds,
    machine: Annotated[str, Query(max_length=255, description="A part of the names of machines.")] = "",
    sort: Annotated[_Up | _Down, Query(description="By what; -NAME: the other way round.")] = "-moment",
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> VaultContents:
    """List a vault's points, newest first unless `sort` says otherwise. By their moments, and without `machine`, only
    those of this page are read; else all are, and those that can't be read come last.
    """
    order, backwards = sort.removeprefix("-"), sort.startswith("-")
    with clouds.vault(vault.id, "read") as opened:
        names = point_names(opened)
        if sort != "moment":
            names.reverse()
        if machine or order != "moment":
            found = list(read_points(opened, names))
            damaged = [point for point in found if isinstance(point, DamagedPoint)] if not machine else []
            whole = [point for point in found if isinstance(point, Point)]
            fitting = [point for point in whole if machine.casefold() in point.machine_name.casefold()]
            if order != "moment":
                fitting.sort(key=_SORTS[order], reverse=backwards)
            told: list[Point | DamagedPoint] = [*fitting, *damaged]
            total, page = len(told), told[offset : offset + limit]
        else:
            total, page = len(names), list(read_points(opened, names[offset : offset + limit]))
        made_by = {one.id: one for one in store.backup_policies.all() if vault.id in (one.vault_id, one.copy_to)}
        held = holds(opened)
        read = {point.name: point for point in page if isinstance(point, Point)}
        reasons = _reasons(store, opened, vault.id, list(made_by.values()), list(read.values()), held)
        policies = {name: made_by.get(str(point.content.get("policy"))) for name, point in read.items()}
        shown = [
            PointInVault(
                **each,
                policy=policy.name if (policy := policies.get(each["name"])) is not None else None,
                suspect=reasons[each["name"]][0] if each["name"] in reasons else None,
                kept=reasons[each["name"]][1] if each["name"] in reasons else None,
            )
            for each in told_together(page, held, store.backup_policies.trials(vault.id))
        ]
        return VaultContents(encrypted=opened.encrypted, of=len(names), total=total, points=shown)


def _reasons(  # noqa: PLR0917
    store: Store,
    vault: Vault,
    vault_id: str,
    policies: Sequence[BackupPolicyRecord],
    page: Sequence[Point],
    held: Mapping[str, Hold],
) -> dict[str, tuple[bool, list[str]]]:
    """Return, by point of the page that a policy judges, whether it is suspect and why it stays.

    All points of its machine are looked at, and told of.
    """
    in_use, now = store.backup_policies.points_in_use(vault_id), datetime.now(UTC)
    judged: dict[str, tuple[bool, list[str]]] = {}
    for folder in {folder_in(point.name) for point in page if point.content.get("policy")}:
        of_machine = list(points(vault, folder))
        for policy in policies:
            suspect = suspects_of(policy, vault_id)
            for decision in decide_of_policy(policy, of_machine, in_use, held, now, suspect=suspect).values():
                judged |= {one.point.id: (one.point.suspect, list(one.reasons)) for one in decision.kept}
                judged |= {point.id: (point.suspect, []) for point in decision.going}
    return judged
