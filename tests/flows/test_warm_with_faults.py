"""The warm migration with a fault at each of its steps, of a machine that writes all the time.

Whatever fails or dies, and whenever: in the end the machine is either whole on the target, with what it wrote last, and
nothing left over; or as it was on the source, running, with nothing left on either side. Once its first copy was looked
into nothing but a cancel brings it there: whatever fails, it runs on, and the migration waits with what was copied.
"""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from small_clouds import MIB, SIZES
from waiting import wait_for, waits_with_its_copy

from longshore.engine.retry import TRIES
from longshore.model.status import Status

pytestmark = pytest.mark.long

AUTOMATIC = {"type": "warm", "cutover": {"mode": "automatic", "downtime": 3600.0}}
MANUAL = {"type": "warm", "cutover": {"mode": "manual", "interval": 1.0}}

# Every call of a run without faults, and how often it is made (checked below): a kill right after each of them, when
# what it did is done and not yet written down.
CALLS = {
    "machine": 3,
    "check_machine": 1,
    "tags": 1,
    "networks": 1,
    "volume_types": 1,
    "flavors": 1,
    "taken": 1,
    "present": 1,
    "quota_room": 1,
    "room": 1,
    "has_volume": 2,
    "create_volume": 2,
    "make_ready": 3,
    "create_port": 1,
    "set_change_tracking": 2,
    "snapshot": 3,
    "open_disk": 6,
    "open_volume": 10,
    "look": 1,
    "remove_snapshot": 3,
    "changed": 4,
    "power_state": 7,
    "last_start": 7,
    "shut_down": 1,
    "wait_powered_off": 2,
    "snapshot_volume": 2,
    "convert": 1,
    "finish_volume": 2,
    "create_server": 1,
    "console": 1,
    "delete_volume_snapshot": 2,
    "find_volume_snapshot": 2,
}
# What only looks is done in one step: the first and the last of that are enough
LOOKING = {"tags", "networks", "volume_types", "flavors", "taken", "present", "quota_room", "room", "has_volume"}
# These steps of a landing are a cold migration's, too, which is killed after each of them every day
COLD_TOO = {
    "create_volume",
    "create_port",
    "look",
    "snapshot_volume",
    "convert",
    "create_server",
    "delete_volume_snapshot",
}
KILLED_AFTER = [
    pytest.param(call, number, marks=[pytest.mark.soak] if call in COLD_TOO else [])
    for call, times in CALLS.items()
    if call not in LOOKING
    for number in sorted({1, times})
]
KILLED_AFTER += [
    pytest.param(call, times // 2 + 1, marks=pytest.mark.soak)
    for call, times in CALLS.items()
    if call not in LOOKING and times > 2
]
# A copy that fails is tried again; of the others one error ends it while there is nothing that could land
FAILING = [("machine", 1), ("create_volume", 2), ("create_port", 1), ("set_change_tracking", 1), ("snapshot", 1)]
CUTOVER_FAILING = [("shut_down", 1), ("snapshot", 3), ("snapshot_volume", 1), ("snapshot_volume", 2), ("convert", 1)]
CUTOVER_FAILING += [("finish_volume", 1), ("create_server", 1), ("console", 1)]
SOON = {**AUTOMATIC, "cutover": {**AUTOMATIC["cutover"], "interval": 4.0}}


def arrived(run):
    """What the source's disks held when it was off is there, and what was converted: the console says so too."""
    run.assert_moved()
    assert run.record.syncs[-1]["final"] is True
    last = (run.world.root / "source-2001").read_bytes()
    assert b"last words 2001" in last  # written while it shut down, after all syncs


def test_a_machine_that_writes_all_the_time_arrives_whole(begin):
    run = begin(**AUTOMATIC)
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert Counter(run.world.calls()) == Counter(CALLS)
    assert len(record.syncs) == 3  # all, a sync, the last one
    # only what changed was read again: in the small cloud a few bytes at each snapshot, in blocks of a disk
    assert all(0 < sync["bytes_changed"] < 4096 for sync in record.syncs[1:])
    assert all(0 < sync["bytes_read"] < sum(SIZES.values()) for sync in record.syncs[1:])
    assert all(sync["bytes_verified"] > 0 for sync in record.syncs)
    # of all syncs' files only those stay that the evidence is in
    kept = [path.name for path in run.store.state.migration(run.id).glob("sync-*")]
    assert sorted(kept) == ["sync-2-2000.manifest", "sync-2-2001.manifest"]


@pytest.mark.turns  # a cold one is killed after each of its calls every day
@pytest.mark.parametrize(("call", "number"), KILLED_AFTER)
def test_a_kill_loses_nothing(begin, call, number):
    run = begin(**AUTOMATIC)
    run.world.plan_fault(call, number, "after", "kill")
    status, said = run.engine()
    assert status == -9, said
    record = run.to_the_end()
    assert record.status is Status.DONE, record.error
    arrived(run)


@pytest.mark.turns
@pytest.mark.parametrize(("call", "number"), FAILING)
def test_an_error_takes_everything_back(begin, call, number):
    run = begin(**AUTOMATIC)
    run.world.plan_fault(call, number, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert f"a moment of weakness in {call}" in record.error
    run.assert_as_before()


@pytest.mark.turns
@pytest.mark.parametrize(("call", "number"), CUTOVER_FAILING)
def test_a_cutover_that_fails_costs_no_copy(begin, call, number):
    run = begin(**SOON)
    run.world.plan_fault(call, number, "before", "error")
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    assert f"a moment of weakness in {call}" in run.record.error
    run.store.migrations.request_cutover(run.id)
    assert engine.wait(timeout=60) == 0
    record = run.record
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert record.error is None
    assert all(sync["bytes_read"] < sum(SIZES.values()) for sync in record.syncs[1:])
    assert [e.kind.value for e in run.store.ledger.entries(run.id) if e.state.value == "handed-over"].count(
        "volume"
    ) == 2


def cuts_over_again(run, engine):
    run.store.migrations.request_cutover(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    arrived(run)


def test_nobody_cuts_over_again_before_somebody_asks_for_it(begin):
    run = begin(**{**AUTOMATIC, "cutover": {**AUTOMATIC["cutover"], "interval": 1.0}})
    run.world.plan_fault("create_server", 1, "before", "error")
    engine = run.start_engine()
    wait_for(lambda: run.record.error is not None, engine)
    known = len(run.record.syncs)
    wait_for(lambda: len(run.record.syncs) >= known + 2 and run.record.phase == "waiting", engine)
    assert run.world.calls().count("shut_down") == 1
    assert "a moment of weakness in create_server" in run.record.error  # why it waits
    run.store.migrations.request_cancel(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.CANCELLED
    run.assert_as_before()


def test_a_sync_that_fails_comes_again_and_the_migration_goes_on(begin):
    run = begin(**{**AUTOMATIC, "cutover": {**AUTOMATIC["cutover"], "interval": 1.0}})
    run.world.plan_fault("snapshot", 2, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert any("The sync failed: The cloud had a moment of weakness in snapshot" in text for text in run.told)


def test_who_would_rather_have_it_taken_back_has_it_so(begin):
    run = begin(**AUTOMATIC, when_stuck="take-back")
    run.world.plan_fault("create_server", 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    run.assert_as_before()


@pytest.mark.parametrize("fresh", [True, False])
def test_another_try_begins_with_the_landing_and_stops_nothing_for_one_that_cant_be(begin, fresh):
    """Also where what has changed is copied before the machine is stopped."""
    run = begin(**SOON)
    if not fresh:
        (run.world.root / "soon-stale").touch()
    run.world.plan_fault("console", 1, "before", "error")
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    stops = run.world.calls().count("shut_down")
    run.store.migrations.request_retry(run.id, {"flavor": "huge"})
    wait_for(lambda: "huge" in (run.record.error or ""), engine)
    waits_with_its_copy(run, engine)
    assert run.world.calls().count("shut_down") == stops
    run.store.migrations.request_retry(run.id, {"flavor": "large"})
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    arrived(run)
    ((_, server),) = run.world.read()["servers"].items()
    assert server["flavor_id"] == "l"


@pytest.mark.parametrize("call", ["delete_server", "revert_volume", "delete_volume_snapshot"])
def test_a_kill_while_a_cutover_is_taken_back_loses_nothing(begin, call):
    run = begin(**SOON)
    run.world.plan_fault("console", 1, "before", "error")
    run.world.plan_fault(call, 1, "after", "kill")
    assert run.engine()[0] == -9
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    cuts_over_again(run, engine)


@pytest.mark.parametrize("when_stuck", ["park", "take-back"])
def test_the_copy_of_a_machine_that_is_gone_stays_until_somebody_cancels(begin, when_stuck):
    run = begin(**MANUAL, when_stuck=when_stuck)
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    run.world.lose_machine()
    wait_for(lambda: run.record.error is not None and run.record.phase == "waiting", engine)
    assert "The small source has no machine vm-1" in run.record.error
    assert len(run.world.read()["volumes"]) == len(SIZES)
    run.store.migrations.request_cancel(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.CANCELLED
    assert not run.world.read()["volumes"]
    assert {entry.state.value for entry in run.store.ledger.entries(run.id)} == {"removed"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda world: (world.root / "sizes.json").write_text('{"2002": 1048576}'), "web has got 1 more disk(s)"),
        (lambda world: lose_volume(world, 1), "The volume of Hard disk 2 was deleted at the target. Cancel this"),
    ],
)
def test_what_was_changed_by_hand_is_told_at_the_cutover_and_no_machine_stops_for_it(begin, change, said):
    run = begin(type="warm", cutover={"mode": "manual", "interval": 600.0})
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    change(run.world)
    run.store.migrations.request_cutover(run.id)
    wait_for(lambda: run.record.error is not None and run.record.phase == "waiting", engine)
    assert said in run.record.error
    assert (run.record.status, run.record.cutover_requested) == (Status.RUNNING, False)
    assert "shut_down" not in run.world.calls()
    run.store.migrations.request_cancel(run.id)
    assert engine.wait(timeout=60) == 0
    run.assert_as_before()


def test_a_machine_that_cannot_be_read_for_a_while_has_lost_no_disk(begin):
    run = begin(type="warm", cutover={"mode": "manual", "interval": 600.0})
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    (run.world.root / "unreadable").touch()
    run.store.migrations.request_cutover(run.id)
    wait_for(lambda: run.record.status is Status.PARKED, engine)
    assert "can't say at present what web consists of" in run.record.job.reason
    assert "shut_down" not in run.world.calls()
    (run.world.root / "unreadable").unlink()
    run.store.jobs.hasten(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    arrived(run)


def lose_volume(world, number):
    with world.change() as state:
        state["volumes"].pop(next(id_ for id_, made in state["volumes"].items() if made["name"] == f"web-{number}"))


def test_a_machine_that_is_registered_anew_is_found_again(begin):
    run = begin(**MANUAL)
    (run.world.root / "tells-instance").touch()
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    run.world.register_anew()
    known = len(run.record.syncs)
    wait_for(lambda: len(run.record.syncs) > known and run.record.phase == "waiting", engine)
    assert any("it was vm-1, and is vm-77 now" in text for text in run.told)
    assert run.record.machine_ref == "vm-77"
    run.store.migrations.request_cutover(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    arrived(run)
    # What was written is no longer told by the ids of changes: all is compared, once
    whole = [number for number, sync in enumerate(run.record.syncs) if sync["bytes_read"] >= sum(SIZES.values())]
    assert whole in ([0, known], [0, known + 1])  # one may have been under way


def test_another_machine_that_has_its_reference_now_is_left_alone(begin):
    run = begin(**MANUAL)
    (run.world.root / "tells-instance").touch()
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    run.world.set_up_anew()
    run.store.migrations.request_cutover(run.id)
    wait_for(lambda: run.record.error is not None and run.record.phase == "waiting", engine)
    assert "web is gone: vm-1 is the reference of another machine now" in run.record.error
    assert run.world.read()["power"] == "on"
    assert len(run.world.read()["volumes"]) == len(SIZES)
    run.store.migrations.request_cancel(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.world.read()["tracking"], "which is that one's own"
    assert {entry.state.value for entry in run.store.ledger.entries(run.id)} == {"removed"}


def test_a_cancel_finds_a_machine_that_is_registered_anew(begin):
    run = begin(type="warm", cutover={"mode": "manual", "interval": 600.0})
    (run.world.root / "tells-instance").touch()
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    run.world.register_anew()
    run.store.migrations.request_cancel(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.CANCELLED
    assert not run.world.read()["tracking"], "it is off again, as before"


def test_a_machine_that_is_registered_anew_while_it_is_off_is_powered_on_again(begin):
    at_once = {"mode": "scheduled", "at": "2026-01-01T00:00:00Z"}
    run = begin(type="warm", cutover=at_once, when_stuck="take-back")
    (run.world.root / "tells-instance").touch()
    run.world.plan_fault("create_server", 1, "before", "kill")
    assert run.engine()[0] == -9
    assert run.world.read()["power"] == "off"
    run.world.register_anew()
    run.store.migrations.request_cancel(run.id)
    record = run.to_the_end()
    assert (record.status, record.error) == (Status.CANCELLED, "The migration was cancelled.")
    assert run.world.read()["power"] == "on"
    assert run.record.machine_ref == "vm-77"


def with_bases(begin, **request):
    """From a source that needs the snapshot of the sync before to tell what changed since."""
    run = begin(**request)
    (run.world.root / "keeps-bases").touch()
    return run


def test_a_snapshot_that_is_a_base_stays_until_the_next_sync_is_copied(begin):
    run = with_bases(begin, **MANUAL)
    engine = run.start_engine()
    wait_for(lambda: len(run.record.syncs) >= 3 and run.record.phase == "waiting", engine)
    assert len(run.world.read()["snapshots"]) == 1
    cuts_over_again(run, engine)
    assert all(sync["bytes_changed"] is not None for sync in run.record.syncs[1:])


@pytest.mark.turns
@pytest.mark.parametrize(
    ("call", "number"),
    [("snapshot", n) for n in (1, 2, 3)]
    + [("open_disk", n) for n in (2, 3, 6)]
    + [("remove_snapshot", n) for n in (1, 2, 3)]
    + [("changed", 1), ("changed", 4), ("shut_down", 1), ("create_server", 1)],
)
def test_a_kill_leaves_no_base_behind_and_forgets_none(begin, call, number):
    run = with_bases(begin, **AUTOMATIC)
    run.world.plan_fault(call, number, "after", "kill")
    status, said = run.engine()
    assert status == -9, said
    record = run.to_the_end()
    assert record.status is Status.DONE, record.error
    arrived(run)
    # what changed was told each time: no base had gone before its time
    assert all(sync["bytes_changed"] is not None for sync in record.syncs[1:])


@pytest.mark.parametrize(("call", "number"), [("snapshot", 2), ("shut_down", 1), ("console", 1)])
def test_an_error_takes_the_base_back_too(begin, call, number):
    run = with_bases(begin, **AUTOMATIC, when_stuck="take-back")
    run.world.plan_fault(call, number, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    run.assert_as_before()


@pytest.mark.parametrize(("call", "number"), [("shut_down", 1), ("console", 1)])
def test_after_a_cutover_that_fails_a_base_is_one_still_or_all_is_compared(begin, call, number):
    run = with_bases(begin, **SOON)
    run.world.plan_fault(call, number, "before", "error")
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    assert len(run.world.read()["snapshots"]) == (call == "shut_down")
    cuts_over_again(run, engine)


def test_a_base_that_somebody_removes_makes_it_compare_everything(begin):
    run = with_bases(begin, **MANUAL)
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    with run.world.change() as state:
        state["snapshots"].clear()
    cuts_over_again(run, engine)
    assert any("The snapshot of the earlier moment is gone." in text for text in run.told)


@pytest.mark.parametrize("number", [1, 3])
def test_a_snapshot_that_is_locked_for_a_moment_costs_no_copy(begin, number):
    """The last one, of the copy that counts, is left until the machine is moved."""
    run = begin(**AUTOMATIC)
    run.world.plan_fault("remove_snapshot", number, "before", "conflict")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert any("The cloud can't remove_snapshot now." in text for text in run.told)


@pytest.mark.parametrize("call", ["changed", "open_disk", "open_volume"])
def test_a_copy_that_fails_is_tried_again(begin, call):
    run = begin(**AUTOMATIC)
    run.world.plan_fault(call, 2, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert any("It is tried again." in text for text in run.told)


def test_a_server_that_ends_in_error_is_removed(begin):
    run = begin(**SOON)
    run.world.plan_fault("create_server", 1, "after", "error")
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    run.store.migrations.request_cancel(run.id)
    assert engine.wait(timeout=60) == 0
    run.assert_as_before()


def test_a_connection_cut_in_the_middle_of_a_copy_is_made_again(begin):
    run = begin(**AUTOMATIC)
    (run.world.root / "cut").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert not (run.world.root / "cut").exists()


def test_a_guest_that_will_not_shut_down_goes_on_running(begin):
    run = begin(**SOON, shutdown_timeout=1.0)
    (run.world.root / "stays-on").touch()
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    assert "didn't shut down within 1 s" in run.record.error
    (run.world.root / "stays-on").unlink()
    cuts_over_again(run, engine)


def test_a_guest_that_will_not_shut_down_loses_its_power_if_that_is_allowed(begin):
    run = begin(**AUTOMATIC, shutdown_timeout=1.0, force_power_off=True)
    (run.world.root / "stays-on").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    run.assert_moved()


def test_a_copy_that_keeps_failing_comes_again_with_the_next_sync(begin):
    run = begin(**{**AUTOMATIC, "cutover": {**AUTOMATIC["cutover"], "interval": 1.0}})
    for _ in range(len(SIZES) * TRIES):
        run.world.plan_fault("open_disk", 3, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert any("The sync failed" in text for text in run.told)
    arrived(run)


def test_what_has_arrived_when_the_first_copy_breaks_off_isnt_copied_again(begin):
    """Nor what a second one has brought that broke off, too."""
    run = begin(**SOON)
    (run.world.root / "bad-from").write_text(str(MIB))
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    assert "Operation not permitted" in run.record.error
    assert not run.record.syncs
    (run.world.root / "bad-from").write_text(str(2 * MIB))
    again = len(run.told)
    run.store.migrations.request_cutover(run.id)
    wait_for(lambda: any("The sync failed" in text for text in run.told[again:]), engine)
    wait_for(lambda: run.record.phase == "waiting", engine)
    (run.world.root / "bad-from").unlink()
    cuts_over_again(run, engine)
    first = run.record.syncs[0]
    assert MIB <= first["bytes_read"] <= 2 * MIB, "the last block of the one disk, and what has changed"
    assert first["bytes_verified"] >= sum(SIZES.values()), "nothing of it had been read back"


def test_a_look_that_fails_costs_no_first_copy(begin):
    run = begin(**{**AUTOMATIC, "cutover": {**AUTOMATIC["cutover"], "interval": 1.0}})
    for _ in range(TRIES):
        run.world.plan_fault("look", 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert any("The sync failed" in text for text in run.told)
    assert all(sync["bytes_read"] < sum(SIZES.values()) for sync in record.syncs[1:])
    arrived(run)


def test_what_has_changed_is_asked_once_though_the_copy_is_broken_off(begin):
    """The source would say something else now, and the checkpoint would belong to another list."""
    run = begin(**AUTOMATIC)
    # The first copy and the look into it are over; then one disk of the first sync is copied, its step not recorded
    run.world.dies_leaving(2 * len(SIZES) + 1)
    assert run.engine()[0] == -9
    (run.world.root / "forgets").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert record.syncs[1]["bytes_changed"] is not None


@pytest.mark.parametrize("damage", [b"", b"{}", b"garbage"])
def test_a_checkpoint_that_is_of_no_use_is_discarded(begin, damage):
    run = begin(**AUTOMATIC)
    run.world.dies_leaving(1)
    assert run.engine()[0] == -9
    checkpoints = list(run.store.state.migration(run.id).glob("sync-0-*.checkpoint"))
    assert checkpoints
    for checkpoint in checkpoints:
        checkpoint.write_bytes(damage)
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert any("It is discarded, and the copy begins anew." in text for text in run.told)


def test_a_source_that_cannot_say_what_changed_costs_a_comparison_and_no_more(begin):
    run = begin(**AUTOMATIC)
    for _ in range(len(SIZES) * TRIES):
        run.world.plan_fault("changed", 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert any("all of it is read and compared. The cloud had a moment of weakness" in text for text in run.told)


def test_a_change_id_that_is_forgotten_makes_it_compare_everything(begin):
    run = begin(**AUTOMATIC)
    (run.world.root / "forgets").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert [sync["bytes_changed"] for sync in record.syncs[1:]] == [None, None]
    assert any("all of it is read and compared. The small cloud has forgotten" in text for text in run.told)
    # read, but only what differs is written
    assert all(sync["bytes_written"] < sum(SIZES.values()) for sync in record.syncs[1:])


def test_a_machine_whose_tracking_cannot_be_switched_is_compared(begin):
    run = begin(**AUTOMATIC)
    run.world.plan_fault("set_change_tracking", 1, "before", "conflict")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert any("will read and compare all of web's disks" in text for text in run.told)


def test_tracking_that_is_reset_between_syncs_loses_nothing(begin):
    run = begin(**MANUAL)
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    with run.world.change() as state:
        state["life"] += 1
        state["log"].clear()
    run.world.guest_writes("2000", 4096, b"written after the reset")
    run.store.migrations.request_cutover(run.id)
    record = run.to_the_end()
    assert record.status is Status.DONE, record.error
    arrived(run)
    assert any("Change tracking was reset since." in text for text in run.told)


def test_a_guest_that_cannot_be_frozen_is_not_copied_unfrozen(begin):
    run = begin(**AUTOMATIC, quiesce=True)
    (run.world.root / "no-quiesce").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert record.error_code == "quiesce-failed"
    run.assert_as_before()


def test_a_guest_that_does_not_boot_there_goes_on_where_it_was(begin):
    run = begin(**SOON)
    (run.world.root / "no-boot").touch()
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    assert "Kernel panic" in run.record.error
    (run.world.root / "no-boot").unlink()
    cuts_over_again(run, engine)


def test_a_disk_that_grew_meanwhile_is_not_cut_short(begin):
    run = begin(**MANUAL)
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    (run.world.root / "sizes.json").write_text(f'{{"2001": {4 * MIB}}}')
    with (run.world.root / "source-2001").open("r+b") as disk:
        disk.truncate(4 * MIB)
    wait_for(lambda: run.record.error is not None and run.record.phase == "waiting", engine)
    assert "Hard disk 2 of web had 2097152 bytes and has 4194304 now" in run.record.error
    run.store.migrations.request_cancel(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.CANCELLED
    run.assert_as_before()


def test_it_waits_for_the_cutover_syncing_on_through_a_kill(begin):
    run = begin(**MANUAL)
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    wait_for(lambda: len(run.record.syncs) >= 3, engine)
    engine.kill()
    run.world.guest_writes("2001", 12288, b"while nobody looked")
    known = len(run.record.syncs)
    engine = run.start_engine()
    wait_for(lambda: len(run.record.syncs) >= known + 2, engine)
    assert run.world.read()["power"] == "on"
    assert run.record.source_off_at is None
    cuts_over_again(run, engine)


def test_a_cancel_while_it_waits_leaves_the_machine_running(begin):
    run = begin(**MANUAL)
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    run.store.migrations.request_cancel(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.CANCELLED
    run.assert_as_before()
    assert "shut_down" not in run.world.calls()


def test_a_cutover_at_a_time_comes_by_itself_and_one_that_was_taken_back_doesnt(begin):
    run = begin(**MANUAL)
    engine = run.start_engine()
    wait_for(lambda: run.record.phase == "waiting", engine)
    now = datetime.now(UTC)
    run.store.migrations.schedule_cutover(run.id, now + timedelta(seconds=4), None)
    run.store.migrations.take_cutover_back(run.id)
    known = len(run.record.syncs)
    wait_for(lambda: datetime.now(UTC) > now + timedelta(seconds=6) and len(run.record.syncs) > known + 1, engine)
    assert run.record.source_off_at is None
    run.store.migrations.schedule_cutover(run.id, datetime.now(UTC) + timedelta(seconds=2), None)
    assert engine.wait(timeout=60) == 0
    arrived(run)
