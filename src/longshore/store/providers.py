"""The clouds that were added, and their secrets."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from longshore.errors import Conflict, NotFound
from longshore.store.database import Database, through_outages
from longshore.store.secrets import SecretBox
from longshore.store.tables import MigrationRow, ProviderRow, SecretRow


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    id: str
    name: str
    kind: str
    settings: dict[str, Any]
    created_at: datetime


@through_outages
class Providers:
    def __init__(self, database: Database, box: SecretBox) -> None:
        self._database = database
        self._box = box

    def add(self, name: str, kind: str, settings: dict[str, Any], secrets: dict[str, str]) -> ProviderRecord:
        """Raises Conflict when the name is taken."""
        with self._database.session() as session:
            if session.scalar(select(ProviderRow.id).where(ProviderRow.name == name)):
                raise Conflict(f"A provider named {name} is there already.", advice="Choose another name or remove it.")
            row = ProviderRow(id=str(uuid.uuid4()), name=name, kind=kind, settings=settings)
            session.add(row)
            session.flush()
            for key, value in secrets.items():
                sealed = self._box.seal(value, owner=f"{row.id}/{key}")
                session.add(SecretRow(provider_id=row.id, name=key, sealed=sealed))
            return _record(row)

    def all(self) -> list[ProviderRecord]:
        with self._database.session() as session:
            return [_record(row) for row in session.scalars(select(ProviderRow).order_by(ProviderRow.name))]

    def get(self, name_or_id: str) -> ProviderRecord:
        """Raises NotFound."""
        with self._database.session() as session:
            return _record(_find(session, name_or_id))

    def secrets(self, provider_id: str) -> dict[str, str]:
        """In clear: hand them to the cloud's client and nowhere else."""
        with self._database.session() as session:
            rows = session.scalars(select(SecretRow).where(SecretRow.provider_id == provider_id))
            return {row.name: self._box.open(row.sealed, owner=f"{provider_id}/{row.name}") for row in rows}

    def remove(self, name_or_id: str) -> None:
        """Raises NotFound, or Conflict while a migration's record still names it."""
        with self._database.session() as session:
            row = _find(session, name_or_id)
            used = select(MigrationRow.id).where(
                (MigrationRow.source_id == row.id) | (MigrationRow.target_id == row.id)
            )
            if migration := session.scalar(used.limit(1)):
                raise Conflict(
                    f"Provider {row.name} is used by migration {migration}.",
                    advice="Delete its migrations first: longshore migration delete ID.",
                )
            session.delete(row)


def _find(session: Session, name_or_id: str) -> ProviderRow:
    query = select(ProviderRow).where((ProviderRow.name == name_or_id) | (ProviderRow.id == name_or_id))
    row = session.scalar(query)
    if row is None:
        raise NotFound(f"There is no provider named {name_or_id}.", advice="See: longshore provider list.")
    return row


def _record(row: ProviderRow) -> ProviderRecord:
    return ProviderRecord(row.id, row.name, row.kind, row.settings, row.created_at)
