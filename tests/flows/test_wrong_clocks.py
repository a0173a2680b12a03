"""What a clock that was wrong once leaves behind holds nothing up: xen-orchestra#4926, velero#7533, restic#3619."""

from datetime import UTC, datetime, timedelta

import pytest
from shifted_clock import ShiftedClock
from small_clouds import MIB
from test_backup_policies import Policy

from longshore.flows.moves.syncs import History, Turn, next_moment, next_turn
from longshore.flows.replicas.standing import conditions_of
from longshore.model.request import Cutover, CutoverMode
from longshore.store.tables import utc_now
from longshore.vault.points import discard_point

pytestmark = pytest.mark.long

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def shift(monkeypatch):
    return ShiftedClock(monkeypatch)


def snapshots(backup):
    return len(backup.world.read()["snapshots"])


def back_up(backup):
    backup.world.guest_writes("2000", 2 * MIB + 5, b"a word")
    return backup.back_up()


def test_a_point_of_a_moment_to_come_is_no_basis_and_leaves_one_snapshot_at_the_source(backed_up, shift):
    backup = backed_up()
    (backup.world.root / "keeps-bases").touch()
    back_up(backup)
    shift(days=1)
    ahead = back_up(backup)
    shift()
    back_up(backup)
    assert snapshots(backup) == 1
    last = back_up(backup)
    assert last["base"] != ahead["point"]
    assert last["bytes_read"] < MIB, "the chain goes on: what has changed is read, and nothing else"
    assert snapshots(backup) == 1


def test_the_snapshot_of_a_point_that_is_gone_goes_with_the_next_backup(backed_up):
    backup = backed_up()
    (backup.world.root / "keeps-bases").touch()
    back_up(backup)
    newest = back_up(backup)
    discard_point(backup.vault, newest["point"])
    back_up(backup)
    assert snapshots(backup) == 1


def test_a_policy_runs_by_its_schedule_whatever_a_clock_has_left(backed_up, shift):
    backup = backed_up()
    policy = Policy(backup, due_at=utc_now() - timedelta(minutes=1))
    shift(days=365)
    policy.run_at_once()
    shift()
    policy.store.jobs.hasten_mistimed()
    job = policy.store.migrations.get(policy.id).job
    assert job.due_at is None, "it doesn't wait a year for its next look"
    policy.run_at_once()
    assert policy.now.due_at <= utc_now() + timedelta(days=1)
    assert policy.store.jobs.hasten_mistimed() == 0, "what a right clock has chosen is waited for"


def test_a_run_by_a_clock_that_is_ahead_pushes_no_good_point_out(backed_up, shift):
    policy = Policy(backed_up(), keep="within 30d")
    first = policy.run_at_once()[0].point
    shift(days=365)
    (ahead,) = policy.run_at_once()
    assert (ahead.deleted, first in policy.reasons) == ((), True)
    assert "This machine's clock says" in ahead.error
    shift()
    (last,) = policy.run_at_once()
    assert (last.error, last.deleted) == (None, ())
    assert set(policy.reasons) == {first, ahead.point, last.point}


@pytest.mark.parametrize("schedule", ["every 15m", "continuous", "daily 02:00 UTC"])
def test_a_replica_is_synchronised_by_its_schedule_whatever_a_clock_has_left(protect, shift, schedule):
    replica = protect(schedule=schedule, rpo=3600)
    replica.sync()
    shift(days=30)
    replica.sync()
    shift()
    replica.store.replicas.change(replica.id, paused=False)
    replica.store.replicas.change(replica.id, paused=True)
    replica.sync()
    longest = timedelta(days=1) if schedule.startswith("daily") else timedelta(hours=1)
    assert replica.replica.due_at <= utc_now() + longest


def test_a_point_of_a_moment_to_come_hides_no_breach(protect, shift):
    replica = protect(schedule="every 15m", rpo=3600)
    replica.sync()
    shift(days=30)
    replica.sync()
    shift()
    (one,) = replica.store.protection.all()
    said = [condition.code for condition in conditions_of(one, datetime.now(UTC) + timedelta(hours=20))]
    assert "rpo-breached" in said


def test_a_warm_migration_goes_on_after_a_sync_by_a_clock_that_was_ahead():
    ended = NOW + timedelta(days=30)
    history = History(1, ended - timedelta(minutes=1), ended, 60.0)
    cutover = Cutover(mode=CutoverMode.MANUAL, interval=3600)
    assert next_turn(cutover, history, NOW, asked=False) is Turn.SYNC
    assert next_turn(cutover, history, NOW, asked=True) is Turn.SYNC
    assert next_moment(cutover, history, NOW) == NOW + timedelta(hours=1)
