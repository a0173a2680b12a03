"""Taking back what the ledger names, one thing after another: again where a cloud is busy with it, and with a word on
what stays.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from longshore.engine.retry import LASTING
from longshore.errors import LongshoreError
from longshore.store import EntryState, LedgerRecord, Store

_TRIES = 4
_PAUSE = 3.0  # seconds before the second try; doubled each time: a volume may still be detaching
# Seconds in which a thing may still appear whose making was asked for without an answer: a request outlives its asker
_APPEARS_WITHIN = 10.0
# Codes of errors that no second try changes; whoever uses a thing may be done in a moment
_GIVEN_UP = LASTING - {"file-locked", "occupied"} | {"task-timeout"}
_WAITED = 60.0  # seconds after which a try that fails is the last one: it has waited for what may pass


def remove_all(
    store: Store,
    entries: Sequence[LedgerRecord],
    remove: Callable[[LedgerRecord], bool],
    may_appear: Callable[[LedgerRecord], bool],
) -> list[str]:
    """Remove what these entries name, in this order, and mark each entry as removed.

    `remove` tells whether anything was there; `may_appear`, whether the thing may come to exist without our having
    heard of it: what wasn't found then is looked for once more after some seconds. Return a sentence for each thing
    that could not be removed; those stay in the ledger as `left`.
    """
    undoing = _Undoing(store, remove, may_appear)
    unheard = [entry for entry in entries if not undoing.remove(entry) and may_appear(entry)]
    if unheard:
        time.sleep(_APPEARS_WITHIN)
    for entry in unheard:
        undoing.remove(entry, last=True)
    return undoing.left


@dataclass(slots=True)
class _Undoing:
    _store: Store
    _remove: Callable[[LedgerRecord], bool]
    _may_appear: Callable[[LedgerRecord], bool]
    left: list[str] = field(default_factory=list)

    def remove(self, entry: LedgerRecord, *, last: bool = False) -> bool:
        """Remove one thing and tell whether it is settled. It isn't when nothing was found that may still appear; the
        `last` try settles it all the same."""
        try:
            found = self._persist(entry)
        except LongshoreError as error:
            self._store.ledger.settle(entry.id, EntryState.LEFT, note=str(error))
            self.left.append(f"The {entry.kind} {entry.ref or entry.owner.tag} could not be removed: {error}")
            return True
        if not (found or last) and self._may_appear(entry):
            return False
        self._store.ledger.settle(entry.id, EntryState.REMOVED)
        self._store.events.say(entry.migration_id, "removing", f"The {entry.kind} {entry.step} is gone.")
        return True

    def _persist(self, entry: LedgerRecord) -> bool:
        pause, began = _PAUSE, time.monotonic()
        for remaining in reversed(range(_TRIES)):
            try:
                return self._remove(entry)
            except LongshoreError as error:
                if remaining == 0 or error.code in _GIVEN_UP or time.monotonic() - began >= _WAITED:
                    raise
                time.sleep(pause)
                pause *= 2
        raise AssertionError("the last try answers or raises")
