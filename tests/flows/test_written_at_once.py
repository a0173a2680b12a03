"""Who waits for a phase reads what belongs to it as soon as it is there: a page, a command with --wait, a program."""

import pytest
from protected_group import PAUSE
from written import written_at_stage, written_in_phase

pytestmark = pytest.mark.long


def test_who_sees_a_warm_migration_wait_finds_why(protect):
    warm = protect(warm=True)
    with written_in_phase(warm.store, "waiting") as seen:
        assert warm.engine()[0] == 0
    assert seen
    assert all(one["state"]["why"] for one in seen)


def test_who_sees_a_group_at_its_gate_finds_until_when(protect_group):
    group = protect_group(gates={1: PAUSE})
    with written_in_phase(group.store, "gate") as seen:
        assert group.begin("failover") == 0
    assert seen
    assert all(one["state"]["progress"]["pause_until"] for one in seen)


def test_who_sees_a_tried_group_up_finds_when_it_is_removed(protect_group):
    group = protect_group()
    with written_in_phase(group.store, "up") as seen:
        assert group.begin("test-failover", stays=3600.0) == 0
    of_run = [one["state"] for one in seen if "tiers" in one["state"]]
    assert of_run
    assert all(state["remove_at"] for state in of_run)


def test_who_sees_a_replica_failed_over_and_back_finds_the_figures(protect):
    replica = protect(landing="as-is", boot_timeout=0.5)
    replica.sync()
    (replica.world.root / "one-moment").touch()
    with written_at_stage(replica.store, "failed-over", "failover_id") as seen:
        replica.ask_for_failover()
    assert [list(one["result"]["seconds"])[-1] for one in seen] == ["all"], replica.told
    with written_at_stage(replica.store, "failed-back", "failback_id") as seen:
        assert replica.fail_back() == 0
    assert ["downtime_seconds" in one["result"] for one in seen] == [True]
