"""Vaults: made, listed, looked at, and what keeps them."""

import uuid
from collections.abc import Collection
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from longshore.api.backups import (
    MachineInVault,
    NewVault,
    Prunable,
    Vault,
    VaultCheck,
    VaultCopy,
    VaultLock,
    VaultRecovery,
    VaultUsage,
)
from longshore.api.schemas import Migration
from longshore.errors import InvalidInput
from longshore.flows.clouds import vault_record
from longshore.flows.kept_secrets import new_secret
from longshore.model.request import MigrationType, VaultRequest
from longshore.model.status import Status
from longshore.planning.validation import refuse_unreadable
from longshore.providers.registry import kinds_for
from longshore.providers.vault.declaration import BARBICAN, PASS_PHRASE, SECRET_KEY, STRETCHED, VAULT, refuse_incomplete
from longshore.providers.vault.source import store_of
from longshore.service.delegation import give_back_abandoned
from longshore.service.keepers import refuse_unneeded, with_keeper
from longshore.service.parts import TheCaller, TheClouds, TheGrounds, TheStore, TheVault, judged_router
from longshore.service.queued import begun
from longshore.service.remote import provider_settings
from longshore.service.shapes import shaped
from longshore.store import JobFilter, MigrationRecord, NewMigration, ProviderRecord, Store
from longshore.vault import locks
from longshore.vault.inspection import passed_over, unusable
from longshore.vault.points import point_names
from longshore.vault.prune import prune as look_to_prune
from longshore.vault.recovery import recover, settle
from longshore.vault.usage import of_machines, usage
from longshore.vault.vault import Vault as OpenVault
from longshore.vault.verify import verify

router = judged_router("/v1")

_DAY = 86400.0  # seconds


@router.post("/vaults", status_code=201)
def create(body: NewVault, store: TheStore, caller: TheCaller, grounds: TheGrounds) -> Vault:
    """Make a new vault in a directory or a bucket. With `lock` the bucket has to have object lock.

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
    # An empty pass phrase is none to be made with, and certainly no wish for a vault in clear
    secrets = {name: value.get_secret_value().rstrip("\r\n") for name, value in given.items() if value is not None}
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
    """Add a vault that was made as a provider. It is discarded where that fails."""
    try:
        if phrase := secrets.get(PASS_PHRASE):
            secrets = {**secrets, STRETCHED: made.stretched(phrase)}
        return _vault(store, store.providers.add(name, VAULT.kind, settings, secrets, provider_id=id_))
    except BaseException:
        made.discard()
        raise


@router.get("/vaults")
def vaults(store: TheStore) -> list[Vault]:
    """List the vaults, by name."""
    return [_vault(store, record) for record in store.providers.all() if record.kind in kinds_for("vault")]


@router.get("/vaults/{vault}")
def vault(vault: TheVault, store: TheStore) -> Vault:
    """Show a vault, by its name or id."""
    return _vault(store, vault)


@router.post("/vaults/{vault}/check")
def check(vault: TheVault, store: TheStore, clouds: TheClouds) -> VaultCheck:
    """Check a vault: open it, read the documents and maps of its points, and see that the packs are there, and that its
    lock stands, if it has one. In a vault that another project shares: those of one's own points, and nothing of its
    lock.
    """
    with clouds.vault(vault.id, "read") as opened:
        unfit: list[str] = []
        try:
            opened.store.probe()
        except InvalidInput as error:  # what is in it is looked at all the same
            unfit.append(str(error))
        found = verify(opened, data=False)
        # How the lock of everything stands, and of which objects it doesn't, is told to those who see everything
        lock, meddled = _lock(opened, found.packs) if clouds.sees_all_of(vault) else (_promised(opened), [])
        return VaultCheck(
            vault=_vault(store, vault),
            encrypted=opened.encrypted,
            points=found.points,
            lock=lock,
            faults=[*unfit, *(str(fault) for fault in found.faults), *meddled, *unusable(opened)],
            passed_over=passed_over(opened),
            keeps_deleted=opened.store.keeps_deleted(),
        )


@router.post("/vaults/{vault}/recover")
def recover_vault(vault: TheVault, store: TheStore, clouds: TheClouds) -> VaultRecovery:
    """Bring back all that the lock of a vault's bucket has kept, whoever has deleted it or written it again: what a
    policy or a prune has removed comes back, too, and goes again. Not for a vault that another project shares.
    """
    with clouds.vault_store(vault.id) as place:
        found = recover(place)
    with clouds.vault(vault.id, "write") as opened:
        settle(opened, found)
    return VaultRecovery(points=list(found.points), packs=found.packs, others=list(found.others))


@router.post("/vaults/{vault}/verify", status_code=202)
def verify_vault(vault: TheVault, store: TheStore) -> Migration:
    """Verify a vault: read all that its points name (in a vault that another project shares, one's own), and compare it
    with its digests. It is watched as a migration, of type "verification"; what was found is in its result.
    """
    return begun(store, NewMigration.of_provider(vault, VaultRequest(MigrationType.VERIFICATION)))


@router.post("/vaults/{vault}/prune", status_code=202)
def prune(vault: TheVault, store: TheStore, clouds: TheClouds) -> Migration:
    """Prune a vault: condemn what no point names, and remove what has been condemned for the vault's grace. It is
    watched as a migration, of type "prune". Not for a vault that another project shares.
    """
    clouds.refuse_unless_owner(vault, "prunes it")
    return begun(store, NewMigration.of_provider(vault, VaultRequest(MigrationType.PRUNE)))


@router.get("/vaults/{vault}/prunable")
def prunable(vault: TheVault, store: TheStore, clouds: TheClouds) -> Prunable:
    """Say what a prune would remove now, and remove nothing. It reads the maps of all points. Not for a vault that
    another project shares.
    """
    clouds.refuse_unless_owner(vault, "prunes it")
    with clouds.vault(vault.id, "read") as opened:
        found = look_to_prune(opened, dry_run=True)
    return shaped(Prunable, found)


@router.get("/vaults/{vault}/usage")
def vault_usage(vault: TheVault, store: TheStore, clouds: TheClouds) -> VaultUsage:
    """Say how much a vault holds, how fast it grows and when it is full, when it was verified and pruned last, and how
    many points each machine has in it. It lists all of its objects.
    """
    with clouds.vault(vault.id, "read") as opened:
        found = usage(opened) if clouds.sees_all_of(vault) else None
        machines = of_machines(opened)
    verified, pruned = (_last(store, vault, kind) for kind in (MigrationType.VERIFICATION, MigrationType.PRUNE))
    return VaultUsage(
        **(asdict(found) if found else dict.fromkeys(("objects", "stored", "free", "per_day", "full_at"))),
        verified_at=verified.finished_at if verified else None,
        verified_well=verified.status is Status.DONE if verified else None,
        pruned_at=pruned.finished_at if pruned else None,
        machines=[shaped(MachineInVault, one) for one in machines],
    )


def _last(store: Store, vault: ProviderRecord, kind: MigrationType) -> MigrationRecord | None:
    """Return the last job of a kind on a vault that has ended as it should, or has failed."""
    wanted = JobFilter(machine=vault.id, types=[kind], statuses=[Status.DONE, Status.FAILED])
    return next(iter(store.migrations.page(1, fitting=wanted, backwards=True)), None)


@router.post("/vaults/{vault}/copy", status_code=202)
def copy(vault: TheVault, body: VaultCopy, store: TheStore, clouds: TheClouds) -> Migration:
    """Copy a vault's points that another vault hasn't got into that, oldest first; of a vault that another project
    shares, one's own. It is watched as a migration, of type "vault-copy"; how many and how many bytes is in its result.
    """
    target = vault_record(store, body.to)
    with clouds.vault(vault.id, "write") as ours, clouds.vault(target.id, "write") as other:
        if ours.id == other.id:
            raise InvalidInput("A vault isn't copied into itself.", field="to")
        if ours.encrypted and not other.encrypted and not body.in_clear:
            raise InvalidInput(
                f"{vault.name} is encrypted and {target.name} isn't.",
                advice="If all may be read there: longshore vault copy --in-clear.",
                field="in_clear",
            )
    return begun(store, NewMigration.of_provider(vault, VaultRequest(MigrationType.VAULT_COPY), target))


def _vault(store: Store, record: ProviderRecord) -> Vault:
    where = record.settings if store.providers.is_own(record) else {}
    where_it_is = {"directory": where.get("directory"), "url": where.get("url")}
    return Vault(id=record.id, project_id=record.project_id, name=record.name, **where_it_is)


def _promised(vault: OpenVault) -> VaultLock | None:
    return None if vault.lock is None else VaultLock(days=vault.lock / _DAY, until=None, short=0)


def _lock(vault: OpenVault, packs: Collection[bytes]) -> tuple[VaultLock | None, list[str]]:
    """Return how the lock stands, and sentences about what is wrong with it."""
    if vault.lock is None:
        return None, []
    histories = locks.histories(vault)
    found = locks.stand(vault, histories, dict.fromkeys(point_names(vault), 0.0), packs)
    until = None if found.until is None else datetime.fromtimestamp(found.until, UTC)
    said = locks.meddled(vault, histories)
    if found.open:
        said.append(
            f"{len(found.open)} object(s) aren't locked, {found.open[0]} among them: longshore vault prune locks them."
        )
    return VaultLock(days=vault.lock / _DAY, until=until, short=found.short), said
