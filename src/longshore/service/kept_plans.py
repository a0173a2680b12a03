"""Plans kept in a vault, and imported from there: by an installation that has the vault and the clouds alone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fastapi import Response

from longshore.api.kept_plans import ImportedPlan, KeptPlan, PlanImport, PlanKeeping
from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.flows.clouds import Clouds, vault_record
from longshore.model.plan import Plan
from longshore.model.status import Status
from longshore.planning import planfile
from longshore.planning.plan_validation import refuse_past
from longshore.planning.validation import refuse_unreadable
from longshore.service.opened_plan import open_plans, states_of
from longshore.service.parts import (
    TheCaller,
    TheClouds,
    ThePlansClouds,
    ThePlansStore,
    TheStore,
    TheVault,
    judged_router,
)
from longshore.service.plan_changes import etag_of
from longshore.service.remote import refuse_unsafe_plan
from longshore.store import ProviderRecord
from longshore.store.texts import without_texts
from longshore.vault.errors import Damaged
from longshore.vault.kept_plans import KeptPlan as Kept
from longshore.vault.kept_plans import keep_plan, kept_plans

router = judged_router("/v1")
_PLAYBOOKS = ("before", "after")
_DONE = Status.DONE.value
_NOTHING = Kept("", datetime.min, {}, {}, ())


@router.post("/plans/{name}/keep-in", status_code=201)
def keep_in(name: str, body: PlanKeeping, store: ThePlansStore, clouds: ThePlansClouds) -> KeptPlan:
    """Keep a plan in a vault, as it is now, with how far its machines are. Texts that may be secret are left out: user
    data, scripts and keys of guests. Once more keeps what has become of it.
    """
    record = store.plans.get(name)
    content, left_out = without_texts(record.content)
    (opened,) = open_plans(store, [record])
    machines = {one.machine: one.status for one in states_of(opened) if one.migration is not None}
    kept = Kept(record.id, datetime.now(UTC), content, machines, left_out)
    with clouds.vault(vault_record(store, body.vault).id, "write") as vault:
        keep_plan(vault, kept)
    return _shown(kept)


@router.get("/vaults/{vault}/plans")
def plans(vault: TheVault, clouds: TheClouds) -> list[KeptPlan]:
    """List the plans that are kept in a vault, by name, as each was kept last."""
    with clouds.vault(vault.id, "read") as opened:
        found = [
            _shown(_NOTHING, one.message) if isinstance(one, Damaged) else _shown(one) for one in kept_plans(opened)
        ]
    return sorted(found, key=lambda one: (one.name, one.id))


@router.post("/vaults/{vault}/plans/{plan}/import", status_code=201)
def import_plan(
    vault: TheVault,
    plan: str,
    body: PlanImport,
    *,
    store: TheStore,
    clouds: TheClouds,
    caller: TheCaller,
    response: Response,
) -> ImportedPlan:
    """Make a plan of one that is kept in a vault, named by its name or id. Nothing is started.

    What had moved by then is left out, unless it is asked for.
    """
    kept = _find(vault, plan, clouds)
    read = planfile.from_plain({**kept.plan, "name": body.name or kept.name})
    source, target = (store.providers.get(one).name for one in (body.source or read.source, body.target or read.target))
    read = replace(read, source=source, target=target)
    moved = [one for one, status in kept.machines.items() if status == _DONE]
    if not body.with_moved:
        read = _without(read, set(moved))
    content = planfile.plain(read)
    refuse_unsafe_plan(caller, content)
    refuse_past(read)
    record = store.plans.add(read.name, content)
    response.headers["ETag"] = etag_of(record)
    return ImportedPlan(
        plan=record.content,
        kept_at=kept.kept_at,
        moved=moved,
        under_way=[one for one, status in kept.machines.items() if not _is_over(status)],
        left_out=list(kept.left_out),
        playbooks=_playbooks(content),
    )


def _find(vault: ProviderRecord, plan: str, clouds: Clouds) -> Kept:
    """Return the plan of that name or id. Raises NotFound, Conflict when several are called so."""
    refuse_unreadable(plan=plan)
    with clouds.vault(vault.id, "read") as opened:
        all_of_them = [one for one in kept_plans(opened) if isinstance(one, Kept)]
    for wanted in ([one for one in all_of_them if one.id == plan], [one for one in all_of_them if one.name == plan]):
        if len(wanted) > 1:
            raise Conflict(f"Several plans called {plan} are kept in {vault.name}.", advice="Name one by its id.")
        if wanted:
            return wanted[0]
    raise NotFound(f"No plan {plan} is kept in {vault.name}.", advice=f"See: longshore plan import list {vault.name}.")


def _without(plan: Plan, moved: set[str]) -> Plan:
    """Return a plan without the machines and volumes that have moved. Raises InvalidInput when none would be left."""
    left = {one.machine for one in plan.entries} - moved
    if not left:
        raise InvalidInput("All of this plan had moved when it was kept.", advice="To have it all: --with-moved.")
    machines = tuple(one for one in plan.machines if one.machine in left)
    volumes = tuple(one for one in plan.volumes if one.machine in left)
    return replace(plan, machines=machines, volumes=volumes)


def _is_over(status: str) -> bool:
    try:
        return Status(status).ended
    except ValueError:  # a stranger's word, or a later release's
        return False


def _playbooks(plan: Mapping[str, Any]) -> list[str]:
    """Return the playbooks of this machine that a plan would run."""
    options = [plan.get("defaults") or {}, *(plan.get("machines") or ())]
    return sorted({str(one[when]) for one in options for when in _PLAYBOOKS if one.get(when)})


def _shown(kept: Kept, error: str | None = None) -> KeptPlan:
    said = {word: str(kept.plan.get(word) or "") for word in ("source", "target", "description")}
    return KeptPlan(
        id=kept.id,
        name=kept.name,
        kept_at=None if error else kept.kept_at,
        machines=sum(len(found) for of in ("machines", "volumes") if isinstance(found := kept.plan.get(of), list)),
        states=dict(Counter(kept.machines.values())),
        left_out=list(kept.left_out),
        error=error,
        **said,
    )
