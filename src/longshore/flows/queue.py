"""Whose turn it is: which of the migrations that wait may begin now, and which of them a worker takes.

Pure functions over the queue, the workers that live and the plans' limits. Limits are about what is at work at a place
at this moment, whoever asked for it and whichever worker does it: a plan that allows two on a host doesn't begin a
third there because the first two are another's.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from longshore.model.machine import Machine
from longshore.model.plan import Limits
from longshore.store import QueueRecord, WorkerRecord

WAITING = "waiting"  # the phase of a warm migration that has nothing to do until its cutover

_NO_PLAN = Limits()
_NO_LABELS: Mapping[str, frozenset[str]] = {}
_ANYWHERE = ("anywhere", "")
_ALONE = ("alone", "")


class Asking(Protocol):
    """Of a migration, what a worker has to fit."""

    @property
    def source_id(self) -> str: ...
    @property
    def target_id(self) -> str: ...
    @property
    def flow_version(self) -> str | None: ...
    @property
    def cancel_requested(self) -> bool: ...


def places_of(machine: Machine) -> dict[str, Any]:
    """What has to be remembered of where a machine was: for its turn, and to know it again by its path."""
    path = f"{machine.folder}/{machine.name}" if machine.folder else machine.name
    return {"path": path, "host": machine.host, "datastores": sorted({disk.storage for disk in machine.disks})}


def may_begin(queue: Sequence[QueueRecord], limits: Mapping[str, Limits]) -> list[str]:
    """Ids of queued migrations to begin now, in the order of the queue. `limits` are those of each plan, by its id.

    - Waves of a plan go one after another: one begins when all of the lower ones have ended, whatever their end.
    - A migration begins where each of its places has room, counted with those that are at work already.
    - Those without a plan wait only for each other: a large plan doesn't keep a single machine waiting to its end.
    - One that merely waits for its cutover takes no room. One that is cancelled needs none: it has only to end.
    """
    at_work: Counter[tuple[str, str]] = Counter()
    for record in queue:
        if record.begun and record.phase != WAITING:
            at_work.update(place for place, _ in _places(record, _NO_PLAN))
    first_wave: dict[str, int] = {}
    for record in queue:
        if record.plan_id is not None:
            first_wave[record.plan_id] = min(record.wave, first_wave.get(record.plan_id, record.wave))

    begin = []
    for record in queue:
        if record.begun:
            continue
        if record.cancel_requested:
            begin.append(record.id)
            continue
        if record.plan_id is not None and record.wave > first_wave[record.plan_id]:
            continue
        places = list(_places(record, limits.get(record.plan_id or "", _NO_PLAN)))
        if all(room is None or at_work[place] < room for place, room in places):
            at_work.update(place for place, _ in places)
            begin.append(record.id)
    return begin


def labels_asked(record: Asking, labels: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """What a worker has to carry to reach both of its providers. `labels` are those of providers, by their ids."""
    none: frozenset[str] = frozenset()
    return labels.get(record.source_id, none) | labels.get(record.target_id, none)


def fit(
    record: Asking, workers: Sequence[WorkerRecord], labels: Mapping[str, frozenset[str]]
) -> Sequence[WorkerRecord]:
    """Of the workers that live, those that reach its providers and know the order of steps that it was begun with.

    One that is cancelled has only to be taken back, by what the ledger says: where nobody lives who knows its order of
    steps, anybody can do that.
    """
    asked = labels_asked(record, labels)
    reaching = [worker for worker in workers if asked.issubset(worker.labels)]
    knowing = [worker for worker in reaching if record.flow_version in (None, worker.flow_version)]
    return knowing or (reaching if record.cancel_requested else [])


def take_turns(
    me: WorkerRecord,
    queue: Sequence[QueueRecord],
    workers: Sequence[WorkerRecord],
    limits: Mapping[str, Limits],
    labels: Mapping[str, frozenset[str]] = _NO_LABELS,
) -> list[str]:
    """Ids of what this worker takes now. `workers` are those that live, it among them.

    - First what a dead worker had begun, room or not: a machine may be down meanwhile. Of the same version of the flows
      alone, since another one would take other turns; unless it is only to be taken back.
    - Then what may begin, as far as there is room.
    - Each goes to the worker that has the most room then; all workers deal alike, and each takes what falls to itself.
      One that is about to end says that it has no capacity, and takes nothing.
    - A worker reaches a provider if it carries all of the labels that the provider asks for: `labels`, by its id.
    """
    alive = {worker.id for worker in workers}
    at_work = Counter(record.worker_id for record in queue if record.worker_id in alive and record.phase != WAITING)
    room = {worker.id: worker.capacity - at_work[worker.id] for worker in workers if worker.capacity}
    by_id = {record.id: record for record in queue}
    turns = [by_id[id_] for id_ in may_begin(queue, limits)]
    at_once = [r for r in queue if r.begun and r.worker_id not in alive] + [r for r in turns if r.cancel_requested]
    mine = []
    for records, full in ((at_once, True), ([r for r in turns if not r.cancel_requested], False)):
        for record in records:
            fitting = fit(record, workers, labels)
            if able := [worker for worker in fitting if worker.id in room and (full or room[worker.id] > 0)]:
                chosen = max(able, key=lambda worker: room[worker.id])
                room[chosen.id] -= 1
                if chosen.id == me.id:
                    mine.append(record.id)
    return mine


def _places(record: QueueRecord, limits: Limits) -> Iterator[tuple[tuple[str, str], int | None]]:
    """Where a migration is at work, and how many may be there at once. Hosts and datastores of two vCenters are two."""
    yield _ANYWHERE, limits.at_once if record.plan_id is not None else None
    if record.plan_id is None:
        yield _ALONE, limits.at_once
    yield ("source", record.source_id), limits.per_source
    yield ("target", record.target_id), limits.per_target
    if record.host:
        yield ("host", f"{record.source_id}/{record.host}"), limits.per_host
    for datastore in set(record.datastores):
        yield ("datastore", f"{record.source_id}/{datastore}"), limits.per_datastore
