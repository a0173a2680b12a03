"""Clouds that don't answer for a while: what is at work waits, is told of, and goes on where it was."""

import time
from collections import Counter

import pytest
from small_clouds import SIZES
from test_warm_with_faults import SOON
from waiting import wait_for, waits_with_its_copy

from longshore.engine.outages import FAULTS, LOGINS
from longshore.errors import FAULT, Unreachable
from longshore.model.status import Status

pytestmark = pytest.mark.long

LOOKING = ["machine", "room", "networks", "volume_types", "flavors", "quota_room", "taken", "present"]
AT_WORK = ["create_volume", "make_ready", "create_port", "shut_down", "wait_powered_off", "snapshot", "open_disk"]
AT_WORK += ["open_volume", "remove_snapshot", "snapshot_volume", "finish_volume", "create_server", "console"]
AT_WORK += ["delete_volume_snapshot"]


@pytest.mark.parametrize(("when", "how"), [("before", "away"), ("after", "away"), ("after", "fault")])
def test_each_call_may_have_no_answer_at_first(run, when, how):
    """Before it did anything, or when all was done but to say so: nothing is done twice, nothing taken back."""
    for call in [*LOOKING, *AT_WORK]:
        for number in (1, 2):
            run.world.plan_fault(call, number, when, how)
    (run.world.root / "no-leaving").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    assert record.result["bytes_read"] == sum(SIZES.values()), "each disk was copied once"
    told = Counter(text for text in run.told if "Waiting for small-" in text)
    for call in [LOOKING[0], *AT_WORK]:
        assert any(f"didn't answer to {call}. Waiting for small-" in text for text in told), (call, run.told)
    assert sum(" answers again after " in text for text in run.told) == sum(told.values())


@pytest.mark.parametrize(("how", "code", "calls"), [("away", Unreachable.code, 10), ("fault", FAULT, 1 + FAULTS)])
def test_a_cloud_that_never_answers_again_is_given_up(begin, how, code, calls):
    run = begin(when_stuck="take-back")
    for _ in range(1000):
        run.world.plan_fault("create_server", 1, "before", how)
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert record.error_code == code
    asked = run.world.calls().count("create_server")
    assert asked >= calls if how == "away" else asked == calls
    run.assert_as_before()
    assert sum("Waiting for small-target" in text for text in run.told) == 1, "it is said once"


@pytest.mark.parametrize("how", ["occupied", "login"])
def test_what_passes_at_each_call_costs_nothing(run, how):
    """Somebody else's task on the machine, or a directory that vCenter asks and that is away for a moment."""
    for call in AT_WORK:
        run.world.plan_fault(call, 1, "before", how)
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    assert record.result["bytes_read"] == sum(SIZES.values()), "each disk was copied once"
    if how == "occupied":
        waited = [text for text in run.told if "Somebody's backup is under way" in text and "Trying again" in text]
        assert len(waited) == len(AT_WORK)


def test_a_log_in_that_stays_refused_is_tried_no_further(begin):
    """More tries lock an account."""
    run = begin(when_stuck="take-back")
    for number in range(1, 10):
        run.world.plan_fault("create_volume", number, "before", "login")
    record = run.to_the_end(lives=1)
    assert (record.status, record.error_code) == (Status.FAILED, "access-denied")
    assert run.world.calls().count("create_volume") <= len(SIZES) * (1 + LOGINS)


@pytest.mark.parametrize("how", ["occupied", "fault"])
def test_before_the_downtime_what_stays_is_parked_for(begin, how):
    """Also what nobody knows."""
    run = begin()
    run.world.plan_fault("create_volume", 1, "before", how, stays=True)
    engine = run.start_engine()
    wait_for(lambda: run.record.status is Status.PARKED, engine)
    run.world.lift_faults()
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_in_the_downtime_the_source_runs_again_when_it_stays(begin):
    run = begin(**SOON)
    run.world.plan_fault("snapshot", 3, "before", "occupied", stays=True)
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    assert "Somebody's backup is under way" in run.record.error
    run.world.lift_faults()
    run.store.migrations.request_cutover(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_who_waits_for_a_cloud_can_still_be_cancelled(run):
    for _ in range(1000):
        run.world.plan_fault("create_server", 1, "before", "away")
    life = run.start_engine()
    while not any("Waiting for small-target" in text for text in run.told):
        assert life.poll() is None, life.said
        time.sleep(0.02)
    run.store.migrations.request_cancel(run.id)
    life.wait()
    assert run.record.status is Status.CANCELLED
    run.assert_as_before()


def test_a_roll_back_waits_too(begin):
    run = begin(when_stuck="take-back")
    run.world.plan_fault("create_server", 1, "before", "error")
    for call in ("delete_port", "delete_volume", "delete_volume_snapshot", "power_on"):
        for _ in range(5):  # more often than a removal is tried
            run.world.plan_fault(call, 1, "before", "away")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert "a moment of weakness in create_server" in record.error
    run.assert_as_before()
