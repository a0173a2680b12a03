"""Keys of encrypted vaults: further pass phrases, and recovery keys, that open them, and such in a key manager."""

import uuid
from dataclasses import asdict
from typing import Annotated

from fastapi import Depends

from longshore.api.backups import InBarbican, MadeVaultKey, NewVaultKey, VaultKey
from longshore.errors import AccessDenied, InvalidInput
from longshore.flows.kept_secrets import forget_secret, keeper, new_secret, remove_abandoned, remove_secret
from longshore.providers.registry import keeper_in
from longshore.service.parts import TheClouds, TheStore, TheVault, judged_router
from longshore.store import ProviderRecord, Store
from longshore.store.tables import without_zone
from longshore.vault import keys
from longshore.vault.vault import Vault

router = judged_router("/v1")


def _own(vault: TheVault, store: TheStore) -> ProviderRecord:
    """Return a vault. Raises AccessDenied for one that another project shares: a key is more than what was shared."""
    if not store.providers.is_own(vault):
        raise AccessDenied(f"The vault {vault.name} is another project's: its keys are, too.")
    return vault


_TheOwnVault = Annotated[ProviderRecord, Depends(_own)]


@router.get("/vaults/{vault}/keys")
def vault_keys(vault: _TheOwnVault, clouds: TheClouds) -> list[VaultKey]:
    """List a vault's keys, oldest first, with what each is for. None of it opens anything."""
    with clouds.vault(vault.id, "read") as opened:
        return [_told(key) for key in keys.keys_of(opened)]


@router.post("/vaults/{vault}/keys", status_code=201)
def add_key(vault: _TheOwnVault, body: NewVaultKey, store: TheStore, clouds: TheClouds) -> MadeVaultKey:
    """Add a key to a vault: one more pass phrase opens it, or a recovery key, which is in this answer and nowhere else;
    or one that is made and kept in the key manager of an OpenStack, in the project of that provider.
    """
    given = body.pass_phrase.get_secret_value().rstrip("\r\n") if body.pass_phrase is not None else None
    if body.barbican is not None:
        if given is not None:
            raise InvalidInput("Its pass phrase is given or it is in Barbican.", advice="Name one of them.")
        with clouds.vault(vault.id, "write") as opened:
            made = _add_in_barbican(store, vault, opened, body.name, body.barbican)
        return MadeVaultKey(**_told(made).model_dump(), recovery_key=None)
    phrase = keys.new_recovery_key() if given is None else given
    with clouds.vault(vault.id, "write") as opened:
        made = keys.add_key(opened, phrase, body.name)
    return MadeVaultKey(**_told(made).model_dump(), recovery_key=phrase if given is None else None)


def _add_in_barbican(store: Store, record: ProviderRecord, opened: Vault, name: str, barbican: str) -> keys.VaultKey:
    in_project = keeper(store, record.project_id, barbican)
    keys.refuse_taken(opened, name)
    remove_abandoned(store, record.id, opened)
    id_ = str(uuid.uuid4())
    with new_secret(store, record.id, in_project, id_) as new:
        made = keys.add_key(opened, new.pass_phrase, name, id_=id_, kept=new.kept)
        try:
            new.settle()
        except BaseException:
            keys.remove_key(opened, id_)
            raise
    return made


@router.delete("/vaults/{vault}/keys/{key}", status_code=204)
def remove_key(  # noqa: PLR0917
    vault: _TheOwnVault,
    key: str,
    store: TheStore,
    clouds: TheClouds,
    barbican: str | None = None,
    keep_secret: bool = False,
) -> None:
    """Remove a key by its id or name: it opens the vault no longer, unless somebody has copied that before.

    What was made for it in a key manager goes first: with the provider that has made it there, the one by which the
    vault is opened, or `barbican`. With `keep_secret` it stays.
    """
    with clouds.vault(vault.id, "write") as opened:
        found = keys.removable_key(opened, key)
        if found.kept is not None and keep_secret:
            forget_secret(store, vault.id, found.id)
        elif found.kept is not None:
            remove_secret(store, vault.id, _keeper_of(store, vault, found.id, barbican), found.id)
        keys.remove_key(opened, found.id)


def _keeper_of(store: Store, vault: ProviderRecord, key_id: str, named: str | None) -> ProviderRecord:
    """Return the provider by which a key's secret is removed. Raises InvalidInput when nothing says which."""
    holding = store.provider_ledger.keys(vault.id).get(key_id)
    known = named or (holding.keeper_id if holding else None) or keeper_in(vault.kind, vault.settings)
    if known is None:
        raise InvalidInput(
            "What opens this key is in Barbican, and nothing here says by which provider it is removed there.",
            advice="Name that (--barbican PROVIDER), or leave the secret there (--keep-secret).",
        )
    return keeper(store, vault.project_id, known)


def _told(key: keys.VaultKey) -> VaultKey:
    made_at = without_zone(key.made_at) if key.made_at else None
    kept = InBarbican(**asdict(key.kept)) if key.kept else None
    return VaultKey(id=key.id, name=key.name, made_at=made_at, opens=key.opens, kept=kept)
