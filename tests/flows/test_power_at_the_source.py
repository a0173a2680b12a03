"""Somebody powers the source on, or off, while its migration goes on.

Whenever that is: the machine never runs on both sides in the end, and what it has written is never missing where it is
handed over.
"""

import pytest
from small_clouds import MIB

from longshore.model.status import Status

pytestmark = pytest.mark.long

AT_ONCE = {"mode": "scheduled", "at": "2026-01-01T00:00:00Z"}
WAYS = {"cold": ({}, 2), "warm": ({"type": "warm", "cutover": AT_ONCE}, 2)}  # and which snapshot is the last
ORDER = b"order 4711, paid"


@pytest.mark.turns
@pytest.mark.parametrize(
    ("way", "when", "events"),
    [("cold", "before", True), ("cold", "after", False), ("warm", "before", False), ("warm", "after", True)],
)
def test_between_a_recorded_shutdown_and_the_last_snapshot(begin, way, when, events):
    request, last = WAYS[way]
    run = begin(**request)
    if not events:
        (run.world.root / "no-events").touch()
    run.world.plan_fault("snapshot", last, when, "kill")
    assert run.engine()[0] == -9
    assert run.record.source_off_at is not None
    run.world.hand("on", ORDER)
    record = run.to_the_end(lives=1)
    if way == "cold":
        refused(run, record)
    else:  # it takes another sync and another shutdown
        assert record.status is Status.DONE, record.error
        run.assert_moved()
        assert ORDER in (run.world.root / "source-2000").read_bytes()
        assert any("it is copied once more" in text for text in run.told)
        assert [sync["final"] for sync in record.syncs] == [False, False, True]


@pytest.mark.turns
@pytest.mark.parametrize(
    ("way", "call", "when", "off_again"),
    [
        ("cold", "open_disk", "after", False),
        ("cold", "finish_volume", "after", True),
        ("cold", "create_server", "after", False),
        ("warm", "create_server", "after", True),
        ("cold", "console", "before", False),
    ],
)
def test_when_its_copy_is_about_to_boot_or_has(begin, way, call, when, off_again):
    """Also when it is off again before anybody looks: what it wrote in between isn't in the copy."""
    # A guest that is to be changed is looked into while the machine still runs: that isn't the disk that is meant
    landing = {"landing": "unchanged"} if call == "open_disk" else {}
    run = begin(**WAYS[way][0], **landing, when_stuck="take-back")
    (run.world.root / "one-moment").touch()
    run.world.plan_hand(call, when, "on", ORDER)
    if off_again:
        run.world.plan_hand(call, when, "off")
    refused(run, run.to_the_end(lives=1))


@pytest.mark.parametrize("off_again", [False, True])
def test_while_a_worker_was_dead_after_the_server_was_made(begin, off_again):
    run = begin(when_stuck="take-back")
    run.world.plan_fault("create_server", 1, "after", "kill")
    assert run.engine()[0] == -9
    run.world.hand("on", ORDER)
    if off_again:
        run.world.hand("off")
    refused(run, run.to_the_end(lives=1))


def test_again_and_again(begin):
    run = begin(**WAYS["warm"][0], when_stuck="take-back")
    run.world.plan_hand("snapshot", "before", "on", ORDER, every=True)
    refused(run, run.to_the_end(lives=1))
    assert run.world.calls().count("shut_down") == 3


def test_a_guest_that_may_still_shut_down_is_told_of(begin):
    run = begin(shutdown_timeout=0.5)
    (run.world.root / "stays-on").touch()
    record = run.to_the_end(lives=1)
    assert "web was asked to shut down and hasn't: if it does so later, power it on again." in record.error


def test_a_server_that_cannot_be_removed_is_stopped_at_least(begin):
    run = begin(when_stuck="take-back")
    run.world.plan_fault("console", 1, "before", "error")
    for _ in range(4):
        run.world.plan_fault("delete_server", 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    state = run.world.read()
    assert [server["status"] for server in state["servers"].values()] == ["SHUTOFF"]
    assert state["power"] == "on"
    assert run.world.violations == []


def refused(run, record):
    assert record.status is Status.FAILED
    assert record.error_code == "source-running"
    assert "web was powered on after it had been shut down" in record.error
    run.assert_as_before()
    assert ORDER in (run.world.root / "source-2000").read_bytes()[:MIB]
    assert run.world.violations == []
