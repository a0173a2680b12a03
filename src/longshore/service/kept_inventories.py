"""The machines of sources, as they were read a while ago."""

import json
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from weakref import WeakValueDictionary

from longshore.errors import NotFound
from longshore.flows.clouds import Clouds
from longshore.model.machine import Machine
from longshore.model.selection import EVERY, MachineFilter
from longshore.store import ProviderRecord

_FRESH = 300.0  # seconds: who plans looks at the same machines again and again
_SOURCES = 8  # whose machines are kept at once


@dataclass(frozen=True, slots=True)
class KeptInventory:
    machines: list[Machine]  # by folder and name
    read_at: datetime
    until: float  # on the clock that only goes forward
    tagged: dict[MachineFilter, frozenset[str]] = field(default_factory=dict)  # references, as far as they were asked
    asking: Lock = field(default_factory=Lock)  # for those

    def refs_of(self, clouds: Clouds, provider_id: str, wanted: MachineFilter) -> frozenset[str]:
        """Return the references of those that a filter with a tag names, asked once for as long as these are kept:
        tags aren't read with all machines."""
        with self.asking:
            if wanted not in self.tagged:
                try:
                    with clouds.source(provider_id) as source:
                        self.tagged[wanted] = frozenset(source.references(wanted))
                except NotFound:  # no machine has that tag
                    self.tagged[wanted] = frozenset()
            return self.tagged[wanted]


class KeptInventories:
    """Inventories kept by one application.

    Those who ask for the same source while it is read wait, and share what is found.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, KeptInventory] = OrderedDict()
        self._reading = WeakValueDictionary[str, Lock]()  # each for as long as somebody reads or waits
        self._lock = Lock()

    def of(self, clouds: Clouds, provider: ProviderRecord, whose: str, *, anew: bool) -> KeptInventory:
        """Return the inventory of a provider, read anew where it is too old.

        `whose`: the project that asks: in a vault that others share it sees its own points alone. `anew`: whatever is
        kept, unless it is younger than the question.
        """
        asked = time.monotonic()
        what = f"{provider.id} {json.dumps(provider.settings, sort_keys=True)}"  # a changed one is another source
        if not clouds.sees_all_of(provider):
            what = f"{what} {whose}"
        with self._lock:
            reading = self._reading.setdefault(what, Lock())
        with reading:
            with self._lock:
                kept = self._kept.get(what)
            began = kept.until - _FRESH if kept else 0.0
            if kept and (began >= asked or (not anew and asked < kept.until)):
                return kept
            start, read_at = time.monotonic(), datetime.now(UTC)
            with clouds.source(provider.id) as source:
                machines = sorted(source.machines(EVERY), key=lambda m: (m.folder.casefold(), m.name.casefold(), m.ref))
            kept = KeptInventory(machines, read_at, start + _FRESH)
            with self._lock:
                self._kept[what] = kept
                self._kept.move_to_end(what)
                while len(self._kept) > _SOURCES:
                    self._kept.popitem(last=False)
            return kept
