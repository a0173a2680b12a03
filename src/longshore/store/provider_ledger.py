"""The ledger of things made outside for a provider itself: its secret in the key manager, its application credential.

Each is written down before it exists, and struck out when it is gone. Each carries a name that is made of the
provider's id, so whatever happened between writing it down and learning its id, it can be found again. The id is chosen
before the provider is kept, and an entry outlives a provider that never came to be.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, delete, func, select, update

from longshore.store.database import through_outages
from longshore.store.part import StorePart
from longshore.store.rows import filled
from longshore.store.tables import ProviderLedgerRow, ProviderRow, utc_now

_ABANDONED = timedelta(minutes=15)  # so long after it was written whoever was adding the provider is done, or dead


class Outside(StrEnum):
    SECRET = "secret"  # noqa: S105 a kind of thing
    APPLICATION_CREDENTIAL = "application-credential"
    VAULT_KEY = "vault-key"  # what opens a vault, which is the provider


@dataclass(frozen=True, slots=True)
class Holding:
    id: int
    provider_id: str
    kind: Outside
    user_id: str  # whose it is: empty for the server's own
    ref: str | None  # its id outside, once known; of a vault's key, once that is in the vault
    keeper_id: str | None = None  # the provider in whose cloud a vault's key is
    key_id: str | None = None  # of that, in the vault

    @property
    def name(self) -> str:
        return secret_name(self.key_id) if self.key_id else f"longshore-{self.provider_id}"


def secret_name(key_id: str) -> str:
    """Return the name in Barbican of the secret that opens a vault's key, whichever installation has made it."""
    return f"longshore-vault-key-{key_id}"


@through_outages
class ProviderLedger(StorePart):
    def intend(self, provider_id: str, kind: Outside, user_id: str = "") -> Holding:
        """Write down that it is about to be made. The same again answers what is there."""
        own = ProviderLedgerRow.provider_id == provider_id, ProviderLedgerRow.kind == kind.value
        return self._intend(*own, provider_id=provider_id, kind=kind.value, user_id=user_id)

    def intend_key(self, vault_id: str, keeper_id: str, key_id: str) -> Holding:
        """Write down the secret that is to open a vault by the key of this id, as `intend` does for other things."""
        kind, own = Outside.VAULT_KEY.value, ProviderLedgerRow.key_id == key_id
        return self._intend(own, provider_id=vault_id, kind=kind, keeper_id=keeper_id, key_id=key_id)

    def _intend(self, *own: ColumnElement[bool], **columns: str) -> Holding:
        with self._database.session() as session:
            row = session.scalar(select(ProviderLedgerRow).where(*own))
            if row is None:
                row = ProviderLedgerRow(**columns)
                session.add(row)
                session.flush()
            return filled(Holding, row)

    def made(self, holding: Holding, ref: str) -> bool:
        """Keep the id of a thing that was made, and tell whether it was still written down.

        If it wasn't, somebody has taken its maker for dead, and removed it.
        """
        with self._database.session() as session:
            of_it = update(ProviderLedgerRow).where(ProviderLedgerRow.id == holding.id)
            return bool(session.execute(of_it.values(ref=ref)).rowcount)  # type: ignore[attr-defined]

    def gone(self, holding: Holding) -> None:
        with self._database.session() as session:
            session.execute(delete(ProviderLedgerRow).where(ProviderLedgerRow.id == holding.id))

    def find(self, provider_id: str, kind: Outside) -> Holding | None:
        with self._database.session() as session:
            own = ProviderLedgerRow.provider_id == provider_id, ProviderLedgerRow.kind == kind.value
            row = session.scalar(select(ProviderLedgerRow).where(*own))
            return filled(Holding, row) if row else None

    def keys(self, vault_id: str) -> dict[str, Holding]:
        """Return the secrets that were made here to open a vault, by the id of their key."""
        with self._database.session() as session:
            own = ProviderLedgerRow.provider_id == vault_id, ProviderLedgerRow.key_id.is_not(None)
            return {
                str(row.key_id): filled(Holding, row) for row in session.scalars(select(ProviderLedgerRow).where(*own))
            }

    def abandoned_keys(self, vault_id: str) -> list[Holding]:
        """Return the secrets for keys that aren't known to be in the vault, and whose maker is done or dead."""
        with self._database.session() as session:
            query = select(ProviderLedgerRow).where(
                ProviderLedgerRow.provider_id == vault_id,
                ProviderLedgerRow.key_id.is_not(None),
                ProviderLedgerRow.ref.is_(None),
                ProviderLedgerRow.written_at < utc_now() - _ABANDONED,
            )
            return [filled(Holding, row) for row in session.scalars(query.order_by(ProviderLedgerRow.id))]

    def count(self, kind: Outside) -> int:
        with self._database.session() as session:
            query = select(func.count()).select_from(ProviderLedgerRow).where(ProviderLedgerRow.kind == kind.value)
            return session.scalar(query) or 0

    def abandoned(self) -> list[Holding]:
        """Return the things made for providers that were never kept, as when a process dies while it adds one.

        Secrets that open a key that is in a vault are left out: the vault may be added again.
        """
        with self._database.session() as session:
            query = select(ProviderLedgerRow).where(
                ProviderLedgerRow.provider_id.not_in(select(ProviderRow.id)),
                ProviderLedgerRow.key_id.is_(None) | ProviderLedgerRow.ref.is_(None),
                ProviderLedgerRow.written_at < utc_now() - _ABANDONED,
            )
            return [filled(Holding, row) for row in session.scalars(query.order_by(ProviderLedgerRow.id))]
