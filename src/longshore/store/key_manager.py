"""Secrets of providers that are in Barbican rather than in the database: which they are, and what becomes of them."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from longshore.configuration import SecretsIn
from longshore.errors import LongshoreError
from longshore.store.barbican import Barbican
from longshore.store.provider_ledger import Holding, Outside, ProviderLedger
from longshore.store.secrets import SecretsError


@dataclass
class KeyManager:
    """Secrets of providers in Barbican."""

    _ledger: ProviderLedger
    _barbican: Barbican | None  # None: the configuration doesn't say as whom to ask it
    _choice: SecretsIn

    def is_for_new(self) -> bool:
        """Tell whether the secrets of a new provider go to the key manager.

        Raises Unreachable when that can't be known.
        """
        if self._barbican is None or self._choice == "database":
            return False
        return self._choice == "barbican" or self._barbican.offered()

    def keep(self, provider_id: str, values: Mapping[str, str]) -> None:
        """Keep the secrets of a provider in the key manager. What was begun is taken back when that fails."""
        barbican = self._asked()
        holding = self._ledger.intend(provider_id, Outside.SECRET)
        try:
            self._ledger.made(holding, barbican.keep(holding.name, _written(values), private=True))
        except BaseException:
            with suppress(LongshoreError):  # what can't be taken back now is in the ledger
                self.remove(holding)
            raise

    def replace(self, provider_id: str, values: Mapping[str, str]) -> bool:
        """Put these secrets in place of those that a provider has there, and tell whether it had any.

        The earlier ones are removed only once these are kept.
        """
        holding = self._ledger.find(provider_id, Outside.SECRET)
        if holding is None or holding.ref is None:
            return False
        barbican = self._asked()
        self._ledger.made(holding, barbican.add(holding.name, _written(values), private=True))
        with suppress(LongshoreError):  # it opens nothing any more, and goes with the provider
            barbican.remove(holding.ref)
        return True

    def open(self, provider_id: str) -> dict[str, str] | None:
        """Return a provider's secrets in clear; None when they aren't in the key manager."""
        holding = self._ledger.find(provider_id, Outside.SECRET)
        if holding is None or holding.ref is None:
            return None
        values: dict[str, str] = json.loads(self._asked().open(holding.ref))
        return values

    def forget(self, provider_id: str) -> None:
        """Remove the secrets of a provider, if they are there."""
        holding = self._ledger.find(provider_id, Outside.SECRET)
        if holding is not None:
            self.remove(holding)

    def remove(self, holding: Holding) -> None:
        """Remove a secret by the id that the ledger knows, and by name: an interrupted change may have left another."""
        if holding.ref:
            self._asked().remove(holding.ref)
        self._asked().remove_named(holding.name)
        self._ledger.gone(holding)

    def _asked(self) -> Barbican:
        if self._barbican is None:
            raise SecretsError(
                "The provider's secrets are in Barbican, and the configuration here doesn't say as whom to ask it.",
                advice="It needs the section [server.keystone] that the server's has.",
            )
        return self._barbican


def _written(values: Mapping[str, str]) -> bytes:
    return json.dumps(dict(values)).encode()
