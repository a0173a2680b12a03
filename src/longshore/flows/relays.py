"""The relays of this process, through which volumes are opened where a provider asks for that.

They outlive the sessions of single transfers and are shared between migrations. Each is in the ledger of the migration
that it was booted for, with the process that has it as its parent, and is removed after a quiet time, or when that
process ends. Of those whose process is dead nobody has the key: they are removed by whoever comes next. Those of a
provider that is changed meanwhile are used and removed by the settings that they were booted with.

Where a provider attaches disks to a server that is there, all of that is so of what is attached.
"""

import threading
from dataclasses import dataclass
from typing import Any

from longshore.engine.lock import is_locked
from longshore.model.target import Owner
from longshore.providers.contract import Relays
from longshore.providers.registry import asks_relays, open_relays, provider_type
from longshore.store import EntryState, LedgerRecord, ProviderRecord, Store, ThingKind


@dataclass(frozen=True, slots=True)
class _Opened:
    """A pool of relays, with the settings and secrets that it was opened with, and what it writes to."""

    relays: Relays
    said: tuple[dict[str, Any], dict[str, str]]
    ledger: "_Written"


_pools: dict[str, _Opened] = {}  # by the id of their provider
_earlier: list[_Opened] = []  # of providers that were changed since
_lock = threading.Lock()
_holder = ""  # this process, among those that have migrations at work


def relays_of(store: Store, record: ProviderRecord) -> Relays:
    """Return this process's pool of relays for a provider; a new one when its settings or secrets have changed."""
    said = dict(record.settings), store.providers.secrets(record.id)
    with _lock:
        if record.id in _pools and _pools[record.id].said != said:  # it was changed; who uses the earlier one goes on
            _supersede(record.id)
        if record.id not in _pools:
            reach = store.state.reach.limits(record.project_id, record.settings)
            settings, ledger = {**said[0], "reach": reach}, _Written(store, record.id, _kind_of(record))
            pool = open_relays(record.kind, settings, said[1], ledger)
            _pools[record.id] = _Opened(pool, said, ledger)
        return _pools[record.id].relays


def _supersede(provider_id: str) -> None:
    """Open no more relays from this provider's pool. It keeps those that it has, until they are quiet."""
    earlier = _pools.pop(provider_id)
    earlier.ledger.superseded = True
    _earlier.append(earlier)


def hold_relays_as(process_id: str) -> None:
    """Set the id under which this process holds relays. By it others know whether the process lives."""
    global _holder  # noqa: PLW0603 one process is one holder
    _holder = process_id


def held_by_another(store: Store, entry: LedgerRecord) -> bool:
    """Tell whether the entry is a relay of another living process, which removes it in its own time."""
    return entry.kind in (ThingKind.RELAY, ThingKind.PROXY_DISKS) and lives_elsewhere(store, entry.parent)


def holder() -> str:
    """Return the id under which this process holds what others must leave to it."""
    return _holder


def lives_elsewhere(store: Store, process_id: str | None) -> bool:
    """Tell whether this is the id of another living process."""
    # A state directory's own engine can't take back its record when it is killed; its lock is gone then
    living = store.workers.all() if store.state.shared_database or is_locked(store.state) else []
    return process_id in {worker.id for worker in living} - {_holder}


def end_quiet_relays() -> None:
    """Remove this process's relays that nobody has used for a while."""
    with _lock:
        pools = [*_pools.values(), *_earlier]
    for pool in pools:
        pool.relays.end_quiet()


def end_relays(store: Store) -> None:
    """Remove all relays of this process, and those that dead processes have left behind."""
    asking = {one.id: one for one in store.providers.all() if asks_relays(one.kind, one.settings)}
    with _lock:
        for provider_id in _pools.keys() - asking.keys():
            _supersede(provider_id)
    pools = [relays_of(store, one) for one in asking.values() if store.ledger.unsettled(one.id, _kind_of(one))]
    with _lock:
        pools += [one.relays for one in _earlier]
    for pool in pools:
        pool.end_all()


class _Written:
    """The ledger, as the pool of one provider writes to it."""

    def __init__(self, store: Store, provider_id: str, kind: ThingKind) -> None:
        self._store = store
        self._provider_id = provider_id
        self._kind = kind
        self._own = set[Owner]()  # of relays that this pool has booted
        self.superseded = False  # by a pool of the provider's new settings

    def intend(self, owner: Owner, note: str = "") -> None:
        self._own.add(owner)
        entry = self._store.ledger.intend(owner, self._provider_id, self._kind, parent=_holder)
        if note:
            self._store.ledger.settle(entry.id, EntryState.INTENDED, ref=note)

    def made(self, owner: Owner, server_id: str) -> None:
        self._settle(owner, EntryState.MADE, ref=server_id)

    def gone(self, owner: Owner) -> None:
        self._settle(owner, EntryState.REMOVED)

    def left(self, owner: Owner, why: str) -> None:
        self._settle(owner, EntryState.LEFT, note=why)

    def unsettled(self) -> list[Owner]:
        entries = self._store.ledger.unsettled(self._provider_id, self._kind)
        return [entry.owner for entry in entries if not held_by_another(self._store, entry) and self._sees(entry.owner)]

    def _sees(self, owner: Owner) -> bool:
        """Tell whether this pool may remove the relay: another one's settings may lead to another project."""
        if self.superseded:
            return owner in self._own
        return not any(owner in earlier.ledger._own for earlier in _earlier)

    def note_of(self, owner: Owner) -> str:
        return self._entry(owner).ref or ""

    def say(self, owner: Owner, text: str, level: str) -> None:
        phase = self._store.migrations.get(owner.workflow).phase
        self._store.events.say(owner.workflow, phase, text, level)

    def _settle(self, owner: Owner, state: EntryState, *, ref: str | None = None, note: str | None = None) -> None:
        self._store.ledger.settle(self._entry(owner).id, state, ref=ref, note=note)

    def _entry(self, owner: Owner) -> LedgerRecord:
        return self._store.ledger.intend(owner, self._provider_id, self._kind)  # answers the one that is there


def _kind_of(record: ProviderRecord) -> ThingKind:
    return ThingKind.PROXY_DISKS if provider_type(record.kind).attaches else ThingKind.RELAY
