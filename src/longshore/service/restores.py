"""Machines and volumes made of points."""

from collections import Counter
from dataclasses import asdict, replace

from longshore.api.backups import (
    NewRestore,
)
from longshore.api.schemas import Migration, PlanConcern
from longshore.errors import Conflict, InvalidInput
from longshore.flows.backups.in_place import (
    ServerInPlace,
    find_in_place,
    land_in_place,
    refuse_meaningless,
    refuse_other_than_servers,
)
from longshore.flows.backups.looking_up import is_volume
from longshore.flows.clouds import Clouds, vault_record
from longshore.model.concern import Concern
from longshore.model.machine import PowerState
from longshore.model.request import MigrationRequest, MigrationType, PowerAfter
from longshore.planning import Landing, blocked
from longshore.planning.validation import check_request, refuse_pointless, refuse_unreadable
from longshore.providers.registry import kinds_for
from longshore.providers.vault.source import find_point, machine_of, recorded_machine
from longshore.service.beforehand import look_beforehand
from longshore.service.caller import Caller
from longshore.service.parts import TheCaller, TheClouds, TheStore, judged_router
from longshore.service.queued import begun, going_on
from longshore.service.remote import refuse_unsafe
from longshore.service.shapes import shown_concern
from longshore.store import NewMigration, Store
from longshore.vault.points import Point

router = judged_router("/v1")


@router.post("/restores/check")
def check_restore(body: NewRestore, store: TheStore, clouds: TheClouds, caller: TheCaller) -> list[PlanConcern]:
    """Check what stands against a restore, or might: nothing is made."""
    found, name, request = _restored(body, store, clouds)
    if request.type is MigrationType.IN_PLACE:
        concerns = _look_in_place(body, name, request, store, clouds, caller)[2]
    else:
        concerns = look_beforehand(store, clouds, caller, name, body.vault, body.target, request).all_concerns
    return [shown_concern(concern, machine_of(found).name) for concern in concerns]


@router.post("/restores", status_code=202)
def restore(body: NewRestore, store: TheStore, clouds: TheClouds, caller: TheCaller) -> Migration:
    """Make a machine of a point: copied, verified, made ready for its new hardware, booted and seen up, as a cold
    migration does it. Type "dry-run": it is tried, and removed again; "in-place": it takes the place of the server that
    was backed up, and its ports, until it is committed or undone. With `disk` a volume is made of that one, and no
    machine.
    """
    _, name, request = _restored(body, store, clouds)
    if request.type is MigrationType.IN_PLACE:
        return _restore_in_place(body, name, request, store, clouds, caller)
    looked = look_beforehand(store, clouds, caller, name, body.vault, body.target, request)
    return begun(store, looked.new(), looked.said)


@router.post("/restores/{migration}/commit", status_code=202)
def commit_restore(migration: str, store: TheStore) -> Migration:
    """Commit a restore in place: its server is for good. The one that it was before is its owner's, and stays off."""
    record = store.migrations.request_commit(migration)
    return going_on(store, [record])[0]


@router.post("/restores/{migration}/undo", status_code=202)
def undo_restore(migration: str, store: TheStore) -> Migration:
    """Undo a restore in place: the server that it was before has its ports again, and runs if it did; the new one goes,
    with all that it has written. Raises Conflict when it is no such restore, or was committed.
    """
    if store.migrations.get(migration).type is not MigrationType.IN_PLACE:
        raise Conflict(f"{migration} isn't a restore in place: there is nothing to go back to.")
    record = store.migrations.request_cancel(migration)
    return going_on(store, [record])[0]


def _restore_in_place(  # noqa: PLR0917
    body: NewRestore, name: str, request: MigrationRequest, store: Store, clouds: Clouds, caller: Caller
) -> Migration:
    found, landing, concerns = _look_in_place(body, name, request, store, clouds, caller)
    if landing is None:
        raise blocked(concerns)
    vault, target = vault_record(store, body.vault), store.providers.get(body.target)
    new = NewMigration.of_machine(found.point, vault.id, target.id, request)
    return begun(store, replace(new, machine_name=found.home.name, machine_ref=name))


def _look_in_place(  # noqa: PLR0917
    body: NewRestore, name: str, request: MigrationRequest, store: Store, clouds: Clouds, caller: Caller
) -> tuple[ServerInPlace, Landing | None, list[Concern]]:
    """Look at a restore in place. Raises LongshoreError for what can't be looked at, or can't be meant."""
    refuse_unsafe(caller, asdict(request))
    refuse_unreadable(target=body.target)
    check_request(request, within=("request",))
    refuse_pointless(request)
    refuse_meaningless(request)
    vault, target = vault_record(store, body.vault), store.providers.get(body.target)
    if target.kind not in kinds_for("target"):
        raise InvalidInput(f"Provider {target.name} is {target.kind}: no server is made there.", field="target")
    found = find_in_place(clouds, vault.id, name, target.id, request.replaces or "")
    store.migrations.refuse_busy(target.id, found.home.ref, found.home.name)
    here = caller.works_here(store)
    landing, concerns = land_in_place(clouds, vault.id, target.id, found, request, converts_here=here)
    return found, landing, concerns


def _restored(body: NewRestore, store: Store, clouds: Clouds) -> tuple[Point, str, MigrationRequest]:
    """Return the point, the vault's name for what becomes of it, and what is asked for that.

    Raises InvalidInput, NotFound, Conflict.
    """
    request = body.request
    whole = (MigrationType.COLD, MigrationType.DRY_RUN, MigrationType.IN_PLACE)
    allowed = whole if body.disk is None else (MigrationType.COLD, MigrationType.DRY_RUN, MigrationType.VOLUME)
    if request.type not in allowed:
        raise InvalidInput("A restore is of type cold, dry-run or in-place; that of a single disk of type volume.")
    if request.replaces is not None:
        raise InvalidInput("Which server a restore replaces is said by its point.", field="request.replaces")
    if request.of is not None:
        raise InvalidInput("Whose restore it is can't be said: it is your own.", field="request.of")
    with clouds.vault(vault_record(store, body.vault).id, "read") as opened:
        found = find_point(opened, body.point)
    if body.disk is None:
        if is_volume(recorded_machine(found)):
            raise InvalidInput(
                f"{found.name} is of a volume that no machine had.", advice="Use: longshore restore volumes."
            )
        if request.type is MigrationType.IN_PLACE:
            refuse_other_than_servers(recorded_machine(found))
            request = replace(request, replaces=recorded_machine(found).ref)
        request = replace(request, power=_power(request, found))
        if request.type is not MigrationType.IN_PLACE:
            request = _with_networks(request, found, body.target, store, clouds)
        return found, found.name, request
    if request.type is MigrationType.DRY_RUN:
        raise InvalidInput("A single disk can't be tried: nothing boots of it.", field="disk")
    keys = list(found.disks)
    if body.disk > len(keys):
        raise InvalidInput(f"The point has {len(keys)} disk(s), and no disk {body.disk}.", field="disk")
    return found, f"{found.name}/{keys[body.disk - 1]}", replace(request, type=MigrationType.VOLUME)


def _with_networks(
    request: MigrationRequest, point: Point, target: str, store: Store, clouds: Clouds
) -> MigrationRequest:
    """Return the request with the networks of the target that are called as the server's were, where nothing is said of
    them.

    So it is as it was where it was. A name that several networks have, or none has, is left open.
    """
    machine = recorded_machine(point)
    left = {nic.network for nic in machine.nics} - set(request.networks)
    if not left or not machine.platform.traits.as_server:
        return request
    refuse_unreadable(target=target)
    with clouds.target(store.providers.get(target).id) as there:
        named = Counter(network.name for network in there.networks())
    return replace(request, networks={**request.networks, **{name: name for name in left if named[name] == 1}})


def _power(request: MigrationRequest, point: Point) -> PowerAfter:
    """Return the power state for the server: as the machine was when it was backed up, unless it is asked for."""
    if request.power is not PowerAfter.AS_BEFORE:
        return request.power
    return PowerAfter.OFF if point.content.get("power") == PowerState.OFF.value else PowerAfter.ON
