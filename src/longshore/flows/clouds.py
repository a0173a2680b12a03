"""Clouds, opened from the records of their providers."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from copy import copy
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from longshore.engine.outages import PASSING, Outages
from longshore.errors import InvalidInput, LongshoreError, NotFound, NotSharedAnyMore
from longshore.flows.discretion import Discretion
from longshore.flows.relays import relays_of
from longshore.model.platform import Side
from longshore.processes.deadline import check as check_deadline
from longshore.providers.contract import KeptSecrets, Provider, Source, Target, VaultAccess
from longshore.providers.registry import asks_relays, connect, keeper_in, kinds_for
from longshore.store import WHOLE, ProviderRecord, Scope, Store
from longshore.store.secrets import SecretsError

if TYPE_CHECKING:  # most commands ask no vault, and what one takes needn't be loaded for them
    from longshore.vault.makers import User
    from longshore.vault.store import Store as Place
    from longshore.vault.vault import Use, Vault


def within_reach(store: Store, project_id: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a provider's settings with the limits that `connect` needs: where this project's providers may lead."""
    reach = store.state.reach.limits(project_id, settings)
    if reach is not None:
        reach = replace(reach, whose=project_id, scratch=str(store.state.scratch))
    return {**settings, "reach": reach}


class _Asking:
    """A cloud's client that asks, right before each call, whether this process may still change anything.

    So no flow can forget it. A process that may not is ended on the spot. With `outages`, a cloud that doesn't answer
    is asked again.
    """

    def __init__(
        self, cloud: Provider, name: str, outages: Outages | None, discretion: Discretion | None = None
    ) -> None:
        self._cloud = cloud
        self._name = name
        self._outages = outages
        self._discretion = discretion

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._cloud, name)
        if not callable(found):
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            def ask() -> Any:
                check_deadline()
                return found(*args, **kwargs)

            if self._outages is None:
                return self._discreetly(ask)
            answer = self._through(ask)
            return _Opening(answer, ask, self._through) if isinstance(answer, AbstractContextManager) else answer

        return call

    def _through(self, work: Callable[[], Any]) -> Any:
        assert self._outages is not None
        return self._outages.through(self._name, lambda: self._discreetly(work))

    def _discreetly(self, work: Callable[[], Any]) -> Any:
        return work() if self._discretion is None else self._discretion.about(work)


class _Opening(AbstractContextManager[Any]):
    """A disk or volume that a cloud opens: it asks the cloud only when it is entered, and once more when it is left."""

    def __init__(
        self, first: AbstractContextManager[Any], again: Callable[[], Any], through: Callable[..., Any]
    ) -> None:
        self._next: AbstractContextManager[Any] | None = first
        self._again = again
        self._through = through
        self._opened = ExitStack()

    def __enter__(self) -> Any:
        return self._through(lambda: self._opened.enter_context(self._opening()))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return self._opened.__exit__(kind, error, traceback)
        except LongshoreError as failure:
            if failure is error or failure.code not in PASSING:
                raise
            # What was done with it is done; whoever opens it takes away what an earlier opening left
            self._through(self._open_and_close)
            return None

    def _open_and_close(self) -> None:
        with self._opening():
            pass

    def _opening(self) -> AbstractContextManager[Any]:
        opening, self._next = self._next or self._again(), None
        return opening


class Clouds:
    """Opens providers by name or id; each use has a session of its own, ended with the block.

    With `outages`, a cloud that doesn't answer is waited for. `project_id`: of a job whose store has everything; it
    opens what its project may use at that moment, and that project is told what is said. An empty one is of whoever has
    the state directory, and may use everything. None: whoever asks sees what the store's scope does.
    """

    def __init__(self, store: Store, outages: Outages | None = None, *, project_id: str | None = None) -> None:
        self._store = store
        self._outages = outages
        self._project_id = project_id
        self._only_putting_back = False

    def to_put_back(self) -> "Clouds":
        """Return these clouds for putting back what was made or stopped: they open a provider whoever may
        use it now."""
        others, scope = copy(self), self._store.scope
        others._only_putting_back = True
        if self._project_id is None and not scope.everything:
            others._project_id = scope.project_id
        others._store = self._store.scoped(WHOLE)
        return others

    def refuse_taken_back(self, name_or_id: str) -> ProviderRecord:
        """Return the provider's record, if it may be opened; no other function decides that.

        Raise NotFound when there is none, NotSharedAnyMore where a job's project may not use it any more.
        """
        try:
            record = self._store.providers.get(name_or_id)
        except NotFound:
            self._store.providers.refuse_taken_back(name_or_id)
            raise
        judged = bool(self._project_id) and not self._only_putting_back
        if judged and not self._store.providers.scoped(Scope(self._project_id or "")).sees(record.id):
            raise NotSharedAnyMore(record.name)
        return record

    def provider(self, name_or_id: str, side: Side | None = None) -> AbstractContextManager[Provider]:
        """Open a provider until the block ends.

        Raise NotFound when there is none, NotSharedAnyMore where a job's project may not use it any more.
        """
        return self._opened(self.refuse_taken_back(name_or_id), side)

    @contextmanager
    def _opened(self, record: ProviderRecord, side: Side | None) -> Iterator[Any]:
        """Open a provider until the block ends. It has the roles of its kind, which the record says."""
        secrets = self._secrets(record)
        relays = relays_of(self._store, record) if asks_relays(record.kind, record.settings) else None
        settings = within_reach(self._store, record.project_id, record.settings)
        discretion = self._discretion(record)
        kept = kept_secrets(self._store, record.project_id, record.kind, record.settings, told=discretion is None)
        cloud = connect(record.kind, settings, secrets, side, relays, **kept)
        if record.kind in kinds_for("vault"):
            cast("VaultAccess", cloud).open_for(self._user_of(record))
        try:
            yield _Asking(cloud, record.name, self._outages, discretion)
        except LongshoreError as error:  # of what it opened or listed, when that was used
            if discretion is None:
                raise
            raise discretion.error(error) from None
        finally:
            cloud.close()

    def sees_all_of(self, record: ProviderRecord) -> bool:
        """Tell whether everything in a provider is visible to this project. In a vault that others share it isn't:
        there each project sees its own points."""
        return record.kind not in kinds_for("vault") or self._user_of(record).owns

    def refuse_unless_owner(self, vault: ProviderRecord, what: str) -> None:
        """Raise AccessDenied unless this project owns the vault. `what`: an act that only the owner may do, as in
        "prunes it"."""
        self._user_of(vault).refuse_unless_owner(what)

    def _user_of(self, record: ProviderRecord) -> "User":
        """Return the user for whom a vault is opened."""
        from longshore.vault.makers import User  # what vaults take needn't be loaded for the others

        scope = self._store.scope if self._project_id is None else Scope(self._project_id, not self._project_id)
        makers = self._store.makers

        def seal(project_id: str, beside: str) -> str:
            return b64encode(makers.seal(project_id, owner=beside)).decode()

        def unseal(sealed: str, beside: str) -> str | None:
            with suppress(SecretsError, ValueError):
                return makers.open(b64decode(sealed, validate=True), owner=beside)
            return None

        return User(scope.project_id, scope.everything or record.project_id == scope.project_id, seal, unseal)

    def _discretion(self, record: ProviderRecord) -> Discretion | None:
        """Return the filter for what is said of a provider; None if the reader may see its settings anyway."""
        theirs = record.project_id == self._project_id
        if theirs if self._project_id is not None else self._store.providers.is_own(record):
            return None
        return Discretion(record.name, record.settings)

    def _secrets(self, record: ProviderRecord) -> dict[str, str]:
        def read() -> dict[str, str]:
            return self._store.providers.secrets(record.id)

        return self._outages.through("Barbican", read) if self._outages else read()

    def source(self, name_or_id: str) -> AbstractContextManager[Source]:
        """Open a source until the block ends. Raise InvalidInput if no machines can be taken from this
        kind of cloud."""
        return self._side(name_or_id, "source", "taken from")

    def target(self, name_or_id: str) -> AbstractContextManager[Target]:
        """Open a target until the block ends. Raise InvalidInput if no machines can be moved to this kind of cloud."""
        return self._side(name_or_id, "target", "moved to")

    def _side(self, name_or_id: str, side: Side, verb: str) -> AbstractContextManager[Any]:
        record = self.refuse_taken_back(name_or_id)
        if record.kind not in kinds_for(side):
            raise InvalidInput(
                f"Provider {record.name} is {record.kind}: machines can't be {verb} it yet.",
                advice=f"Name one of the kind {' or '.join(kinds_for(side))}.",
            )
        return self._opened(record, side)

    @contextmanager
    def vault(self, name_or_id: str, use: "Use") -> Iterator["Vault"]:
        """Open a vault until the block ends. Raise NotFound when there is none, InvalidInput for a provider that isn't
        a vault."""
        with self._vault(name_or_id) as cloud:
            yield cloud.open_vault(use)

    @contextmanager
    def vault_store(self, name_or_id: str) -> Iterator["Place"]:
        """Open the place of a vault's objects until the block ends; the vault itself needn't be readable.

        Raise NotFound when there is none, InvalidInput for a provider that isn't a vault, AccessDenied for another
        project's.
        """
        with self._vault(name_or_id) as cloud:
            yield cloud.open_store()

    def _vault(self, name_or_id: str) -> AbstractContextManager[VaultAccess]:
        record = vault_record(self._store, name_or_id)
        return self._opened(self.refuse_taken_back(record.id), "vault")


def vault_record(store: Store, name_or_id: str) -> ProviderRecord:
    """Return the record of a vault. Raise NotFound if there is none, InvalidInput for a provider that isn't one."""
    listing = "See: longshore vault list."
    try:
        record = store.providers.get(name_or_id)
    except NotFound:
        raise NotFound(f"There is no vault named {name_or_id}.", advice=listing) from None
    if record.kind not in kinds_for("vault"):
        raise InvalidInput(f"Provider {record.name} is {record.kind}, no vault.", advice=listing)
    return record


def kept_secrets(
    store: Store, project_id: str, kind: str, settings: Mapping[str, Any], *, told: bool = True
) -> dict[str, KeptSecrets]:
    """Return the argument of `connect` by which a provider reads secrets from its project's key manager, if it needs
    any.

    `told`: whoever hears of errors may see the settings of that project's providers.
    """
    if (keeper_id := keeper_in(kind, settings)) is None:
        return {}
    from longshore.flows.kept_secrets import SecretsInProject  # what vaults take needn't be loaded for the others

    return {"kept": SecretsInProject(store, project_id, keeper_id, told)}
