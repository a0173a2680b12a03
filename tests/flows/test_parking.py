"""Migrations that can't go on: they keep what they have, say why, and go on when the reason is gone or when told to."""

import os
import signal
import time
from contextlib import suppress

import pytest
from small_clouds import MIB, SIZES

from longshore.engine import outages
from longshore.engine.outages import Outages
from longshore.errors import QuotaExceeded, Unreachable
from longshore.model.status import Status
from running import command_lines

pytestmark = pytest.mark.long

AUTOMATIC = {"type": "warm", "cutover": {"mode": "automatic", "downtime": 3600.0}}


def away(run, call, number=1, how="away"):
    """From its `number`th call on, until `back`."""
    run.world.plan_fault(call, number, "before", how, stays=True)


def back(run):
    run.world.lift_faults()


def wait_for(condition, life, seconds=180.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert life.poll() is None, life.said
        assert time.monotonic() < end, life.said
        time.sleep(0.02)
    return found


def parked(run, life):
    wait_for(lambda: run.record.status is Status.PARKED, life)
    return run.record


@pytest.mark.turns
@pytest.mark.parametrize(
    ("request_", "call"),
    [
        pytest.param({}, "machine", id="cold-machine"),
        pytest.param(AUTOMATIC, "create_volume", id="warm-create_volume"),
        pytest.param({}, "snapshot", id="cold-snapshot"),
        pytest.param(AUTOMATIC, "open_volume", id="warm-open_volume"),
        pytest.param(AUTOMATIC, "create_server", id="warm-create_server"),
    ],
)
def test_one_whose_cloud_stays_away_keeps_what_it_has_and_goes_on_by_itself(begin, request_, call):
    run = begin(**request_)
    away(run, call)
    life = run.start_engine()
    record = parked(run, life)
    assert f"didn't answer to {call}" in record.job.reason
    there = run.world.read()
    time.sleep(1.0)  # several tries, each as much in vain
    assert {kind: run.world.read()[kind] for kind in there} == there, "nothing is taken back, and nothing made twice"
    assert sum("It is parked" in text for text in run.told) == 1, run.told
    back(run)
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_one_that_is_told_to_goes_on_at_once(begin, monkeypatch):
    run = begin(**AUTOMATIC)
    (run.world.root / "pauses").write_text("3600")
    away(run, "open_volume")
    life = run.start_engine()
    assert (parked(run, life).job.due_at - run.record.created_at).total_seconds() > 3000
    back(run)
    run.store.jobs.hasten(run.id)
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_one_that_is_cancelled_is_taken_back_at_once(begin):
    run = begin(**AUTOMATIC)
    (run.world.root / "pauses").write_text("3600")
    away(run, "open_volume")
    life = run.start_engine()
    parked(run, life)
    run.store.migrations.request_cancel(run.id)
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.CANCELLED
    run.assert_as_before()


def test_one_that_is_parked_outlives_its_engine(begin):
    run = begin(**AUTOMATIC)
    away(run, "open_volume")
    life = run.start_engine()
    parked(run, life)
    life.kill()
    back(run)
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    run.assert_moved()


def test_a_quota_that_is_short_is_waited_for(begin):
    run = begin()
    away(run, "create_volume", number=2, how="quota")
    life = run.start_engine()
    assert QuotaExceeded.code and "no room" in parked(run, life).job.reason
    back(run)
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_a_copy_that_stalls_is_tried_again(begin):
    run = begin()
    life = run.start_engine()
    wait_for(lambda: "look" in run.world.calls(), life)  # which has limits of its own
    (run.world.root / "hang").touch()
    assert "hasn't moved" in parked(run, life).job.reason
    (run.world.root / "hang").unlink()
    assert life.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_whose_user_wants_it_back_is_taken_back(begin):
    run = begin(**AUTOMATIC, when_stuck="take-back")
    away(run, "snapshot", number=2)
    record = run.to_the_end(lives=1)
    assert (record.status, record.error_code) == (Status.FAILED, Unreachable.code)
    run.assert_as_before()


def test_what_was_copied_before_is_not_copied_again(begin):
    """The target's cloud goes away while the second disk is copied: the first one's copy counts."""
    run = begin()
    away(run, "open_volume", number=2)
    life = run.start_engine()
    parked(run, life)
    back(run)
    assert life.wait(timeout=60) == 0
    record = run.record
    assert record.status is Status.DONE, record.error
    assert record.result["bytes_read"] == sum(SIZES.values())
    run.assert_moved()


@pytest.mark.parametrize("request_", [{}, AUTOMATIC], ids=["cold", "warm"])
def test_a_copy_that_is_parked_in_its_middle_goes_on_from_its_checkpoint(begin, request_):
    rate = 200 << 10  # bytes per second and disk: some fifteen seconds, with a checkpoint every five
    run = begin(rate_limit=rate, **request_)
    life = run.start_engine()
    directory = run.store.state.migration(run.id)
    wait_for(lambda: any(directory.glob("*.checkpoint")), life)
    for call in ("open_disk", "open_volume"):
        away(run, call)
    done = {disk.key: disk.progress["done"] for disk in run.record.disks}
    for pid in serving(run.world.root):
        with suppress(ProcessLookupError):  # it may have ended meanwhile
            os.kill(pid, signal.SIGKILL)
    parked(run, life)
    back(run)
    assert life.wait(timeout=120) == 0
    record = run.record
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    first = record.result["bytes_read"] if not record.syncs else record.syncs[0]["bytes_read"]
    twice = first - (sum(SIZES.values()) - sum(done.values()))
    assert twice <= len(SIZES) * (rate * 5.0 + MIB), "more than what was read since a checkpoint"
    assert first < sum(SIZES.values()), "it began anew"


def serving(root):
    """Processes that hand out this world's disks."""
    mark = str(root).encode()
    return [pid for pid, words in command_lines().items() if words.startswith(b"nbdkit") and mark in words]


def test_one_cloud_that_answers_is_no_reason_to_wait_long_for_the_other(monkeypatch):
    """Tried again it asks the source first, each time, and the target is still away."""
    monkeypatch.setattr(outages, "_PAUSES", (0.01, 0.01))
    monkeypatch.setattr(outages, "BRIEFLY", 0.05)
    monkeypatch.setattr(outages, "LONGEST", 30.0)
    said = []
    again = Outages(lambda text, _level: said.append(text), lambda: None, tried_before=True)

    def nobody():
        raise Unreachable("The target didn't answer.")

    assert again.through("source", lambda: "there") == "there"
    began = time.monotonic()
    with pytest.raises(Unreachable):
        again.through("target", nobody)
    assert time.monotonic() - began < 20, "it was waited for as if it had only just gone"
    assert said == []
