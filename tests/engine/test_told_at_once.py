"""Workers needn't ask: they are told that the queue has changed, and what they don't hear they find all the same."""

import asyncio
import threading
import time
import uuid
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import event

from longshore.engine import worker as engine
from longshore.engine.worker import Worker, identity
from longshore.flows.workflows import FLOWS
from longshore.model.job import JobKind
from longshore.model.limit import LimitOf, LimitPlace
from longshore.model.status import Status
from longshore.store import EVERY_PROJECT, Leases, NewMigration, Scope, StateDirectory, Store, changes
from longshore.store.tables import utc_now
from queued import queue_migration

NEVER = 3600.0  # seconds: what is taken before was heard


class Office:
    """A database, with a worker that only notes what it takes, and somebody else who changes things."""

    def __init__(self, directory, url):
        self._state = StateDirectory(directory, url)
        self.store, self.others = Store(self._state), Store(self._state)
        self.looks = 0
        self._taken = set()
        self._news = threading.Condition()

    def cloud(self):
        """One that every project may use."""
        cloud = self.others.providers.add(str(uuid.uuid4()), "vsphere", {}, {})
        self.others.providers.share(cloud.id, EVERY_PROJECT)
        return cloud.id

    def project(self):
        """One that has nothing at work, and so a place."""
        return self.others.scoped(Scope(str(uuid.uuid4()), everything=True))

    def ask(self, cloud=None, **request):
        cloud = cloud or self.cloud()
        machine = str(uuid.uuid4())
        return queue_migration(
            self.project().migrations,
            machine_name=machine,
            machine_ref=machine,
            source_id=cloud,
            target_id=cloud,
            request=request,
        )

    def waiting(self, due=timedelta(hours=1)):
        """A warm one whose next job is due so much later."""
        record = self.ask(type="warm")
        self.taken(record)
        self._taken.remove(record.id)  # before its next job is there: its moment may come soon
        self.others.migrations.end_job(
            record.id, record.job.id, next_kind=JobKind.SYNC, due_at=utc_now() + due, state={}
        )
        self.wait_quiet()
        return self.others.migrations.get(record.id)

    @contextmanager
    def at_work(self):
        me = identity(capacity=1000)
        self.store.workers.begin_alone(me)
        worker = Worker(self.store, me, FLOWS)
        look, ends = worker._take_turns, threading.Event()

        def take_turns():
            taken = look()
            with self._news:
                self.looks += 1
                self._news.notify_all()
            return taken

        async def follow(job_id):
            with self._news:
                self._taken.add(self.store.jobs.get(job_id).record_id)
                self._news.notify_all()
            await asyncio.Event().wait()

        async def serve():
            stop = asyncio.Event()
            asyncio.get_running_loop().run_in_executor(None, ends.wait).add_done_callback(lambda _: stop.set())
            await worker._serve(stop, linger=None)

        worker._take_turns, worker._follow = take_turns, follow
        thread = threading.Thread(target=lambda: asyncio.run(serve()))
        thread.start()
        try:
            self.wait_quiet()
            yield
        finally:
            ends.set()
            thread.join(20)
            self.close()

    def wait_quiet(self):
        """Until it has looked, and nothing makes it look again."""
        seen = -1
        with self._news:
            assert self._news.wait_for(lambda: self.looks, 20)
            while seen != self.looks:
                seen = self.looks
                self._news.wait(0.1)

    def taken(self, record):
        with self._news:
            assert self._news.wait_for(lambda: record.id in self._taken, 20), "nobody has taken it"

    def close(self):
        self.store.close()
        self.others.close()


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def office(request, tmp_path_factory):
    shared = request.param == "postgresql"
    url = request.getfixturevalue("postgresql").database() if shared else None
    with pytest.MonkeyPatch.context() as patch:  # nobody looks by the clock
        patch.setattr(engine, "_LOOK", NEVER)
        patch.setattr(engine, "_POLL", 0.01)
        patch.setattr(engine, "_POLLING_AT_MOST", 1.0)
        patch.setattr(changes, "_PAUSE", 0.02)
        office = Office(tmp_path_factory.mktemp("office"), url)
        with office.at_work():
            yield office


@pytest.fixture
def shared(office):
    if not office.store.state.shared_database:
        pytest.skip("PostgreSQL's alone")
    return office


def test_what_somebody_else_queues_is_taken_at_once(office):
    office.wait_quiet()
    office.taken(office.ask())


@pytest.mark.parametrize(
    "asked",
    [
        lambda store, id_: store.jobs.hasten(id_),
        lambda store, id_: store.migrations.request_cancel(id_),
        lambda store, id_: store.migrations.request_cutover(id_),
    ],
    ids=["resume", "cancel", "cutover"],
)
def test_what_is_asked_of_one_that_waits_begins_at_once(office, asked):
    warm = office.waiting()
    asked(office.others, warm.id)
    office.taken(warm)


def test_a_limit_that_is_changed_holds_at_once(office):
    cloud = office.cloud()
    place = LimitPlace(LimitOf.SOURCE, cloud, "")
    limit = office.others.limits.put(place, None, {"at_once": 1}).limit
    first, second, third = [office.ask(cloud) for _ in range(3)]
    office.taken(first)
    office.others.limits.put(place, None, {"at_once": 2})
    office.taken(second)
    office.others.limits.remove(limit.id)
    office.taken(third)


def test_a_plans_limit_that_is_changed_holds_at_once(office):
    cloud, project = office.cloud(), office.project()
    plan = project.plans.add("all", {"limits": {"at_once": 1}})
    new = [NewMigration(f"vm-{n}", f"vm-{n}", cloud, cloud, {}, plan_id=plan.id) for n in range(2)]
    first, second = project.migrations.add_together(new)
    office.taken(first)
    project.plans.replace("all", {"limits": {"at_once": 2}})
    office.taken(second)


def test_a_place_that_becomes_free_is_taken_at_once(office):
    cloud = office.cloud()
    office.others.limits.put(LimitPlace(LimitOf.SOURCE, cloud, ""), None, {"at_once": 1})
    first, second, third = [office.ask(cloud) for _ in range(3)]
    office.taken(first)
    office.others.migrations.end_job(first.id, first.job.id, status=Status.DONE)
    office.taken(second)
    office.others.jobs.park(second.job.id, "the cloud is away", [timedelta(hours=1)])
    office.taken(third)


def test_what_waits_for_its_moment_is_taken_then(office):
    warm = office.waiting(timedelta(seconds=0.5))
    office.taken(warm)
    assert warm.job.due_at <= utc_now()


def test_an_unchanged_database_is_asked_nothing(office):
    office.waiting()
    asked = []
    event.listen(office.store.database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def is_quiet():
        asked.clear()
        time.sleep(0.2)
        return asked == []

    assert any(is_quiet() for _ in range(25)), asked  # in the end: what it looks at now was queued above


def test_what_a_worker_leaves_is_taken_once_its_lease_has_ended(shared):
    other = identity(capacity=1)
    leases = Leases(shared.others.database, other, ttl=20.0)
    leases.take()
    warm = shared.waiting()
    assert shared.others.queue.take(other, lambda _: [warm.job.id]) == [warm.job.id]
    leases.give_up(0.1)
    leases.close()
    shared.taken(warm)


def test_after_a_restart_of_the_database_it_is_told_again(shared, postgresql):
    postgresql.restart()
    shared.taken(shared.ask())
    shared.wait_quiet()  # and listens again, or it would look once more
    shared.taken(shared.ask())


def test_what_it_is_not_told_it_finds_by_the_clock(shared, postgresql, monkeypatch, caplog):
    async def refuse(*_arguments, **_named):
        raise psycopg.OperationalError("connection to 127.0.0.1 refused")

    monkeypatch.setattr(engine, "_LOOK", 0.1)
    shared.taken(shared.ask())  # from then on by that clock
    with monkeypatch.context() as patch:
        patch.setattr(psycopg.AsyncConnection, "connect", refuse)
        postgresql.query(
            shared.store.state.shared_database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN longshore%'",
        )
        end = time.monotonic() + 20
        while "aren't heard at once" not in caplog.text:
            assert time.monotonic() < end, "that nobody tells it isn't noticed"
            time.sleep(0.01)
        shared.taken(shared.ask())
    assert caplog.text.count("aren't heard at once (OperationalError)") == 1
