"""Vaults and the points in them; machines that are backed up, and restored."""

import uuid
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from longshore.api.backups import (
    DeletedPoint,
    LastTrial,
    NewRestore,
    NewVault,
    Vault,
    VaultCheck,
    VaultCopy,
    VaultLock,
    VaultPoint,
    VaultPointDetails,
    VaultRecovery,
)
from longshore.api.schemas import Migration, PlanConcern
from longshore.engine import embedded
from longshore.engine.queue import places_of
from longshore.errors import Conflict, InvalidInput
from longshore.flows.backups.in_place import Found, find_in_place, land_in_place, refuse_meaningless
from longshore.flows.backups.looking_up import is_volume
from longshore.flows.clouds import Clouds
from longshore.flows.kept_secrets import new_secret
from longshore.model.concern import Concern
from longshore.model.forms import form
from longshore.model.machine import Machine, PowerState
from longshore.model.point import Hold
from longshore.model.request import MigrationRequest, MigrationType, PowerAfter
from longshore.planning import Landing, blocked
from longshore.planning.validation import check_request, refuse_pointless, refuse_unreadable
from longshore.providers.registry import kinds_for
from longshore.providers.vault.declaration import BARBICAN, PASS_PHRASE, SECRET_KEY, VAULT, refuse_incomplete
from longshore.providers.vault.source import find_point, machine_of, recorded_machine, shown_machine, store_of
from longshore.service.beforehand import concerns_beforehand, look_beforehand
from longshore.service.caller import Caller
from longshore.service.delegation import give_back_abandoned
from longshore.service.keepers import refuse_unneeded, with_keeper
from longshore.service.migrations_shown import note_asked_for, shown
from longshore.service.parts import TheCaller, TheClouds, TheGrounds, TheStore, judged_router
from longshore.service.remote import provider_settings, refuse_unsafe
from longshore.store import MigrationRecord, ProviderRecord, Store
from longshore.store.backup_policies import Trial
from longshore.store.tables import with_zone
from longshore.vault import locks
from longshore.vault.holds import delete_point, hold_of, holds
from longshore.vault.points import Point, point_names, points, read_point
from longshore.vault.recovery import recover, settle
from longshore.vault.vault import Vault as OpenVault
from longshore.vault.verify import verify

router = judged_router("/v1")

_DAY = 86400.0  # seconds


# Vaults


@router.post("/vaults", status_code=201)
def create(body: NewVault, store: TheStore, caller: TheCaller, grounds: TheGrounds) -> Vault:
    """A new vault in a directory or a bucket. With `lock` the bucket has to have object lock.

    Its pass phrase can't be had back from it: without, all that is in it is lost. With `barbican` that is made, and
    kept, in the key manager of this OpenStack, in the project of the provider.
    """
    named = ("directory", "url", "endpoint", "region", "access_key", "ca_file", BARBICAN)
    where = {name: getattr(body, name) for name in named}
    settings = {name: value for name, value in where.items() if value is not None}
    if caller.remote:
        provider_settings(VAULT.kind, settings, grounds)
    settings = with_keeper(store, VAULT.kind, settings)
    given = {PASS_PHRASE: body.pass_phrase, SECRET_KEY: body.secret_key}
    secrets = {name: value.get_secret_value().rstrip("\r\n") for name, value in given.items() if value}
    parsed = VAULT.settings()(**settings)  # raises InvalidInput for what is no path and no bucket
    refuse_incomplete(settings, secrets)
    refuse_unneeded(VAULT.kind, settings, secrets)
    refuse_unreadable(name=body.name)
    store.providers.refuse_taken(body.name)
    place = store_of(parsed, secrets.get(SECRET_KEY))
    lock = None if body.lock is None else body.lock * _DAY
    id_, vault_id = str(uuid.uuid4()), str(uuid.uuid4())
    if BARBICAN not in settings:
        made = OpenVault.create(place, secrets.get(PASS_PHRASE), id_=vault_id, lock=lock)
        return _added(store, made, body.name, id_, settings, secrets)
    give_back_abandoned(store, caller)
    with new_secret(store, id_, store.providers.own(settings[BARBICAN]), vault_id) as new:
        made = OpenVault.create(place, new.pass_phrase, id_=vault_id, kept=new.kept, key_written=new.settle, lock=lock)
        return _added(store, made, body.name, id_, settings, secrets)


def _added(  # noqa: PLR0917
    store: Store, made: OpenVault, name: str, id_: str, settings: dict[str, Any], secrets: dict[str, str]
) -> Vault:
    """As a provider. What was made is gone where that fails."""
    try:
        return _vault(store, store.providers.add(name, VAULT.kind, settings, secrets, provider_id=id_))
    except BaseException:
        made.discard()
        raise


@router.get("/vaults")
def vaults(store: TheStore) -> list[Vault]:
    """By name."""
    return [_vault(store, record) for record in store.providers.all() if record.kind in kinds_for("vault")]


@router.get("/vaults/{vault}")
def vault(vault: str, store: TheStore) -> Vault:
    """One, by its name or id."""
    return _vault(store, vault_record(store, vault))


@router.post("/vaults/{vault}/check")
def check(vault: str, store: TheStore, clouds: TheClouds) -> VaultCheck:
    """Open it, read the documents and maps of its points, and see that the packs are there, and that its lock stands,
    if it has one."""
    record = vault_record(store, vault)
    with clouds.vault(record.id, "read") as opened:
        opened.store.probe()
        found = verify(opened, data=False)
        lock, meddled = _lock(opened, found.packs)
        return VaultCheck(
            vault=_vault(store, record),
            encrypted=opened.encrypted,
            points=found.points,
            lock=lock,
            faults=[*(str(fault) for fault in found.faults), *meddled],
        )


@router.post("/vaults/{vault}/recover")
def recover_vault(vault: str, store: TheStore, clouds: TheClouds) -> VaultRecovery:
    """Bring back all that the lock of its bucket has kept, whoever has deleted it or written it again: what a policy or
    a prune has removed comes back, too, and goes again."""
    record = vault_record(store, vault)
    with clouds.vault_store(record.id) as place:
        found = recover(place)
    with clouds.vault(record.id, "write") as opened:
        settle(opened, found)
    return VaultRecovery(points=list(found.points), packs=found.packs, others=list(found.others))


@router.post("/vaults/{vault}/verify", status_code=202)
def verify_vault(vault: str, store: TheStore) -> Migration:
    """Read all that its points name, and compare it with its digests. It is watched as a migration, of type
    "verification"; what was found is in its result."""
    return _keep(store, vault, MigrationType.VERIFICATION)


@router.post("/vaults/{vault}/prune", status_code=202)
def prune(vault: str, store: TheStore) -> Migration:
    """Have what no point names condemned, and removed once it has been for the vault's grace. It is watched as a
    migration, of type "prune"."""
    return _keep(store, vault, MigrationType.PRUNE)


@router.post("/vaults/{vault}/copy", status_code=202)
def copy(vault: str, body: VaultCopy, store: TheStore, clouds: TheClouds) -> Migration:
    """Its points that another vault hasn't got are copied into that, oldest first. It is watched as a migration, of
    type "vault-copy"; how many and how many bytes is in its result."""
    source, target = vault_record(store, vault), vault_record(store, body.to)
    with clouds.vault(source.id, "write") as ours, clouds.vault(target.id, "write") as other:
        if ours.id == other.id:
            raise InvalidInput("A vault isn't copied into itself.", field="to")
        if ours.encrypted and not other.encrypted and not body.in_clear:
            raise InvalidInput(
                f"{source.name} is encrypted and {target.name} isn't.",
                advice="If all may be read there: longshore vault copy --in-clear.",
                field="in_clear",
            )
    record = store.migrations.add(
        machine_name=source.name,
        machine_ref=target.id,
        source_id=source.id,
        target_id=target.id,
        request=form(MigrationRequest).dump_python(MigrationRequest(type=MigrationType.VAULT_COPY), mode="json"),
    )
    return begun(store, record)


# Points


@router.get("/vaults/{vault}/points")
def vault_points(vault: str, store: TheStore, clouds: TheClouds) -> list[VaultPoint]:
    """Oldest first."""
    record = vault_record(store, vault)
    with clouds.vault(record.id, "read") as opened:
        held, trials = holds(opened), store.backup_policies.trials(record.id)
        return [VaultPoint(**told(point, held.get(point.name), trials.get(point.name))) for point in points(opened)]


@router.get("/vaults/{vault}/points/{point:path}")
def vault_point(vault: str, point: str, store: TheStore, clouds: TheClouds) -> VaultPointDetails:
    """One, with its machine as it was then: by its name, the part of that behind the slash, or, for the newest one,
    its machine's name."""
    record = vault_record(store, vault)
    with clouds.vault(record.id, "read") as opened:
        return details(store, record.id, opened, find_point(opened, point))


@router.delete("/vaults/{vault}/points/{point:path}")
def delete_vault_point(vault: str, point: str, store: TheStore, clouds: TheClouds) -> DeletedPoint:
    """One, by its whole name. No other point needs it; its blocks go when the vault is pruned, in a vault that locks
    once they are locked no more. Raises Conflict while it is held, or being restored."""
    record = vault_record(store, vault)
    with clouds.vault(record.id, "write") as opened:
        read_point(opened, point)
        _refuse_in_use(store, record.id, point)
        return DeletedPoint(kept_until=delete_point(opened, point))


# Machines made of points


@router.post("/restores/check")
def check_restore(body: NewRestore, store: TheStore, clouds: TheClouds, caller: TheCaller) -> list[PlanConcern]:
    """Everything that stands against it, or might: nothing is made."""
    found, name, request = _restored(body, store, clouds)
    if request.type is MigrationType.IN_PLACE:
        concerns = _look_in_place(body, name, request, store, clouds, caller)[2]
    else:
        concerns = concerns_beforehand(store, clouds, caller, name, body.vault, body.target, request)
    return [PlanConcern(**{**asdict(concern), "machine": machine_of(found).name}) for concern in concerns]


@router.post("/restores", status_code=202)
def restore(body: NewRestore, store: TheStore, clouds: TheClouds, caller: TheCaller) -> Migration:
    """A machine is made of a point: copied, verified, made ready for its new hardware, booted and seen up, as a cold
    migration does it. Type "dry-run": it is tried, and removed again; "in-place": it takes the place of the server that
    was backed up, and its ports, until it is committed or undone. With `disk` a volume is made of that one, and no
    machine."""
    _, name, request = _restored(body, store, clouds)
    if request.type is MigrationType.IN_PLACE:
        return _restore_in_place(body, name, request, store, clouds, caller)
    looked = look_beforehand(store, clouds, caller, name, body.vault, body.target, request)
    record = store.migrations.add(
        machine_name=looked.machine.name,
        machine_ref=looked.machine.ref,
        source_id=looked.source_id,
        target_id=looked.target_id,
        request=form(MigrationRequest).dump_python(request, mode="json"),
        places=places_of(looked.machine),
    )
    for concern in looked.unused:
        store.events.say(record.id, None, str(concern), "warning")
    store.disks.keep(record.id, looked.machine.disks)
    return begun(store, record)


@router.post("/restores/{migration}/commit", status_code=202)
def commit_restore(migration: str, store: TheStore) -> Migration:
    """After a restore in place: its server is for good. The one that it was before is its owner's, and stays off."""
    record = store.migrations.request_commit(migration)
    embedded.ensure_running(store.state)
    return shown(store, [record])[0]


@router.post("/restores/{migration}/undo", status_code=202)
def undo_restore(migration: str, store: TheStore) -> Migration:
    """Of a restore in place: the server that it was before has its ports again, and runs if it did; the new one goes,
    with all that it has written. Raises Conflict when it is no such, or was committed."""
    if store.migrations.get(migration).request.get("type") != MigrationType.IN_PLACE.value:
        raise Conflict(f"{migration} isn't a restore in place: there is nothing to go back to.")
    record = store.migrations.request_cancel(migration)
    embedded.ensure_running(store.state)
    return shown(store, [record])[0]


# Parts


def _restore_in_place(  # noqa: PLR0917
    body: NewRestore, name: str, request: MigrationRequest, store: Store, clouds: Clouds, caller: Caller
) -> Migration:
    found, landing, concerns = _look_in_place(body, name, request, store, clouds, caller)
    if landing is None:
        raise blocked(concerns)
    record = store.migrations.add(
        machine_name=found.home.name,
        machine_ref=name,
        source_id=vault_record(store, body.vault).id,
        target_id=store.providers.get(body.target).id,
        request=form(MigrationRequest).dump_python(request, mode="json"),
        places=places_of(found.point),
    )
    store.disks.keep(record.id, found.point.disks)
    return begun(store, record)


def _look_in_place(  # noqa: PLR0917
    body: NewRestore, name: str, request: MigrationRequest, store: Store, clouds: Clouds, caller: Caller
) -> tuple[Found, Landing | None, list[Concern]]:
    """Raises LongshoreError for what can't be looked at, or can't be meant."""
    if caller.remote:
        refuse_unsafe(asdict(request))
    refuse_unreadable(target=body.target)
    check_request(request)
    refuse_pointless(request)
    refuse_meaningless(request)
    vault, target = vault_record(store, body.vault), store.providers.get(body.target)
    if target.kind not in kinds_for("target"):
        raise InvalidInput(f"Provider {target.name} is {target.kind}: no server is made there.", field="target")
    found = find_in_place(clouds, vault.id, name, target.id, request.replaces or "")
    store.migrations.refuse_busy(target.id, found.home.ref, found.home.name)
    here = not caller.remote and not store.state.shared_database
    landing, concerns = land_in_place(clouds, vault.id, target.id, found, request, converts_here=here)
    return found, landing, concerns


def _restored(body: NewRestore, store: Store, clouds: Clouds) -> tuple[Point, str, MigrationRequest]:
    """The point, what the vault calls what becomes of it, and what is asked for that.

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


def vault_record(store: Store, name: str) -> ProviderRecord:
    """Raises NotFound, InvalidInput."""
    record = store.providers.get(name)
    if record.kind not in kinds_for("vault"):
        raise InvalidInput(f"Provider {record.name} is {record.kind}, no vault.", advice="See: longshore vault list.")
    return record


def _vault(store: Store, record: ProviderRecord) -> Vault:
    where = record.settings if store.providers.is_own(record) else {}
    where_it_is = {"directory": where.get("directory"), "url": where.get("url")}
    return Vault(id=record.id, project_id=record.project_id, name=record.name, **where_it_is)


def _lock(vault: OpenVault, packs: Collection[bytes]) -> tuple[VaultLock | None, list[str]]:
    """How it stands, and sentences about what shouldn't be."""
    if vault.lock is None:
        changed = locks.unlocked_by(vault)
        return None, [changed] if changed else []
    histories = locks.histories(vault)
    found = locks.stand(vault, histories, dict.fromkeys(point_names(vault), 0.0), packs)
    until = None if found.until is None else datetime.fromtimestamp(found.until, UTC)
    said = locks.meddled(vault, histories)
    if found.open:
        said.append(
            f"{len(found.open)} object(s) aren't locked, {found.open[0]} among them: longshore vault prune locks them."
        )
    return VaultLock(days=vault.lock / _DAY, until=until, short=found.short), said


def _keep(store: Store, name: str, kind: MigrationType) -> Migration:
    vault = vault_record(store, name)
    record = store.migrations.add(
        machine_name=vault.name,
        machine_ref=vault.id,
        source_id=vault.id,
        target_id=vault.id,
        request=form(MigrationRequest).dump_python(MigrationRequest(type=kind), mode="json"),
    )
    return begun(store, record)


def begun(store: Store, record: MigrationRecord) -> Migration:
    note_asked_for([record])
    embedded.ensure_running(store.state)
    return shown(store, [store.migrations.get(record.id)])[0]


def details(store: Store, vault_id: str, vault: OpenVault, point: Point) -> VaultPointDetails:
    trial = store.backup_policies.trials(vault_id).get(point.name)
    return VaultPointDetails(
        **told(point, hold_of(vault, point.name), trial),
        machine=form(Machine).dump_python(shown_machine(point), mode="json"),
    )


def told(point: Point, hold: Hold | None, trial: Trial | None) -> dict[str, Any]:
    machine = machine_of(point)
    return {
        "name": point.name,
        "machine_name": machine.name,
        "machine_uuid": machine.instance_uuid or machine.uuid,
        "moment": point.moment,
        "consistency": point.content.get("consistency", ""),
        "size": sum(top.size for top in point.disks.values()),
        "disks": list(point.disks),
        "hold": asdict(hold) if hold else None,
        "trial": LastTrial(
            migration=trial.migration_id, at=with_zone(trial.at), shown_by=trial.shown_by, error=trial.error
        )
        if trial
        else None,
    }


def _with_networks(
    request: MigrationRequest, point: Point, target: str, store: Store, clouds: Clouds
) -> MigrationRequest:
    """A server's networks that nothing is said of become the target's that are called the same: so it is as it was
    where it was. Of which there are several, or none, is left open."""
    machine = recorded_machine(point)
    left = {nic.network for nic in machine.nics} - set(request.networks)
    if not left or not machine.platform.traits.as_server:
        return request
    refuse_unreadable(target=target)
    with clouds.target(store.providers.get(target).id) as there:
        named = Counter(network.name for network in there.networks())
    return replace(request, networks={**request.networks, **{name: name for name in left if named[name] == 1}})


def _power(request: MigrationRequest, point: Point) -> PowerAfter:
    """Of the server: as the machine was when it was backed up, unless something else is asked for."""
    if request.power is not PowerAfter.AS_BEFORE:
        return request.power
    return PowerAfter.OFF if point.content.get("power") == PowerState.OFF.value else PowerAfter.ON


def _refuse_in_use(store: Store, vault_id: str, point: str) -> None:
    """Raises Conflict while a machine or a volume is being made of it."""
    users = store.backup_policies.points_in_use(vault_id).get(point)
    if users:
        raise Conflict(f"The point {point} is in use by {users[0]}.", advice="Wait for its end.")
