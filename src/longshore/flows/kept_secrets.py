"""Secrets that open vaults, in the key manager of a project that is added as a provider.

One is written down before it exists, in the ledger of its vault. From when the vault's key says where it is, the vault
is what tells of it, to every installation, and the ledger only that it was made here.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from longshore.errors import Conflict, InvalidInput, LongshoreError
from longshore.flows.discretion import Discretion
from longshore.model.forms import form
from longshore.providers.registry import provider_type
from longshore.store import WHOLE, Holding, ProviderRecord, Scope, Store, secret_name
from longshore.store.barbican import Asker, Barbican
from longshore.vault.keys import keys_of, new_recovery_key
from longshore.vault.sealing import InBarbican
from longshore.vault.vault import Vault

_open: dict[str, tuple[dict[str, Any], dict[str, str], Barbican]] = {}  # by provider, with what each logs in by
_lock = threading.Lock()


def keeper(store: Store, project_id: str, name_or_id: str) -> ProviderRecord:
    """Return the record of an OpenStack that the project has itself. Raise NotFound when there is none, AccessDenied
    for another project's, InvalidInput for a provider without a key manager."""
    record = store.scoped(Scope(project_id)).providers.own(name_or_id)
    if not provider_type(record.kind).keystone:
        raise InvalidInput(
            f"Provider {record.name} is {record.kind}: it has no key manager.",
            advice="Name an OpenStack in whose project the secret is to be.",
            field="barbican",
        )
    return record


@dataclass(frozen=True, slots=True)
class SecretsInProject:
    """Secrets in the key manager of a project's provider, as `KeptSecrets` asks for them."""

    _store: Store
    _project_id: str
    _keeper_id: str
    _told: bool  # whoever hears of errors may see the settings of that project's providers

    def open(self, secret_id: str) -> str:
        record = keeper(self._store, self._project_id, self._keeper_id)
        if self._told:
            return barbican_of(self._store, record).open(secret_id)
        opening = Discretion(record.name, record.settings)
        return opening.about(lambda: barbican_of(self._store, record).open(secret_id))


def barbican_of(store: Store, record: ProviderRecord) -> Barbican:
    """Return the key manager of a provider's project.

    This process has one for each provider, and makes another when the provider's settings or secrets have changed.
    """
    owner = store.scoped(Scope(record.project_id))
    secrets = owner.providers.secrets(record.id)
    with _lock:
        known = _open.get(record.id)
        if known is None or known[:2] != (record.settings, secrets):
            known = _open[record.id] = record.settings, secrets, Barbican(_asker(store, record, secrets))
        return known[2]


def _asker(store: Store, record: ProviderRecord, secrets: dict[str, str]) -> Asker:
    from longshore.providers.openstack.connection import OpenstackSettings, connect

    reach = store.state.reach.limits(record.project_id, record.settings)
    settings = form(OpenstackSettings).validate_python({**record.settings, "reach": reach})
    return Asker(
        lambda: connect(settings, secrets).session,
        settings.interface,
        settings.region,
        who=f"The user of provider {record.name}",
        when_denied="It needs a role by which it may make and read secrets (creator), and the secret's own rules may "
        "not stand against it.",
        when_none=_none_at(record),
        when_gone="Have the vault opened by a pass phrase or its recovery key: longshore provider set NAME "
        "--barbican '' --pass-phrase-file FILE.",
    )


def _none_at(record: ProviderRecord) -> tuple[str, str]:
    return (
        f"The catalogue of provider {record.name} has no key manager.",
        "Name an OpenStack that has Barbican, or use a pass phrase.",
    )


@dataclass(slots=True)
class NewSecret:
    """A secret in a key manager that is to open a vault by a new key."""

    pass_phrase: str
    kept: InBarbican
    _store: Store
    _holding: Holding

    def settle(self) -> None:
        """Note that the vault says by now where the secret is. Raise Conflict when it was removed meanwhile."""
        if not self._store.provider_ledger.made(self._holding, self.kept.secret):
            raise Conflict("This took so long that its secret was removed.", advice="Try again.")


@contextmanager
def new_secret(store: Store, vault_id: str, record: ProviderRecord, key_id: str) -> Iterator[NewSecret]:
    """Make the secret for the key of this id, in the key manager of this provider's project.

    It is in the ledger before it exists, and is removed when the block raises. `vault_id`: the vault's as a provider,
    which may not be there yet.

    Raise InvalidInput where there is no key manager, Unreachable, AccessDenied, ProviderError.
    """
    barbican = barbican_of(store, record)
    project_id = barbican.project_id()
    if not barbican.offered():
        said, advice = _none_at(record)
        raise InvalidInput(said, advice=advice, field="barbican")
    holding = store.provider_ledger.intend_key(vault_id, record.id, key_id)
    try:
        phrase = new_recovery_key()
        ref = barbican.keep(holding.name, phrase, private=False)
        url = str(record.settings.get("auth", {}).get("auth_url", ""))
        yield NewSecret(phrase, InBarbican(ref, url, record.settings.get("region") or "", project_id), store, holding)
    except BaseException:
        with suppress(LongshoreError):  # what can't be taken back now is in the ledger
            _take_back(store, barbican, holding)
        raise


def remove_secret(store: Store, vault_id: str, record: ProviderRecord, key_id: str) -> None:
    """Remove the secret that opens the key of this id, and forget it.

    It is found by its name, whoever has made it; there may be none. Raise what the key manager answers.
    """
    barbican_of(store, record).remove_named(secret_name(key_id))
    forget_secret(store, vault_id, key_id)


def forget_secret(store: Store, vault_id: str, key_id: str) -> None:
    """Forget the secret of this key here, without removing it from the key manager."""
    if holding := store.provider_ledger.keys(vault_id).get(key_id):
        store.provider_ledger.gone(holding)


def remove_abandoned(store: Store, vault_id: str, vault: Vault) -> None:
    """Remove the secrets of keys that never came to be, as when a process dies while it adds one.

    One whose key is in the vault after all is noted as made. Raise what Barbican answers.
    """
    abandoned = store.provider_ledger.abandoned_keys(vault_id)
    there = {key.id: key.kept for key in keys_of(vault)} if abandoned else {}
    for holding in abandoned:
        if kept := there.get(holding.key_id or ""):
            store.provider_ledger.made(holding, kept.secret)
        else:
            remove_holding(store, holding)


def remove_holding(store: Store, holding: Holding) -> None:
    """Remove a secret whose key isn't in a vault. Raise NotFound when the provider is gone in whose project it is."""
    record = store.scoped(WHOLE).providers.get(holding.keeper_id or "")
    _take_back(store, barbican_of(store, record), holding)


def _take_back(store: Store, barbican: Barbican, holding: Holding) -> None:
    barbican.remove_named(holding.name)
    store.provider_ledger.gone(holding)
