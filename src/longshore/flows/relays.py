"""The relays of this process, through which volumes are opened where a provider asks for that.

They outlive the sessions of single transfers and are shared between migrations. Each is in the ledger of the migration
that it was booted for, with the process that has it as its parent, and is removed after a quiet time, or when that
process ends. Of those whose process is dead nobody has the key: they are removed by whoever comes next.
"""

import threading
from typing import Any

from longshore.engine.lock import is_locked
from longshore.model.target import Owner
from longshore.providers.contract import Relays
from longshore.providers.registry import asks_relays, open_relays
from longshore.store import Entry, EntryState, ProviderRecord, Store, ThingKind

_pools: dict[str, Relays] = {}
_said: dict[str, tuple[dict[str, Any], dict[str, str]]] = {}  # the settings and secrets that each was opened with
_earlier: list[Relays] = []  # of providers that were changed since
_lock = threading.Lock()
_holder = ""  # this process, among those that have migrations at work


def relays_of(store: Store, record: ProviderRecord) -> Relays:
    """Return this process's pool of relays for a provider; a new one when its settings or secrets have changed."""
    said = dict(record.settings), store.providers.secrets(record.id)
    with _lock:
        if record.id in _pools and _said.get(record.id) != said:  # it was changed; who uses the earlier one goes on
            _earlier.append(_pools.pop(record.id))
        if record.id not in _pools:
            reach = store.state.reach.limits(record.project_id, record.settings)
            settings = {**said[0], "reach": reach}
            _pools[record.id] = open_relays(record.kind, settings, said[1], _Written(store, record.id))
            _said[record.id] = said
        return _pools[record.id]


def hold_relays_as(process_id: str) -> None:
    """Set the id under which this process holds relays. By it others know whether the process lives."""
    global _holder  # noqa: PLW0603 one process is one holder
    _holder = process_id


def held_by_another(store: Store, entry: Entry) -> bool:
    """Tell whether the entry is a relay of another living process, which removes it in its own time."""
    if entry.kind is not ThingKind.RELAY:
        return False
    # A state directory's own engine can't take back its record when it is killed; its lock is gone then
    living = store.workers.all() if store.state.shared_database or is_locked(store.state) else []
    return entry.parent in {worker.id for worker in living} - {_holder}


def end_quiet_relays() -> None:
    """Remove this process's relays that nobody has used for a while."""
    with _lock:
        pools = [*_pools.values(), *_earlier]
    for pool in pools:
        pool.end_quiet()


def end_relays(store: Store) -> None:
    """Remove all relays of this process, and those that dead processes have left behind."""
    for record in store.providers.all():
        if asks_relays(record.kind, record.settings) and store.ledger.unsettled(record.id, ThingKind.RELAY):
            relays_of(store, record).end_all()


class _Written:
    """The ledger, as the pool of one provider writes to it."""

    def __init__(self, store: Store, provider_id: str) -> None:
        self._store = store
        self._provider_id = provider_id

    def intend(self, owner: Owner) -> None:
        self._store.ledger.intend(owner, self._provider_id, ThingKind.RELAY, parent=_holder)

    def made(self, owner: Owner, server_id: str) -> None:
        self._settle(owner, EntryState.MADE, ref=server_id)

    def gone(self, owner: Owner) -> None:
        self._settle(owner, EntryState.REMOVED)

    def left(self, owner: Owner, why: str) -> None:
        self._settle(owner, EntryState.LEFT, note=why)

    def unsettled(self) -> list[Owner]:
        entries = self._store.ledger.unsettled(self._provider_id, ThingKind.RELAY)
        return [entry.owner for entry in entries if not held_by_another(self._store, entry)]

    def say(self, owner: Owner, text: str, level: str) -> None:
        phase = self._store.migrations.get(owner.workflow).phase
        self._store.events.say(owner.workflow, phase, text, level)

    def _settle(self, owner: Owner, state: EntryState, *, ref: str | None = None, note: str | None = None) -> None:
        entry = self._store.ledger.intend(owner, self._provider_id, ThingKind.RELAY)  # answers the one that is there
        self._store.ledger.settle(entry.id, state, ref=ref, note=note)
