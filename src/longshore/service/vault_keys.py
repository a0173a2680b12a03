"""Keys of encrypted vaults: further pass phrases, and recovery keys, that open them."""

from longshore.api.backups import MadeVaultKey, NewVaultKey, VaultKey
from longshore.errors import AccessDenied
from longshore.service.backups import vault_record
from longshore.service.parts import TheClouds, TheStore, judged_router
from longshore.store import Store
from longshore.store.tables import without_zone
from longshore.vault import keys

router = judged_router("/v1")


@router.get("/vaults/{vault}/keys")
def vault_keys(vault: str, store: TheStore, clouds: TheClouds) -> list[VaultKey]:
    """Oldest first: what each is for. None of it opens anything."""
    with clouds.vault(_own(store, vault), "read") as opened:
        return [_told(key) for key in keys.keys_of(opened)]


@router.post("/vaults/{vault}/keys", status_code=201)
def add_key(vault: str, body: NewVaultKey, store: TheStore, clouds: TheClouds) -> MadeVaultKey:
    """One more pass phrase opens it, or a recovery key, which is in this answer and nowhere else."""
    given = body.pass_phrase.get_secret_value().rstrip("\r\n") if body.pass_phrase is not None else None
    phrase = keys.new_recovery_key() if given is None else given
    with clouds.vault(_own(store, vault), "write") as opened:
        made = keys.add_key(opened, phrase, body.name)
    return MadeVaultKey(**_told(made).model_dump(), recovery_key=phrase if given is None else None)


@router.delete("/vaults/{vault}/keys/{key}", status_code=204)
def remove_key(vault: str, key: str, store: TheStore, clouds: TheClouds) -> None:
    """By its id or name: it opens the vault no longer, unless somebody has copied that before."""
    with clouds.vault(_own(store, vault), "write") as opened:
        keys.remove_key(opened, key)


def _own(store: Store, name: str) -> str:
    """Its id. Raises AccessDenied for one that another project shares: a key is more than what was shared."""
    record = vault_record(store, name)
    if not store.providers.is_own(record):
        raise AccessDenied(f"The vault {record.name} is another project's: its keys are, too.")
    return record.id


def _told(key: keys.VaultKey) -> VaultKey:
    made_at = without_zone(key.made_at) if key.made_at else None
    return VaultKey(id=key.id, name=key.name, made_at=made_at, opens=key.opens)
