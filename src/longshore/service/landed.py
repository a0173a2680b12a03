"""Machines that have landed: which server each of them is now, and where that is reached."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from longshore.api.landed import Landed, LandedPort
from longshore.errors import NotFound
from longshore.flows.clouds import Clouds
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.service.paging import ThePage
from longshore.service.parts import TheClouds, TheStore, judged_router
from longshore.service.shapes import Names, provider_names, shaped
from longshore.store import EntryState, JobFilter, MigrationRecord, Store, ThingKind

router = judged_router("/v1")
# A machine that was converted later is its first migration's, whose record then says so
_LAND = (MigrationType.COLD, MigrationType.WARM, MigrationType.FAILOVER, MigrationType.IN_PLACE)
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class _Which:
    """Filters. None: whatever it is."""

    machine: Annotated[str | None, Query(description="A name or reference, as at the source.")] = None
    plan: str | None = None
    target: str | None = None


@router.get("/landed")
def landed(
    store: TheStore,
    clouds: TheClouds,
    page: ThePage,
    which: Annotated[_Which, Depends(_Which)],
    *,
    floating: Annotated[
        bool, Query(description="With floating IPs: each target is asked which there are now.")
    ] = False,
) -> list[Landed]:
    """List the machines that have landed, each as its last migration has left it; in the order in which these were
    asked for. What has become of a server since then is its cloud's to say. Markers are ids of migrations.
    """
    records = landed_records(store)
    if which.machine is not None:
        records = [one for one in records if which.machine in (one.machine_name, one.machine_ref)]
    if which.plan is not None:
        plan_id = store.plans.get(which.plan).id
        records = [one for one in records if one.plan_id == plan_id]
    if which.target is not None:
        target_id = store.providers.get(which.target).id
        records = [one for one in records if one.target_id == target_id]
    shown_now = page.of(records, lambda one: one.id)
    leading = _leading(clouds, {one.target_id for one in shown_now}) if floating else None
    providers = provider_names(store)
    plans = store.plans.names() if any(one.plan_id for one in shown_now) else {}
    return [_shown(one, providers, plans, leading) for one in shown_now]


def landed_records(store: Store) -> list[MigrationRecord]:
    """Return the last migration of each machine that has landed, oldest first."""
    fitting = JobFilter(statuses=(Status.DONE,), types=_LAND)
    last: dict[tuple[str, str, str], MigrationRecord] = {}
    for one in _all(store, fitting):
        if one.server_id is not None and not _was_undone(store, one):
            key = one.project_id, one.source_id, one.machine_ref
            last.pop(key, None)  # so that its place is that of the last one
            last[key] = one
    return list(last.values())


def _all(store: Store, fitting: JobFilter) -> Iterable[MigrationRecord]:
    after = None
    while records := store.migrations.page(_AT_ONCE, after, fitting=fitting):
        yield from records
        after = records[-1].id


def _was_undone(store: Store, record: MigrationRecord) -> bool:
    """Tell whether a failover was taken back, whose record says for ever that it was done."""
    if record.type is not MigrationType.FAILOVER:
        return False
    servers = [one for one in store.ledger.entries(record.id) if one.kind is ThingKind.SERVER]
    return all(one.state is EntryState.REMOVED for one in servers)


def _leading(clouds: Clouds, targets: Iterable[str]) -> dict[str, list[str]]:
    """Return the floating IPs that lead to ports of these targets, by the port's id. Raises what a cloud says."""
    found: dict[str, list[str]] = {}
    for target_id in targets:
        with clouds.target(target_id) as target, suppress(NotFound):  # a cloud without routers
            for one in target.floating_addresses():
                if one.port_id is not None:
                    found.setdefault(one.port_id, []).append(one.address)
    return found


def _shown(
    record: MigrationRecord, providers: Names, plans: dict[str, str], leading: dict[str, list[str]] | None
) -> Landed:
    result = record.result or {}
    ports = result.get("ports") or []
    return shaped(
        Landed,
        record,
        migration=record.id,
        source=providers[record.source_id],
        target=providers[record.target_id],
        plan=plans.get(record.plan_id or ""),
        wave=record.wave if record.plan_id else None,
        server_name=record.request.get("server_name") or record.machine_name,
        flavor=(result.get("flavor") or {}).get("name"),
        ports=[
            LandedPort(
                id=port["id"],
                mac=port["mac"],
                addresses=list(port["addresses"]),
                floating=None if leading is None else leading.get(port["id"], []),
            )
            for port in ports
        ],
        volumes=[disk.volume_id for disk in record.disks if disk.volume_id],
        guest=(result.get("conversion") or {}).get("system"),
        landed_at=record.target_up_at,
    )
