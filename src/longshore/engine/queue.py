"""Turns: which of the jobs that wait may begin now, and which of them a worker takes.

Pure functions over the queue, the workers that live and the limits: those in plans, and those that are set for places
whatever plans say. Limits are about what of a project is at work at a place at this moment, whichever of its plans
asked for it and whichever worker does it: a plan that allows two on a host doesn't begin a third there because the
first two are another plan's. Of several limits the tightest wins. Between projects there are turns instead: nobody
waits because of what another project limits, and nobody has more places than others while those wait. What counts all
projects' jobs is only what an administrator has set.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from heapq import heapify, heappop, heappush
from typing import Protocol

from longshore.model.limit import Limit, LimitOf, LimitPlace, counting, places_at_work
from longshore.model.plan import PlanLimits
from longshore.store import QueueRecord, WorkerRecord

ENDING = 16  # queued ones of a project that are cancelled: so many at a time end without waiting for room
SPARE = 1  # places of each worker, beyond its capacity, for projects that have nothing at work
ASIDE = 5  # places of each worker, SPARE ones included, for jobs whose answer somebody waits for: these and no others

_APART = (False, True)  # first what moves something, then, apart from that, what somebody waits for the answer of
_NO_PLAN = PlanLimits()
_NO_LABELS: Mapping[str, frozenset[str]] = {}
_NO_TURNS: Mapping[str, int] = {}

_Counted = tuple[LimitPlace, str | None]  # a place, and whose jobs count there; None: all projects'


class BlockedBy(StrEnum):
    """The kind of thing that a queued job is behind."""

    WAVE = "wave"  # that goes first
    LIMIT = "limit"
    WORKERS = "workers"  # all of whose places are taken


@dataclass(frozen=True, slots=True)
class Behind:
    """The reason why a queued job isn't begun.

    `place` and `at_once` are of a limit; `wave` is the one that goes first.
    """

    what: BlockedBy
    wave: int | None = None
    place: LimitPlace | None = None
    at_once: int | None = None


class WorkerNeeds(Protocol):
    """The part of a migration that decides which workers fit it."""

    @property
    def source_id(self) -> str: ...
    @property
    def target_id(self) -> str: ...
    @property
    def flow_version(self) -> str | None: ...
    @property
    def cancel_requested(self) -> bool: ...


def may_begin(
    queue: Sequence[QueueRecord],
    limits: Mapping[str, PlanLimits],
    last_turns: Mapping[str, int] = _NO_TURNS,
    seat: Callable[[QueueRecord, bool], bool] = lambda _record, _first: True,
    *,
    first_waves: Mapping[str, int] = _NO_TURNS,
    of_places: Sequence[Limit] = (),
) -> list[str]:
    """Return the ids of queued jobs to begin now, in this order.

    `limits` are those of each plan, by its id; `of_places` those that are set for places.

    - Projects take turns: the one with the fewest at work goes first, and of those that have as many the one whose last
      turn was longest ago. `last_turns` are numbers that grow, by project; who never had one has none.
    - In a project it goes by the order of the queue. Waves of a plan go one after another: one begins when all of the
      lower ones have ended, whatever their end.
    - A migration begins where each of its places has room, counted with those of its project that are at work already,
      and where `seat` finds a worker for it; `seat` is told whether it is all that its project has at work.
      `first_waves` are those of plans, where the queue doesn't hold all that hasn't ended.
    - Those without a plan wait only for each other: a large plan doesn't keep a single machine waiting to its end.
    - One that waits for its moment takes no room. One that is cancelled needs none: it has only to end.
    """
    at_work: Counter[_Counted] = Counter()
    set_rooms = _set_rooms(of_places)
    held: Counter[str] = Counter()
    first_wave = dict(first_waves)
    lines: dict[str, list[QueueRecord]] = {}
    for record in queue:
        if record.plan_id is not None:
            first_wave[record.plan_id] = min(record.wave, first_wave.get(record.plan_id, record.wave))
        if record.begun:
            if record.at_work:
                held[record.project_id] += 1
                at_work.update(_occupied(record, set_rooms))
        elif not record.cancel_requested:
            lines.setdefault(record.project_id, []).append(record)

    begin = [record.id for record in may_end(queue)]
    turn = max(last_turns.values(), default=0)
    waiting = {project: iter(line) for project, line in lines.items()}
    next_ones = [(held[project], last_turns.get(project, 0), n, project) for n, project in enumerate(lines)]
    heapify(next_ones)
    while next_ones:
        _, _, n, project = heappop(next_ones)
        for record in waiting[project]:  # whom there is no room for now, there is none for later in the same look
            if record.plan_id is not None and record.wave > first_wave[record.plan_id]:
                continue
            places = list(_places(record, limits.get(record.plan_id or "", _NO_PLAN), set_rooms))
            free = all(room is None or at_work[place] < room for place, room in places)
            if free and seat(record, held[project] == 0):
                at_work.update(place for place, _ in places)
                begin.append(record.id)
                held[project] += 1
                turn += 1
                heappush(next_ones, (held[project], turn, n, project))
                break
    return begin


def why_waits(
    records: Sequence[QueueRecord],
    begun: Sequence[QueueRecord],
    limits: Mapping[str, PlanLimits],
    *,
    first_waves: Mapping[str, int],
    of_places: Sequence[Limit],
    crew: Callable[[QueueRecord], Sequence[WorkerRecord]],
) -> dict[str, Behind]:
    """Return what each of these queued jobs is behind, by the job's id. One that is only in line isn't among them.

    The rules are those of `may_begin`, seen from one job. `begun`: all that is at work; `limits`: those of each plan;
    `first_waves`: those of plans; `of_places`: limits that are set for places; `crew`: the living workers that fit.
    """
    found = {}
    for apart in _APART:
        set_rooms = {} if apart else _set_rooms(of_places)
        working = [one for one in begun if one.at_work and one.kind.awaited is apart]
        at_work = Counter(place for one in working for place in _occupied(one, set_rooms))
        held = Counter(one.project_id for one in working)
        for record in records:
            if record.begun or record.cancel_requested or record.kind.awaited is not apart:
                continue
            first = first_waves.get(record.plan_id or "", record.wave)
            if record.plan_id is not None and record.wave > first:
                found[record.id] = Behind(BlockedBy.WAVE, wave=first)
                continue
            places = _places(record, limits.get(record.plan_id or "", _NO_PLAN), set_rooms)
            full = next(((one[0], room) for one, room in places if room is not None and at_work[one] >= room), None)
            if full is not None:
                found[record.id] = Behind(BlockedBy.LIMIT, place=full[0], at_once=full[1])
                continue
            room = _room(begun, crew(record), apart=apart).values()
            if room and max(room) < (1 if held[record.project_id] else 1 - SPARE):
                found[record.id] = Behind(BlockedBy.WORKERS)
    return found


def may_end(queue: Sequence[QueueRecord]) -> list[QueueRecord]:
    """Return the queued records that are cancelled and may begin to end, at most ENDING of each project at a time.

    A thousand of one project at once would stop a worker.
    """
    ending = Counter(record.project_id for record in queue if record.begun and record.cancel_requested)
    end = []
    for record in queue:
        if not record.begun and record.cancel_requested and ending[record.project_id] < ENDING:
            ending[record.project_id] += 1
            end.append(record)
    return end


def labels_asked(record: WorkerNeeds, labels: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Return the labels a worker must carry to reach both providers. `labels`: those of providers, by id."""
    none: frozenset[str] = frozenset()
    return labels.get(record.source_id, none) | labels.get(record.target_id, none)


def fit(
    record: WorkerNeeds, workers: Sequence[WorkerRecord], labels: Mapping[str, frozenset[str]]
) -> Sequence[WorkerRecord]:
    """Return those of `workers` that reach both providers and know the order of steps that the record was begun with.

    One that is cancelled has only to be taken back, by what the ledger says: where nobody lives who knows its order of
    steps, every worker that reaches its providers fits.
    """
    asked = labels_asked(record, labels)
    reaching = [worker for worker in workers if asked.issubset(worker.labels)]
    knowing = [worker for worker in reaching if record.flow_version in (None, worker.flow_version)]
    return knowing or (reaching if record.cancel_requested else [])


def places_left(queue: Sequence[QueueRecord], workers: Sequence[WorkerRecord], *, apart: bool = False) -> int:
    """Return how many more records there is room for at these workers, SPARE places included: no project can begin more
    of them at this moment.

    `apart`: of those whose answer somebody waits for, which have places of their own.
    """
    return sum(max(0, room + SPARE) for room in _room(queue, workers, apart=apart).values())


def take_turns(
    me: WorkerRecord,
    queue: Sequence[QueueRecord],
    workers: Sequence[WorkerRecord],
    limits: Mapping[str, PlanLimits],
    *,
    labels: Mapping[str, frozenset[str]] = _NO_LABELS,
    last_turns: Mapping[str, int] = _NO_TURNS,
    first_waves: Mapping[str, int] = _NO_TURNS,
    of_places: Sequence[Limit] = (),
) -> list[str]:
    """Return the ids of what this worker takes now. `workers` are those that live, it among them.

    - First what a dead worker had begun, room or not: a machine may be down meanwhile. Of the same version of the flows
      alone, since another one would take other turns; unless it is only to be taken back.
    - Then what may begin, as far as there is room. Where all are full, a project that has nothing at work gets a place
      in addition, if nobody has had that: else it would wait for others' migrations, which may take as long as they
      like.
    - Each goes to the worker that has the most room then; all workers deal alike, and each takes what falls to itself.
      One that is about to end says that it has no capacity, and takes nothing.
    - A worker reaches a provider if it carries all of the labels that the provider asks for: `labels`, by its id.
    - What somebody waits for the answer of has places of its own, and limits are no concern of it: it moves nothing.
    """
    alive = {worker.id for worker in workers}
    rooms = {apart: _room(queue, workers, apart=apart) for apart in _APART}
    mine = []

    def deal(record: QueueRecord, least: float) -> bool:
        room = rooms[record.kind.awaited]
        able = [w for w in fit(record, workers, labels) if w.id in room and room[w.id] >= least]
        if not able:
            return False
        chosen = max(able, key=lambda worker: room[worker.id])
        room[chosen.id] -= not (record.cancel_requested and not record.begun)
        if chosen.id == me.id:
            mine.append(record.id)
        return True

    for record in [*(r for r in queue if r.begun and r.worker_id not in alive), *may_end(queue)]:
        deal(record, -math.inf)
    for apart in _APART:
        may_begin(
            [record for record in queue if record.kind.awaited is apart],
            limits,
            last_turns,
            lambda record, first: deal(record, 1 - SPARE if first else 1),
            first_waves=first_waves,
            of_places=() if apart else of_places,
        )
    return mine


def _set_rooms(of_places: Sequence[Limit]) -> dict[_Counted, int]:
    return {(limit.place, limit.project_id): limit.at_once for limit in of_places if limit.at_once is not None}


def _occupied(record: QueueRecord, set_rooms: Mapping[_Counted, int]) -> list[_Counted]:
    """Return the places where a job that is at work counts."""
    return [place for place, _ in _places(record, _NO_PLAN, set_rooms)]


def _room(queue: Sequence[QueueRecord], workers: Sequence[WorkerRecord], *, apart: bool = False) -> dict[str, int]:
    """Return how many more jobs each worker may take, by its id. One without capacity takes nothing and is left out.

    `apart`: of those whose answer somebody waits for.
    """
    at_work = Counter(record.worker_id for record in queue if record.at_work and record.kind.awaited is apart)
    return {
        worker.id: (ASIDE - SPARE if apart else worker.capacity) - at_work[worker.id]
        for worker in workers
        if worker.capacity
    }


def _places(
    record: QueueRecord, limits: PlanLimits, set_rooms: Mapping[_Counted, int]
) -> Iterator[tuple[_Counted, int | None]]:
    """Yield each place where a migration is at work, and how many of those that count there may be (None: any number).

    `limits` are its plan's, which count its project's; `set_rooms` those that are set for places.
    """
    project = record.project_id
    if record.plan_id is None:  # these wait for each other as those of a plan wait for all of the project's
        yield (LimitPlace(LimitOf.PROJECT, project, "without a plan"), project), limits.at_once
    planned = {
        LimitOf.PROJECT: None if record.plan_id is None else limits.at_once,
        LimitOf.SOURCE: limits.per_source,
        LimitOf.TARGET: limits.per_target,
        LimitOf.HOST: limits.per_host,
        LimitOf.DATASTORE: limits.per_datastore,
    }
    for place in places_at_work(
        project_id=project,
        source_id=record.source_id,
        target_id=record.target_id,
        plan_id=record.plan_id,
        host=record.host,
        datastores=record.datastores,
    ):
        for counted in counting(place, project):
            own = counted[1] is not None
            rooms = [room for room in (planned.get(place.of) if own else None, set_rooms.get(counted)) if room]
            if own or rooms:
                yield counted, min(rooms, default=None)
