"""A commit that the database has heard, and whose answer was lost with the connection: what is tried again then."""

import asyncio
from contextlib import contextmanager, suppress

import psycopg
import pytest

from longshore.engine.worker import Worker, identity
from longshore.errors import Conflict, NotFound, Unreachable
from longshore.flows.workflows import FLOWS
from longshore.model.status import Status
from longshore.model.target import Owner
from longshore.store import JobFilter, Leases, NewMigration, Scope, StateDirectory, Store, ThingKind
from longshore.store.provider_ledger import Outside
from queued import queue_migration


@pytest.fixture(scope="module")
def store(postgresql, tmp_path_factory):
    store = Store(StateDirectory(tmp_path_factory.mktemp("state"), postgresql.database()))
    yield store
    store.close()


@pytest.fixture
def lossy(monkeypatch):
    """Of each commit that changes something the answer is lost, but not of the try after that."""
    monkeypatch.setattr("longshore.store.database._PAUSES", (0.001, 0.001))

    @contextmanager
    def losing(database):
        dialect = database.engine.dialect
        real = dialect.do_commit
        answers = [True]

        def commit(connection):
            cursor = connection.cursor()
            writes = cursor.execute("SELECT pg_current_xact_id_if_assigned()").fetchone() != (None,)
            real(connection)
            if writes:
                answers.append(not answers[-1])
            if writes and not answers[-1]:
                connection.dbapi_connection.close()
                raise psycopg.OperationalError("server closed the connection unexpectedly")

        with monkeypatch.context() as patched:
            patched.setattr(dialect, "do_commit", commit)
            yield
        assert False in answers

    return losing


@pytest.fixture
def cloud(store, request):
    return store.providers.add(request.node.name[-200:], "vsphere", {}, {}).id


@pytest.fixture
def migration(store, cloud):
    new = NewMigration("web", "vm-1", cloud, cloud, {"type": "warm"})
    added = store.migrations.add_together([new])[0]
    yield added
    store.migrations.end_job(new.id, added.job.id, status=Status.DONE)


@pytest.mark.parametrize("patience", [0.0, 20.0])
def test_what_was_taken_is_started_once_though_its_worker_never_heard_of_it(
    store, migration, lossy, monkeypatch, patience
):
    me = identity(4)
    store.workers.begin_alone(me)
    worker = Worker(store, me, FLOWS)
    started = []

    async def follow(migration_id):
        started.append(migration_id)
        await asyncio.Event().wait()

    async def look():
        with lossy(store.database), suppress(Unreachable):
            await worker._take()
        for _ in range(2):
            await worker._take()
            await asyncio.sleep(0)

    monkeypatch.setattr(worker, "_follow", follow)
    monkeypatch.setattr(store.database, "patience", patience)
    asyncio.run(look())
    assert started == [migration.job.id]


def test_a_migration_is_queued_once_and_that_is_said(store, cloud, lossy):
    with lossy(store.database):
        record = queue_migration(
            store.migrations, machine_name="db", machine_ref="vm-2", source_id=cloud, target_id=cloud, request={}
        )
    assert [found.id for found in store.migrations.page(10, fitting=JobFilter(provider_id=cloud))] == [record.id]
    with pytest.raises(Conflict, match="migrated already"):
        queue_migration(
            store.migrations, machine_name="db", machine_ref="vm-2", source_id=cloud, target_id=cloud, request={}
        )


def test_a_plan_is_made_and_removed_once(store, lossy):
    with lossy(store.database):
        plan = store.plans.add("p", {"name": "p", "machines": [{"machine": "web", "user_data": "#!"}]})
        assert store.plans.get("p").id == plan.id
        store.plans.remove("p")
    with pytest.raises(NotFound):
        store.plans.get("p")
    with store.database.session() as session:
        assert not session.connection().exec_driver_sql("SELECT * FROM texts").all()


def test_a_provider_is_added_shared_and_removed_once(store, lossy):
    # One that another project has under the same name must not go in the place of ours
    other = store.providers.scoped(Scope("theirs")).add("twin", "vsphere", {}, {})
    with lossy(store.database):
        ours = store.providers.add("twin", "vsphere", {}, {"password": "x"})
        assert store.providers.secrets(ours.id) == {"password": "x"}
        store.providers.share("twin", "somebody")
        store.providers.unshare("twin", "somebody")
        store.providers.remove("twin")
    assert store.providers.get("twin").id == other.id
    with pytest.raises(NotFound):
        store.providers.unshare(other.id, "somebody")


def test_the_secret_of_a_provider_stays_in_the_key_manager(store, lossy, monkeypatch):
    kept = {}
    monkeypatch.setattr(store.key_manager, "is_for_new", lambda: True)
    monkeypatch.setattr(store.key_manager, "keep", kept.__setitem__)
    monkeypatch.setattr(store.key_manager, "forget", lambda provider_id: kept.pop(provider_id, None))
    with lossy(store.database):
        record = store.providers.add("in barbican", "vsphere", {}, {"password": "x"})
    assert kept == {record.id: {"password": "x"}}


def test_an_event_is_told_once(store, migration, lossy):
    with lossy(store.database):
        store.events.enter(migration.id, "copying", "It is copied.")
        for _ in range(2):  # what is said twice is told twice
            store.events.say(migration.id, None, "Still copying.")
    told = [(event.phase, event.text) for event in store.events.of(migration.id)]
    assert told == [("copying", "It is copied."), ("copying", "Still copying."), ("copying", "Still copying.")]


@pytest.mark.parametrize("ask", ["request_cancel", "request_cutover"])
def test_a_wish_is_heard_though_the_migration_ends_before_that_can_be_said(store, migration, lossy, monkeypatch, ask):
    # Between the two tries, as a worker would that has heard it
    again = store.database._persist

    def persist(work):
        def at_work():
            if store.database.may_be_done:
                store.migrations.update(migration.id, status=Status.CANCELLED)
            return work()

        return again(at_work)

    with lossy(store.database):
        monkeypatch.setattr(store.database, "_persist", persist)
        assert getattr(store.migrations, ask)(migration.id).status is Status.CANCELLED
    with pytest.raises(Conflict, match="ended already"):
        getattr(store.migrations, ask)(migration.id)


def test_a_migration_is_removed_once(store, cloud, lossy):
    record = queue_migration(
        store.migrations, machine_name="db", machine_ref="vm-3", source_id=cloud, target_id=cloud, request={}
    )
    store.migrations.end_job(record.id, record.job.id, status=Status.DONE)
    with lossy(store.database):
        store.migrations.remove(record.id[:30])
    with pytest.raises(NotFound):
        store.migrations.remove(record.id)


def test_what_is_written_down_before_it_is_made_is_written_once(store, migration, cloud, lossy):
    with lossy(store.database):
        entry = store.ledger.intend(Owner(migration.id, "volume-1"), cloud, ThingKind.VOLUME)
        holding = store.provider_ledger.intend(cloud, Outside.SECRET)
        flavor = store.plan_flavors.intend("some plan", cloud, "large")
    assert store.ledger.entries(migration.id) == [entry]
    assert store.provider_ledger.count(Outside.SECRET) == 1
    assert store.provider_ledger.find(cloud, Outside.SECRET) == holding
    assert store.plan_flavors.of_plan("some plan") == [flavor]


def test_a_worker_is_known_once(store, lossy, monkeypatch):
    me = identity(1)
    leases = Leases(store.database, me, ttl=30.0)
    monkeypatch.setattr(leases, "_engine", store.database.engine)
    with lossy(store.database):
        store.database.persist(leases.take)
        assert leases.renew()
    assert me.id in {worker.id for worker in store.workers.all()}
    store.workers.end(me.id)
