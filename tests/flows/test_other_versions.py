"""Migrations that were begun by a release whose order of steps was another one."""

import sqlite3
import time
from contextlib import closing

import pytest
from sqlalchemy import update

from longshore.engine import embedded
from longshore.model.status import Status
from longshore.service.migrations_shown import shown
from longshore.store.tables import JobRow

pytestmark = pytest.mark.long


def begun_before_the_upgrade(run):
    """What the engine that was killed has left is of another version from here on."""
    with run.store.database.session() as session:
        session.execute(update(JobRow).where(JobRow.record_id == run.id).values(flow_version="1"))
    with closing(sqlite3.connect(run.store.state.engine_database)) as database:
        changed = database.execute("UPDATE workflow_status SET application_version = '1'").rowcount
        database.commit()
    assert changed == 1


@pytest.mark.turns
@pytest.mark.parametrize("call", ["create_volume", "shut_down", "open_volume", "convert", "create_server"])
def test_one_that_nobody_can_go_on_with_says_so_and_can_be_taken_back(run, call):
    run.world.plan_fault(call, 1, "after", "kill")
    run.engine()
    begun_before_the_upgrade(run)
    assert not embedded.has_work(run.store)
    [told] = shown(run.store, [run.record])
    assert told.interrupted
    assert f"longshore migration cancel {run.id}" in told.stranded
    calls = run.world.calls()
    assert run.engine()[0] == 0
    assert run.world.calls() == calls, "nothing was done under an order of steps that isn't ours"

    run.store.migrations.request_cancel(run.id)
    assert shown(run.store, [run.record])[0].stranded is None
    run.world.plan_fault("delete_volume", 1, "after", "kill")  # and this engine dies on the way, too
    run.engine()
    assert run.record.status is Status.ROLLING_BACK
    record = run.to_the_end(lives=1)
    assert (record.status, record.error_code) == (Status.CANCELLED, "cancelled")
    run.assert_as_before()
    assert run.steps_kept() == 0


def test_a_machine_that_was_seen_up_is_not_taken_from_its_users(run):
    run.world.plan_fault("delete_volume_snapshot", 1, "before", "kill")
    run.engine()
    assert run.record.target_up_at is not None
    begun_before_the_upgrade(run)
    run.store.migrations.request_cancel(run.id)
    assert run.to_the_end(lives=1).status is Status.DONE
    run.assert_moved()


@pytest.mark.parametrize(("call", "number"), [("snapshot", 1), ("open_volume", 2), ("snapshot", 2), ("look", 1)])
def test_a_sync_that_was_broken_off_begins_anew_under_any(begin, call, number):
    run = begin(type="warm", cutover={"mode": "automatic", "downtime": 3600.0})
    run.world.plan_fault(call, number, "after", "kill")
    run.engine()
    begun_before_the_upgrade(run)
    assert shown(run.store, [run.record])[0].stranded is None
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    run.assert_moved()


def test_one_that_waits_between_two_syncs_does_not_notice(begin):
    run = begin(type="warm", cutover={"mode": "manual", "interval": 3600.0})
    life = run.start_engine()
    end = time.monotonic() + 30
    while run.record.phase != "waiting" or run.record.job.worker_id or run.steps_kept():
        assert life.poll() is None, life.said
        assert time.monotonic() < end, "somebody works for it"
        time.sleep(0.02)
    life.kill()
    assert run.record.flow_version is None, "anybody may take it"
    run.store.migrations.request_cutover(run.id)
    assert run.to_the_end(lives=1).status is Status.DONE, run.record.error
    run.assert_moved()
