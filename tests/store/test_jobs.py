"""Jobs of records: one at a time, each ended in the moment in which the record hears of it and the next is queued."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from longshore.model.job import JobKind
from longshore.model.status import Status
from longshore.store import Store, WorkerRecord
from longshore.store.tables import JobRow, utc_now
from queued import queue_migration

PAUSES = (timedelta(minutes=1), timedelta(minutes=5))
ME = WorkerRecord("me", "host", 1, "5", 4, ())


@pytest.fixture
def store(each_state):
    store = Store(each_state)
    store.workers.begin_alone(ME)
    yield store
    store.close()


@pytest.fixture
def warm(store):
    cloud = store.providers.add("cloud", "openstack", {}, {}).id
    request = {"type": "warm"}
    return queue_migration(
        store.migrations, machine_name="web", machine_ref="vm-1", source_id=cloud, target_id=cloud, request=request
    ).id


def take(store, worker=ME):
    """Whatever a worker can take now."""
    return store.queue.take(worker, lambda lineup: [r.id for r in [*lineup.cancelled(16), *lineup.waiting(16)]])


def kept(store, warm):
    with store.database.session() as session:
        return session.scalar(select(func.count()).select_from(JobRow).where(JobRow.record_id == warm))


def goes_on(store, warm, **until):
    """Its job is taken, and ends with another one queued."""
    (job,) = take(store)
    store.migrations.end_job(warm, job, next_kind=JobKind.SYNC, state={"number": 1}, **until)
    return job


def test_a_job_that_ends_leaves_its_record_another(store, warm):
    first = store.migrations.get(warm).job
    assert first.kind is JobKind.BEGIN
    assert goes_on(store, warm) == first.id
    record = store.migrations.get(warm)
    assert record.job.id != first.id
    assert (record.job.kind, record.job.worker_id, record.state) == (JobKind.SYNC, None, {"number": 1})
    assert take(store) == [record.job.id]


def test_a_job_ends_once(store, warm):
    """The step that ends it runs again where a process died before that was recorded."""
    job = goes_on(store, warm)
    following = store.migrations.get(warm).job.id
    store.migrations.end_job(warm, job, next_kind=JobKind.SYNC, state={"number": 0})
    assert store.migrations.get(warm).job.id == following
    assert store.migrations.get(warm).state == {"number": 1}


def test_nobody_takes_it_before_its_moment(store, warm):
    goes_on(store, warm, due_at=utc_now() + timedelta(hours=1))
    assert take(store) == []
    [waits] = store.queue.records()
    assert not waits.begun


@pytest.mark.parametrize("asked", ["request_cutover", "request_cancel"])
@pytest.mark.parametrize("before", [True, False])
def test_what_the_user_asks_for_is_not_waited_for(store, warm, asked, before):
    if before:
        getattr(store.migrations, asked)(warm)
    goes_on(store, warm, due_at=utc_now() + timedelta(hours=1))
    if not before:
        getattr(store.migrations, asked)(warm)
    assert take(store) == [store.migrations.get(warm).job.id]


def test_one_that_waits_holds_its_wave_open(store):
    cloud = store.providers.add("cloud", "openstack", {}, {}).id
    plan = store.plans.add("p", {}).id
    from longshore.store import NewMigration

    [first] = store.migrations.add_together([NewMigration("web", "vm-1", cloud, cloud, {"type": "warm"}, plan, 1)])
    goes_on(store, first.id, due_at=utc_now() + timedelta(hours=1))
    seen = []
    store.queue.take(ME, lambda lineup: seen.append(dict(lineup.first_waves)) or [])
    assert seen == [{plan: 1}]


def test_one_that_is_parked_says_why_and_is_taken_again_in_time(store, warm):
    (job,) = take(store)
    parked = store.jobs.park(job, "The cloud is away.", PAUSES)
    record = store.migrations.get(warm)
    assert (record.status, record.job.reason, record.worker_id) == (Status.PARKED, "The cloud is away.", None)
    assert timedelta(0) < parked.due_at - utc_now() <= PAUSES[0]
    assert take(store) == []
    store.jobs.hasten(warm)
    assert take(store) == [job]
    assert store.migrations.get(warm).status is Status.RUNNING
    assert store.migrations.get(warm).flow_version == ME.flow_version, "it goes on with the steps that it has"
    again = store.jobs.park(job, "The cloud is away.", PAUSES)
    assert again.times_parked == 2
    assert again.due_at - utc_now() > PAUSES[0], "each time a little later"


def test_of_many_jobs_the_newest_are_kept(store, warm):
    for _ in range(30):
        goes_on(store, warm)
    assert kept(store, warm) == 21


def test_a_migration_that_is_forgotten_leaves_no_job(store, warm):
    (job,) = take(store)
    store.migrations.end_job(warm, job, status=Status.DONE)
    assert store.migrations.get(warm).job is None
    assert store.migrations.get(warm).finished_at is not None
    store.migrations.remove(warm)
    assert kept(store, warm) == 0
