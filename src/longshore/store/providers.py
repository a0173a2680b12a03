"""The clouds that were added, and their secrets."""

import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select, true, update
from sqlalchemy.orm import Session

from longshore.errors import AccessDenied, Conflict, LongshoreError, NotFound, NotSharedAnyMore, Unreachable
from longshore.model.status import Status
from longshore.store.changes import tell_workers
from longshore.store.database import Database, persistent, through_outages
from longshore.store.jobs import forget_answers
from longshore.store.key_manager import KeyManager
from longshore.store.ledger import SETTLED
from longshore.store.part import EVERY_PROJECT, NamedPart, Scope
from longshore.store.quota import refuse_more
from longshore.store.rows import filled
from longshore.store.secrets import SecretBox, SecretsError
from longshore.store.tables import (
    LedgerRow,
    MigrationRow,
    ProviderLedgerRow,
    ProviderRow,
    SecretRow,
    ShareRow,
    utc_now,
)
from longshore.store.texts import Texts


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    id: str
    project_id: str
    name: str
    kind: str
    settings: dict[str, Any]
    created_at: datetime
    last_check: dict[str, Any] | None = None  # at (UTC), found, error, code


@through_outages
class Providers(NamedPart[ProviderRow]):
    """Providers of a project, and those that were shared with it."""

    _rows = ProviderRow

    def __init__(self, database: Database, box: SecretBox, keys: KeyManager, texts: Texts) -> None:
        super().__init__(database)
        self._box = box
        self._keys = keys
        self._texts = texts

    def refuse_taken(self, name: str) -> None:
        """Raise Conflict when a provider of the project is called so, or the project has as many as it may."""
        with self._database.session() as session:
            refuse_more(session, self._scope, ProviderRow)
            self._unique(session, name)

    def add(
        self,
        name: str,
        kind: str,
        settings: dict[str, Any],
        secrets: dict[str, str],
        *,
        provider_id: str | None = None,  # where something was made for it already
    ) -> ProviderRecord:
        """Add a provider.

        Raises Conflict when the name is taken or the project has as many as it may, or whatever the key manager says
        when secrets go there.
        """
        id_ = provider_id or str(uuid.uuid4())
        self.refuse_taken(name)
        elsewhere = bool(secrets) and self._keys.is_for_new()
        if elsewhere:
            self._keys.keep(id_, secrets)
        try:
            return self._add(id_, name, kind, settings, {} if elsewhere else secrets)
        except Unreachable:  # it may have been added: if not, its secrets count as abandoned
            raise
        except BaseException:
            if elsewhere:
                with suppress(LongshoreError):  # what can't be taken back now is in the ledger
                    self._keys.forget(id_)
            raise

    @persistent
    def _add(self, id_: str, name: str, kind: str, settings: dict[str, Any], secrets: dict[str, str]) -> ProviderRecord:
        with self._database.alone() as session:  # not while keys are changed: see change_key
            if (there := session.get(ProviderRow, id_)) is not None:
                return filled(ProviderRecord, there)
            refuse_more(session, self._scope, ProviderRow)
            row = ProviderRow(
                id=id_,
                project_id=self._scope.project_id,
                name=name,
                unique_name=self._unique(session, name),
                kind=kind,
                settings=settings,
            )
            session.add(row)
            session.flush()
            self._seal(session, row.id, secrets)
            return filled(ProviderRecord, row)

    def _seal(self, session: Session, provider_id: str, secrets: Mapping[str, str]) -> None:
        for key, value in secrets.items():
            sealed = self._box.seal(value, owner=f"{provider_id}/{key}")
            session.add(SecretRow(provider_id=provider_id, name=key, sealed=sealed))

    def change(self, provider_id: str, settings: dict[str, Any], secrets: dict[str, str] | None) -> ProviderRecord:
        """Set the settings of a provider, and its secrets; None: they stay.

        Raises NotFound, AccessDenied, or what the key manager says when it has them.
        """
        self.own(provider_id)
        elsewhere = secrets is not None and self._keys.replace(provider_id, secrets)
        with self._database.alone() as session:  # not while keys are changed: see change_key
            row = self._find_own(session, provider_id)
            row.settings = settings
            if secrets is not None and not elsewhere:
                session.execute(delete(SecretRow).where(SecretRow.provider_id == row.id))
                self._seal(session, row.id, secrets)
            session.flush()
            tell_workers(session)  # of the labels that it asks for
            return filled(ProviderRecord, row)

    def note_check(self, provider_id: str, found: Mapping[str, str], error: LongshoreError | None = None) -> None:
        """Keep the result of logging in there just now: the facts found, or the error."""
        code = error.code if error is not None else None
        said = {"at": utc_now().isoformat(), "found": dict(found), "error": str(error) if error else None, "code": code}
        with self._database.session() as session:
            session.execute(update(ProviderRow).where(ProviderRow.id == provider_id).values(last_check=said))

    def refuse_at_work(self, provider_id: str) -> None:
        """Raise Conflict while a migration is under way at a provider, or anything that one has made is left there."""
        with self._database.session() as session:
            sides = (MigrationRow.source_id == provider_id) | (MigrationRow.target_id == provider_id)
            ended = [status.value for status in Status if status.kept and status.ended]
            left = select(LedgerRow.migration_id).where(
                LedgerRow.provider_id == provider_id, LedgerRow.state.not_in(SETTLED)
            )
            busy = MigrationRow.status.not_in(ended) | MigrationRow.id.in_(left)
            migration = session.scalar(select(MigrationRow).where(sides, busy).limit(1))
            if migration is None:
                return
            foreign = not self._scope.everything and migration.project_id != self._scope.project_id
            of = "of another project" if foreign else migration.id
            raise Conflict(
                f"Migration {of} is under way there, or has left something there: where the provider is has to stay.",
                advice="Let it end, and clean up after it; the rest of the provider can be changed at any time.",
            )

    def all(self) -> list[ProviderRecord]:
        with self._database.session() as session:
            return [filled(ProviderRecord, row) for row in session.scalars(self._listed())]

    def labels(self) -> dict[str, frozenset[str]]:
        """Return the labels that a worker needs to reach a provider, by the ids of those that ask for any."""
        with self._database.session() as session:
            rows = session.execute(select(ProviderRow.id, ProviderRow.settings))
            return {row.id: frozenset(row.settings["labels"]) for row in rows if row.settings.get("labels")}

    def get(self, name_or_id: str) -> ProviderRecord:
        """Return a provider. Raises NotFound, or Conflict when others share several of this name."""
        with self._database.session() as session:
            return filled(ProviderRecord, self._find(session, name_or_id))

    def own(self, name_or_id: str) -> ProviderRecord:
        """Return a provider as `get` does.

        Raises AccessDenied, too, when it belongs to another project, which only shares it.
        """
        with self._database.session() as session:
            return filled(ProviderRecord, self._find_own(session, name_or_id))

    def is_own(self, record: ProviderRecord) -> bool:
        """Tell whether the scope may see and change a provider's settings."""
        return self._scope.everything or record.project_id == self._scope.project_id

    def refuse_taken_back(self, provider_id: str) -> None:
        """Raise NotSharedAnyMore for a provider that a record of the scope's project names, and that it can't see."""
        used = (MigrationRow.source_id == provider_id) | (MigrationRow.target_id == provider_id)
        with self._database.session() as session:
            query = select(ProviderRow.name).where(ProviderRow.id == provider_id, ~self._visible())
            own = select(MigrationRow.id).where(used, MigrationRow.project_id == self._scope.project_id)
            if (name := session.scalar(query.where(own.exists()))) is not None:
                raise NotSharedAnyMore(name)

    def sees(self, provider_id: str) -> bool:
        """Tell whether the scope's project may use a provider now."""
        with self._database.session() as session:
            own = select(ProviderRow.id).where(ProviderRow.id == provider_id, self._visible())
            return session.scalar(own) is not None

    def secrets(self, provider_id: str) -> dict[str, str]:
        """Return a provider's secrets in clear: hand them to the cloud's client and nowhere else."""
        if self.sees(provider_id) and (values := self._keys.open(provider_id)) is not None:
            return values
        try:
            return self._opened(provider_id)
        except SecretsError:  # the key may have been changed between reading the secrets and the key
            return self._opened(provider_id)

    def change_key(self) -> int:
        """Seal all secrets and texts in the database with a new key, and forget the others. Answers how many there are.

        Whoever reads meanwhile opens what is there. Broken off at any point, nothing is lost, and it can be run again.
        Raises Conflict while another one does this.
        """
        with self._box.changing():
            self._box.add_key()
            with self._database.alone() as session:
                rows = session.scalars(select(SecretRow)).all()
                for row in rows:
                    owner = f"{row.provider_id}/{row.name}"
                    row.sealed = self._box.seal(self._box.open(row.sealed, owner=owner), owner=owner)
                count = len(rows) + self._texts.seal_again(session)
            self._box.forget_old_keys()
            return count

    def _opened(self, provider_id: str) -> dict[str, str]:
        with self._database.session() as session:
            seen = select(ProviderRow.id).where(self._visible())
            rows = session.scalars(
                select(SecretRow).where(SecretRow.provider_id == provider_id, SecretRow.provider_id.in_(seen))
            )
            return {row.name: self._box.open(row.sealed, owner=f"{provider_id}/{row.name}") for row in rows}

    def unused(self, name_or_id: str) -> ProviderRecord:
        """Return a provider as `own` does. Raises Conflict, too, while a migration's record still names it."""
        with self._database.session() as session:
            row = self._find_own(session, name_or_id)
            self._refuse_used(session, row)
            return filled(ProviderRecord, row)

    def remove(self, name_or_id: str) -> None:
        """Remove a provider and its secrets.

        Raises NotFound, AccessDenied, or Conflict while a migration's record still names it; or whatever the key
        manager that has its secrets says: then the provider stays as it is.
        """
        id_ = self.unused(name_or_id).id
        self._keys.forget(id_)
        self._remove(id_)

    @persistent
    def _remove(self, id_: str) -> None:
        with self._database.session() as session:
            row = session.get(ProviderRow, id_)
            if row is not None:  # else by an earlier try, or somebody else a moment ago
                self._refuse_used(session, row)
                session.delete(row)
                # What opens a vault is the vault's, whoever has made it, and stays with it
                made_for_it = ProviderLedgerRow.provider_id == id_, ProviderLedgerRow.ref.is_not(None)
                session.execute(delete(ProviderLedgerRow).where(*made_for_it, ProviderLedgerRow.key_id.is_not(None)))

    # Sharing

    def share(self, name_or_id: str, project_id: str) -> None:
        """Let another project use it, or EVERY_PROJECT. Once more changes nothing. Raises NotFound, AccessDenied."""
        with self._database.session() as session:
            row = self._find_own(session, name_or_id)
            if session.get(ShareRow, (row.id, project_id)) is None:
                session.add(ShareRow(provider_id=row.id, project_id=project_id))

    def unshare(self, name_or_id: str, project_id: str) -> None:
        """Take a provider back from a project.

        Raises NotFound, also when it wasn't shared with that project; AccessDenied.
        """
        with self._database.session() as session:
            row = self._find_own(session, name_or_id)
            share = session.get(ShareRow, (row.id, project_id))
            if share is not None:
                session.delete(share)
            elif not self._database.may_be_done:
                raise NotFound(f"Provider {row.name} isn't shared with {project_id}.")

    def shares(self, name_or_id: str) -> list[str]:
        """Return the ids of the projects that may use a provider. Raises NotFound, AccessDenied."""
        with self._database.session() as session:
            row = self._find_own(session, name_or_id)
            shares = select(ShareRow.project_id).where(ShareRow.provider_id == row.id)
            return list(session.scalars(shares.order_by(ShareRow.project_id)))

    # Parts

    def _visible(self) -> ColumnElement[bool]:
        return visible_providers(self._scope)

    def _refuse_used(self, session: Session, row: ProviderRow) -> None:
        """Raise Conflict while the provider's key manager has what opens another one, or a record names it."""
        for other in session.scalars(select(ProviderRow).where(ProviderRow.project_id == row.project_id)):
            if other.settings.get("barbican") == row.id:
                raise Conflict(
                    f"The key manager of provider {row.name} has what opens {other.name}.",
                    advice=f"Have {other.name} opened otherwise (longshore provider set), or remove it, first.",
                )
        of_it = (MigrationRow.source_id == row.id) | (MigrationRow.target_id == row.id)
        forget_answers(session, of_it)
        used = select(MigrationRow).where(of_it)
        if migration := session.scalar(used.limit(1)):
            foreign = not self._scope.everything and migration.project_id != self._scope.project_id
            raise Conflict(
                f"Provider {row.name} is used by {'another project' if foreign else f'migration {migration.id}'}.",
                advice="Delete its migrations first: longshore migration delete ID.",
            )

    def _find_own(self, session: Session, name_or_id: str) -> ProviderRow:
        row = self._find(session, name_or_id)
        if not self._scope.everything and row.project_id != self._scope.project_id:
            raise AccessDenied(
                f"Provider {row.name} is another project's: it may be used, not looked into or changed.",
                advice="Ask who shares it.",
            )
        return row


def visible_providers(scope: Scope) -> ColumnElement[bool]:
    """Return the condition for providers of the scope's project, and those that are shared with it."""
    if scope.everything:
        return true()
    mine = scope.project_id
    shared = select(ShareRow.provider_id).where(ShareRow.project_id.in_((mine, EVERY_PROJECT)))
    return (ProviderRow.project_id == mine) | ProviderRow.id.in_(shared)


def refuse_taken_back(session: Session, scope: Scope, project_id: str, provider_ids: Iterable[str | None]) -> None:
    """Raise NotSharedAnyMore when that project doesn't see one of these providers (any more), whoever asks for it.

    What an engine does is never refused here: its jobs are judged when they open a provider, and wait.
    """
    if not scope.project_id:
        return
    wanted = {id_ for id_ in provider_ids if id_}
    seen = ProviderRow.id.in_(wanted), visible_providers(Scope(project_id))
    for id_ in sorted(wanted - set(session.scalars(select(ProviderRow.id).where(*seen)))):
        if (row := session.get(ProviderRow, id_)) is not None:  # what was removed is for whoever opens it to tell
            raise NotSharedAnyMore(row.name)


def project_for(session: Session, scope: Scope, provider_ids: Iterable[str | None]) -> str:
    """Return the project that a record between these providers belongs to, normally the scope's own.

    Where an administrator's project doesn't see all of them, the record belongs to the project whose providers they
    are: its jobs see what that project sees. Raises NotSharedAnyMore when neither sees all of them.
    """
    ids = {id_ for id_ in provider_ids if id_}
    try:
        refuse_taken_back(session, scope, scope.project_id, ids)
    except NotSharedAnyMore:
        owners = set(session.scalars(select(ProviderRow.project_id).where(ProviderRow.id.in_(ids))))
        if not scope.everything:
            raise
        for project_id in sorted(owners - {scope.project_id}):
            try:
                refuse_taken_back(session, scope, project_id, ids)
            except NotSharedAnyMore:
                continue
            return project_id
        raise
    return scope.project_id
