"""The worker, which any process has that runs jobs: it takes them from the queue and sees them to their end.

One of a state directory with SQLite (longshore.engine.embedded), or any number of them with PostgreSQL, each with a
lease. They know of each other through the database alone. What they run is given to them (`Flows`).
"""

import asyncio
import logging
import os
import socket
import time
import uuid
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from longshore.engine import parking
from longshore.engine.embedded import has_work
from longshore.engine.queue import ENDING, places_left, take_turns
from longshore.engine.stranded import LiveWorkers, StrandedNotifier, labels_that_count
from longshore.engine.version import FLOW_VERSION
from longshore.errors import LongshoreError
from longshore.logs import seldom
from longshore.model.job import JobKind
from longshore.model.machine import PowerState
from longshore.model.plan import PlanLimits
from longshore.model.status import Status
from longshore.state import StateDirectory
from longshore.store import JobRecord, Lineup, Store, WorkerRecord
from longshore.store.changes import Wait, changes
from longshore.store.database import CONNECTING
from longshore.store.jobs import CLOCKS_DIFFER
from longshore.store.tables import utc_now

# What clouds are asked blocks a thread, some of it for minutes (a shutdown, a first boot). Python's own default, six on
# two processors, would let a few such waits stand in the way of all other migrations.
THREADS = 256
_POLL = 0.5  # seconds between two looks at the queue at least, but for a place that one of ours makes free
_HEARD = 0.1  # seconds until a change of the queue is heard, at most, where nobody tells
_LOOK = 5.0  # seconds between two looks at most: not everything is heard
_QUIET_POLL = 5.0  # seconds between looks for what nobody uses any more, and for what has to be told
_POLLING_AT_MOST = 0.05  # of the time is spent on looking: a long queue is looked at less often
_LONGEST_PAUSE = 3.0  # seconds, all the same: a look that waited for the database says nothing of the queue
_ENDING = "/end"  # after a job's id: the workflow that only takes back what the job has made

_log = logging.getLogger("longshore.engine")

Workflow = Callable[[str], Coroutine[Any, Any, None]]  # of a job's id; DBOS knows it by a name


@dataclass(frozen=True)
class Flows:
    """The workflows that workers run, and the care that their processes take of what those keep."""

    get_ready: Callable[[StateDirectory], None]  # while nobody has work yet: loads what it will take
    use: Callable[[Store, str], None]  # before anything runs in this process, which others know by this id
    of: Callable[[JobKind], Workflow]
    end_unknown: Workflow  # of a cancelled one whose order of steps isn't ours
    # Each called every five seconds or so, whatever the others are doing: lets go of what nobody has used for a while,
    # tells what can't wait
    look_after: tuple[Callable[[], object], ...]
    end: Callable[[Store], None]  # lets go of all that this process keeps, when nothing is left at work


@dataclass(frozen=True)
class _Run:
    """A workflow that a job is to be run by."""

    id: str  # as DBOS knows it
    job_id: str
    workflow: Workflow
    begun: bool


def identity(capacity: int, labels: Sequence[str] = ()) -> WorkerRecord:
    """Return a worker record that names this process and no other: two of one name would run a step twice at once."""
    host = socket.gethostname()
    return WorkerRecord(f"{host}-{uuid.uuid4()}", host, os.getpid(), FLOW_VERSION, capacity, tuple(labels))


class Worker:
    """Known to the others already: by its lease, or alone by a lock."""

    def __init__(self, store: Store, me: WorkerRecord, flows: Flows) -> None:
        self._store = store
        self._flows = flows
        self._me = me
        self._running: dict[str, asyncio.Task[None]] = {}
        self._herald = StrandedNotifier(store, me)

    async def run(self, stop: asyncio.Event, *, linger: float | None, drain_for: float = 0.0) -> bool:
        """Run what is queued until `stop`, or until there was nothing to do for `linger` seconds (None: never end for
        that).

        Then it takes nothing more, and gives what it has `drain_for` seconds to end by itself. Return whether all of it
        has ended. If not, this process has to end before others can go on with it.
        """
        from dbos import DBOS

        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
        await self._launch()
        forgetting = asyncio.create_task(forget_dead(self._store))
        looked_after = (*self._flows.look_after, self._store.jobs.hasten_mistimed, Clocks(self._store).compare)
        looking = [asyncio.create_task(_look_after(what)) for what in looked_after]
        await self._serve(stop, linger)
        if self._running:
            await asyncio.to_thread(self._store.workers.close_to_new, self._me.id)
            await asyncio.wait(self._running.values(), timeout=drain_for)
            self._reap()
        for look in looking:
            look.cancel()
        if self._running:
            return False
        await forgetting
        await asyncio.to_thread(self._flows.end, self._store)  # before DBOS takes the threads away
        DBOS.destroy()
        return True

    async def _serve(self, stop: asyncio.Event, linger: float | None) -> None:
        """Take turns until `stop`, or until there was nothing to do for `linger` seconds."""
        idle_since: float | None = None
        async with changes(self._store.database, _HEARD) as changed:
            while not stop.is_set():
                since = utc_now()
                took = await self._take()
                longest = min(_LOOK, await asyncio.to_thread(self._store.queue.quiet_for, since))
                if self._running or linger is None or await asyncio.to_thread(has_work, self._store):
                    idle_since = None
                else:
                    idle_since = idle_since or time.monotonic()
                    if time.monotonic() - idle_since >= linger:
                        return
                    longest = min(longest, linger)
                shortest = max(_POLL, min(took / _POLLING_AT_MOST, _LONGEST_PAUSE))
                await self._rest(stop, changed, shortest, max(shortest, longest))

    async def _launch(self) -> None:
        from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer

        self._flows.use(self._store, self._me.id)
        seldom("dbos")
        state = self._store.state
        if not state.shared_database:
            _use_wal(str(state.engine_database))
        config: DBOSConfig = {
            "name": "longshore",
            "system_database_url": state.shared_database or f"sqlite:///{state.engine_database}",
            "db_engine_kwargs": {"connect_args": CONNECTING} if state.shared_database else None,
            "executor_id": self._me.id,
            "application_version": FLOW_VERSION,
            "serializer": DBOSPortableJSONSerializer(),  # the default pickles: whoever writes there could run code
            "log_level": "WARNING",
        }
        DBOS(config=config)
        # What a dead worker had comes back through a queue of our own, so that nobody else begins it as well
        DBOS.listen_queues([self._me.id])
        DBOS.launch()
        await DBOS.register_queue_async(self._me.id)

    async def _take(self) -> float:
        """Take up the jobs whose turn it is and those that this worker has already. Return the seconds it took."""
        began = time.monotonic()
        self._reap()
        for job_id in await asyncio.to_thread(self._take_turns):
            if job_id not in self._running:
                self._running[job_id] = asyncio.create_task(self._follow(job_id))
        return time.monotonic() - began

    def _take_turns(self) -> list[str]:
        # Asked beforehand: whoever chooses holds the queue's lock, and must not wait for a connection to the database
        limits = {plan: PlanLimits(**given) for plan, given in self._store.queue.limits().items()}
        of_places = self._store.limits.at_once()
        labels = labels_that_count(self._store)

        living: list[WorkerRecord] = []

        def choose(lineup: Lineup) -> list[str]:
            living[:] = lineup.workers
            queue = [*lineup.begun, *lineup.cancelled(ENDING)]
            for apart in (False, True):
                if room := places_left(lineup.begun, lineup.workers, apart=apart):
                    queue += lineup.waiting(room, apart=apart)
            return take_turns(
                self._me,
                queue,
                lineup.workers,
                limits,
                labels=labels,
                last_turns=lineup.last_turns,
                first_waves=lineup.first_waves,
                of_places=of_places,
            )

        taken = self._store.queue.take(self._me, choose)
        if living:  # not while the queue's lock is held
            self._herald.tell(self._store.queue.records, LiveWorkers(living, labels))
        return taken

    def _reap(self) -> None:
        for job_id in [id_ for id_, task in self._running.items() if task.done()]:
            del self._running[job_id]

    async def _rest(self, stop: asyncio.Event, changed: Wait, shortest: float, longest: float) -> None:
        """Wait until the queue has changed, for `shortest` seconds at least and `longest` at most.

        The wait ends early when one of this worker's jobs has ended and makes room, or when it is asked to stop.
        """
        others = [asyncio.create_task(stop.wait()), asyncio.create_task(_wait_long(changed, shortest))]
        await asyncio.wait([*others, *self._running.values()], timeout=longest, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()

    async def _follow(self, job_id: str) -> None:
        """Start a job's workflow, or go on with the one that a dead process or a parked job has left."""
        job = await asyncio.to_thread(self._store.jobs.get, job_id)
        try:
            run = await self._run_of(job)
            parked = await self._see_through(run)
            if parked is not None:
                await asyncio.to_thread(_park, self._store, job, parked)
                return
        except Exception as error:  # noqa: BLE001 whatever ends a workflow, its migration must not "run" for ever
            _log.exception("job %s of migration %s ended in an error", job_id, job.record_id)
            reason = f"{type(error).__name__}: {error}"
        else:
            reason = "the workflow ended without saying how"
        await asyncio.to_thread(_give_up_unended, self._store, job, reason)
        await _forget_steps(job_id, f"{job_id}{_ENDING}")  # they were for going on with it

    async def _run_of(self, job: JobRecord) -> _Run:
        """Return the workflow to run for a job, by what was begun of it and under which flow version.

        What another version has begun is begun anew, where its record and the ledger have all that it needs. Otherwise
        it was cancelled, as its order of steps isn't ours: what it has made is taken back, and no more.
        """
        from dbos import DBOS

        begun = await DBOS.get_workflow_status_async(job.id)
        if begun is not None and begun.app_version != FLOW_VERSION:
            if not job.kind.begins_anew:
                ending = await DBOS.get_workflow_status_async(f"{job.id}{_ENDING}")
                return _Run(f"{job.id}{_ENDING}", job.id, self._flows.end_unknown, begun=ending is not None)
            await _forget_steps(job.id)
            begun = None
        return _Run(job.id, job.id, self._flows.of(job.kind), begun=begun is not None)

    async def _see_through(self, run: _Run) -> LongshoreError | None:
        """Run it until it ends (return None) or is parked (return the error that it is parked for)."""
        from dbos import DBOS, SetWorkflowID

        parked = parking.listen(run.job_id)
        if run.begun:
            handle = await DBOS.resume_workflow_async(run.id, queue_name=self._me.id)
        else:
            with SetWorkflowID(run.id):
                handle = await DBOS.start_workflow_async(run.workflow, run.job_id)
        ended = asyncio.ensure_future(handle.get_result())
        try:
            await asyncio.wait({ended, parked}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            parking.stop_listening(run.job_id)
        if not parked.done():
            ended.result()
            return None
        ended.cancel()
        await asyncio.wait({ended})
        if not ended.cancelled():
            ended.exception()
        return parked.result()


class Clocks:
    """The check of this machine's clock against the database's, by which all others are judged. It says once that they
    differ, and once that they don't any more."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._differ = False

    def compare(self) -> None:
        ahead = time.time() - self._store.outlines.now()
        differ = abs(ahead) > CLOCKS_DIFFER
        if differ and not self._differ:
            which = "ahead of" if ahead > 0 else "behind"
            _log.warning(
                "this machine's clock is %.0f s %s the database's: what it says of moments is wrong. Set it right "
                "(see: timedatectl).",
                abs(ahead),
                which,
            )
        elif self._differ and not differ:
            _log.warning("this machine's clock goes as the database's again")
        self._differ = differ


async def _look_after(what: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(_QUIET_POLL)
        try:
            await asyncio.to_thread(what)
        except Exception:  # noqa: BLE001 the next look may go well
            _log.exception("looking after what nobody waits for failed")


async def _wait_long(changed: Wait, shortest: float) -> None:
    await asyncio.sleep(shortest)
    await changed()


async def _forget_steps(*workflow_ids: str) -> None:
    from dbos import DBOS

    await DBOS.delete_workflows_async(list(workflow_ids))


def _use_wal(path: str) -> None:
    """Have the workflows' database use a write-ahead log, so that readers and the writer don't wait for each other
    (worst call 6.7 s → 0.5 s)."""
    import sqlite3

    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()


async def forget_dead(store: Store) -> None:
    """Delete what dead workers have left: the steps of jobs that have ended, and the queues that nobody listens to."""
    from dbos import DBOS

    ended = ["SUCCESS", "ERROR", "CANCELLED"]
    while found := await DBOS.list_workflows_async(status=ended, limit=200, load_input=False, load_output=False):
        unfinished = set(await asyncio.to_thread(store.queue.unfinished, FLOW_VERSION))
        forgotten = [workflow.workflow_id for workflow in found if workflow.workflow_id not in unfinished]
        if not forgotten:
            break
        await DBOS.delete_workflows_async(forgotten)
    left = await DBOS.list_workflows_async(status=["PENDING", "ENQUEUED"], load_input=False, load_output=False)
    records = await asyncio.to_thread(store.queue.records)  # after that: what begins meanwhile is among these alone
    known = {record.id for record in records}
    # Whoever had it died after its job had ended, and before that was noted
    if stale := [w.workflow_id for w in left if w.workflow_id.removesuffix(_ENDING) not in known]:
        await DBOS.delete_workflows_async(stale)
    alive = {worker.id for worker in await asyncio.to_thread(store.workers.all)}
    held = {record.worker_id for record in records}
    for queue in await DBOS.list_queues_async():
        if queue.name not in alive | held:
            await DBOS.delete_queue_async(queue.name)


def _park(store: Store, job: JobRecord, error: LongshoreError) -> None:
    parked = store.jobs.park(job.id, str(error), parking.PAUSES)
    if parked.times_parked > 1 or parked.due_at is None:  # nothing new; or it is cancelled, and goes on at once
        return
    id_ = job.record_id
    record = store.migrations.get(id_)
    stopped = record.shutdown_requested_at is not None and record.source_power == PowerState.ON.value
    keeps = f"It is parked, and keeps what it has{', with the machine stopped' if stopped else ''}."
    ways = f"sooner: longshore migration resume {id_}; to have it taken back: longshore migration cancel {id_}."
    if job.kind is JobKind.MARK:  # the migration is done
        keeps = f"The marking of {record.machine_name} at its source is parked."
        ways = f"to leave it: longshore migration unmark-source {id_}."
    again = f"It is tried again from {parked.due_at:%H:%M} UTC on; {ways}"
    store.events.say(id_, "parked", f"{error} {keeps} {again}", "warning")


def _give_up_unended(store: Store, job: JobRecord, reason: str) -> None:
    now = store.jobs.find(job.id)
    if now is None or now.status.ended:
        return
    store.migrations.end_job(
        job.record_id,
        job.id,
        status=Status.FAILED,
        error=f"The migration's workflow broke off ({reason}). Run: longshore migration cleanup {job.record_id}.",
        error_code="internal",
    )
