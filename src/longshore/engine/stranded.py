"""Migrations that nobody alive can take, why, and what to do about it."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from longshore.engine.lock import is_locked
from longshore.engine.queue import WorkerNeeds, fit, labels_asked
from longshore.engine.version import FLOW_VERSION
from longshore.model.status import Status
from longshore.store import QueueRecord, Store, WorkerRecord

_PATIENCE = 30.0  # seconds: a worker that is started again is soon back
_LOOK = 5.0  # seconds between looks


class MissingCapability(StrEnum):
    """The thing that the living workers lack."""

    WORKER = "worker"
    LABELS = "labels"
    FLOW_VERSION = "flow-version"


class WaitingMigration(WorkerNeeds, Protocol):
    @property
    def record_id(self) -> str: ...
    @property
    def status(self) -> Status: ...
    @property
    def worker_id(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Stranded:
    lack: MissingCapability
    text: str


@dataclass(frozen=True, slots=True)
class LiveWorkers:
    """The workers that could take migrations at this moment."""

    workers: Sequence[WorkerRecord]
    labels: Mapping[str, frozenset[str]]  # that are asked for, by the provider's id
    running: bool = True  # not merely who would be started when asked

    def why(self, record: WaitingMigration) -> str | None:
        said = self.stranded(record)
        return said.text if said else None

    def stranded(self, record: WaitingMigration) -> Stranded | None:
        """Return why nobody alive can take the record. None: it has ended, somebody has it, or somebody could take it
        once its turn comes."""
        if record.status.ended:
            return None
        if record.worker_id in {worker.id for worker in self.workers} or fit(record, self.workers, self.labels):
            return None
        if not self.workers:
            return Stranded(
                MissingCapability.WORKER, "No worker is alive. It goes on as soon as one is: longshore worker."
            )
        asked = labels_asked(record, self.labels)
        if not any(asked.issubset(worker.labels) for worker in self.workers):
            named = " ".join(f"--label {label}" for label in sorted(asked))
            return Stranded(
                MissingCapability.LABELS,
                f"No worker that is alive carries all the labels that its providers ask for. It goes on as soon as one "
                f"does: longshore worker {named}.",
            )
        known = ", ".join(sorted({worker.flow_version for worker in self.workers}))
        return Stranded(
            MissingCapability.FLOW_VERSION,
            f"It was begun under flow version {record.flow_version}, and nobody alive knows another than {known}. "
            "Start a worker of the release that began it, or have taken back what it made: "
            f"longshore migration cancel {record.record_id}.",
        )


NOBODY = LiveWorkers([], {}, running=False)


def crew_of(store: Store) -> LiveWorkers:
    """Return the living workers.

    A state directory without a shared database has one even while none runs: the engine that is started when needed.
    """
    alone = WorkerRecord("", "", 0, FLOW_VERSION, 1, ())
    if store.state.shared_database is None and not is_locked(store.state):
        return LiveWorkers([alone], {}, running=False)
    workers = store.workers.all()
    if store.state.shared_database is None and not workers:
        return LiveWorkers([alone], {})  # an engine that is only starting
    return LiveWorkers(workers, labels_that_count(store), running=bool(workers))


def labels_that_count(store: Store) -> Mapping[str, frozenset[str]]:
    """Return the labels that providers ask for, by the providers' ids. On a state directory none counts: one process
    takes all of its work."""
    return store.providers.labels() if store.state.shared_database else {}


class StrandedNotifier:
    """Has the worker that lives longest say it once in the events of each migration that is stranded for a while."""

    def __init__(self, store: Store, me: WorkerRecord) -> None:
        self._store = store
        self._me = me
        self._looked = -math.inf
        self._since: dict[tuple[str, str], float] = {}  # by migration and text
        self._told: set[tuple[str, str]] = set()

    def tell(self, queue: Callable[[], Sequence[QueueRecord]], crew: LiveWorkers) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        if crew.workers[0].id != self._me.id:  # all of a long queue is read by one of them
            self._since, self._told = {}, set()
            return
        found = {(record.record_id, said.text) for record in queue() if (said := crew.stranded(record))}
        self._since = {each: self._since.get(each, now) for each in found}
        self._told &= found
        for migration_id, text in sorted(found - self._told):
            if now - self._since[migration_id, text] >= _PATIENCE:
                self._store.events.say(migration_id, "stranded", text, "warning")
                self._told.add((migration_id, text))
