"""Back to the machine after a failover, with a fault at each step: the machine's own content can always be had back."""

import pytest
from small_clouds import MIB, SIZES

from longshore.errors import Conflict
from longshore.flows.replicas import failing_back
from longshore.model.replica import Stage, Wish
from longshore.model.status import Status

pytestmark = pytest.mark.long

NEW = b"written by the server"


@pytest.fixture
def replica(protect):
    """Failed over as planned, its guest as it was; and it has written since."""
    replica = protect(landing="as-is", boot_timeout=0.5)
    fail_over(replica)
    return replica


def fail_over(replica):
    replica.sync()
    (replica.world.root / "one-moment").touch()
    replica.ask_for_failover()
    assert replica.replica.stage is Stage.FAILED_OVER, replica.told
    replica.server_id = replica.store.migrations.get(replica.replica.failover_id).server_id
    replica.world.server_writes(replica.server_id, 0, 2 * MIB + 4096, NEW)


def home(replica):
    return [(replica.world.root / f"source-{key}").read_bytes() for key in SIZES]


def on_server(replica):
    server = replica.world.read()["servers"][replica.server_id]
    return [replica.world.volume_file(volume).read_bytes() for volume in server["volume_ids"]]


def test_what_the_server_has_written_comes_home(replica):
    before = home(replica)
    assert replica.fail_back() == 0
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert replica.replica.stage is Stage.FAILED_BACK
    assert replica.failback.result["bytes_written"] <= 4096
    assert replica.world.read()["power"] == "on"
    assert home(replica) != before
    assert home(replica) == on_server(replica)
    assert NEW in home(replica)[0]
    assert b"the server's last words" in home(replica)[1]
    assert replica.world.violations == []


def test_until_it_is_committed_the_machine_can_go_back_to_what_it_was(replica):
    before = home(replica)
    replica.fail_back()
    ran = on_server(replica)
    replica.ask(Wish.UNDO)
    assert (replica.replica.stage, replica.replica.failback_id) == (Stage.FAILED_OVER, None)
    assert home(replica) == before
    assert on_server(replica) == ran
    assert server(replica)["status"] == "ACTIVE"
    as_failed_over(replica)


@pytest.mark.parametrize(("wish", "stage"), [(Wish.UNDO, Stage.FAILED_OVER), (Wish.COMMIT, Stage.PROTECTED)])
def test_a_machine_that_is_registered_anew_after_it_is_found_again(protect, wish, stage):
    replica = protect(landing="as-is", boot_timeout=0.5)
    (replica.world.root / "tells-instance").touch()
    fail_over(replica)
    before = home(replica)
    replica.fail_back()
    replica.world.register_anew()
    replica.ask(wish)
    assert replica.replica.stage is stage, replica.told[-3:]
    assert replica.world.read()["snapshots"] == {}
    if wish is Wish.UNDO:
        assert home(replica) == before
        assert (replica.world.read()["power"], server(replica)["status"]) == ("off", "ACTIVE")


def test_a_committed_one_is_protected_again(replica):
    replica.fail_back()
    replica.ask(Wish.COMMIT)
    assert replica.replica.stage is Stage.PROTECTED, replica.told
    assert not replica.world.read()["servers"]
    assert replica.world.read()["power"] == "on"
    replica.sync()
    assert [point.number for point in replica.points] == [1, 2, 3]
    replica.assert_whole()
    assert replica.record.syncs[-1]["bytes_changed"] is not None, "the machine's own account counts again"
    assert not any("compared" in text for text in replica.told)
    assert replica.world.violations == []


def test_a_source_whose_word_is_tried_is_believed_after_a_failback(replica):
    """No source names what a failback itself has written: it is no change that was kept from us."""
    (replica.world.root / "is-tried").touch()
    replica.fail_back()
    replica.ask(Wish.COMMIT)
    replica.sync()
    assert replica.record.syncs[-1]["bytes_changed"] is not None, replica.told[-12:]
    replica.assert_whole()


def test_what_came_home_is_nothing_that_the_source_hid(replica):
    """An audit knows what syncs have copied, and not what was written back: it is the sync after the next one."""
    replica.fail_back()
    replica.ask(Wish.COMMIT)
    replica.ask(Wish.AUDIT)
    assert replica.replica.audited_point == 1
    replica.sync()
    assert replica.replica.audited_point == 4
    assert not any(point.suspect for point in replica.points), replica.told[-12:]
    replica.assert_whole()


def test_what_the_machine_has_written_since_the_point_goes(protect):
    """Its source was thought to be gone, and wasn't."""
    replica = protect(landing="as-is", boot_timeout=0.5)
    replica.sync()
    (replica.world.root / "one-moment").touch()
    replica.land("failover", point=1)
    replica.server_id = replica.landing.server_id
    replica.world.guest_writes("2000", 5 * 512, b"never seen by the server")
    replica.fail_back()
    assert replica.replica.stage is Stage.FAILED_OVER
    assert replica.failback.error_code == "source-running"
    assert "what both write can't be brought together" in replica.failback.error
    replica.world.hand("off")
    before = home(replica)
    replica.fail_back()
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert home(replica) == on_server(replica)
    replica.ask(Wish.UNDO)
    assert home(replica) == before
    assert b"never seen by the server" in before[0]


@pytest.mark.parametrize("forgets", ["forgets", "server-forgets"])
def test_where_nobody_can_tell_what_has_changed_disks_are_whole_all_the_same(replica, forgets):
    (replica.world.root / forgets).touch()
    replica.fail_back()
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert home(replica) == on_server(replica)
    replica.ask(Wish.COMMIT)
    (replica.world.root / forgets).unlink()
    replica.sync()
    replica.assert_whole()


def test_a_server_of_a_committed_failover_stays(replica):
    replica.ask(Wish.COMMIT)
    snapshots = replica.world.read()["vsnaps"].values()
    assert not {one["volume"] for one in snapshots} & set(server(replica)["volume_ids"]), "they are their owner's"
    replica.world.plan_fault("shut_down", count(replica.world, "shut_down") + 1, "before", "error")
    replica.fail_back()
    assert (replica.failback.status, replica.replica.stage) == (Status.FAILED, Stage.COMMITTED)
    replica.fail_back()
    assert replica.failback.status is Status.DONE, replica.failback.error
    replica.ask(Wish.COMMIT)
    assert replica.replica.stage is Stage.PROTECTED
    assert server(replica)["status"] == "SHUTOFF"
    assert any(f"Server {replica.server_id} is yours, and stays: it is off." in text for text in replica.told)


def test_a_converted_guest_is_refused_in_a_sentence(protect):
    replica = protect(boot_timeout=0.5)
    replica.sync()
    (replica.world.root / "one-moment").touch()
    replica.land("failover", point=1)
    replica.world.hand("off")
    replica.fail_back()
    assert (replica.failback.error_code, replica.replica.stage) == ("guest-converted", Stage.FAILED_OVER)
    assert "was converted for its server, and may not boot" in replica.failback.error
    assert not replica.world.read()["snapshots"]
    replica.fail_back(accept=["guest-converted"])
    assert replica.replica.stage is Stage.FAILED_BACK


@pytest.mark.parametrize(
    ("sign", "said"),
    [("attached-since", "has got more disks"), ("read-only", "can't be written")],
)
def test_what_cant_be_is_refused_before_anything_is_touched(replica, sign, said):
    (replica.world.root / sign).touch()
    before = home(replica)
    replica.fail_back()
    assert said in replica.failback.error
    assert home(replica) == before
    assert server(replica).get("status", "ACTIVE") == "ACTIVE"
    (replica.world.root / sign).unlink()
    as_failed_over(replica)


def test_one_that_doesnt_come_up_goes_back(protect):
    replica = protect(landing="as-is", boot_timeout=0.1)
    (replica.world.root / "tools").write_text("running")
    replica.sync()
    (replica.world.root / "one-moment").touch()
    replica.ask_for_failover()
    replica.server_id = replica.store.migrations.get(replica.replica.failover_id).server_id
    (replica.world.root / "tools").write_text("not-running")
    before = home(replica)
    replica.fail_back()
    assert replica.failback.error_code == "boot-failed", replica.failback.error
    assert "its tools are not-running" in replica.failback.error
    assert home(replica) == before
    (replica.world.root / "tools").write_text("running")
    as_failed_over(replica)


def test_snapshots_that_somebody_reads_on_and_on_stop_no_failback(replica, monkeypatch):
    """Those of the server's rounds and that of the machine, after which it is started."""
    monkeypatch.setattr(failing_back, "QUICK", 0.0)
    before = home(replica)
    replica.world.plan_fault("remove_snapshot", 1, "before", "conflict", stays=True)
    replica.fail_back()
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert home(replica) == on_server(replica)
    told = [event.text for event in replica.store.events.of(replica.failback_id)]
    assert sum("could not be removed" in text for text in told) == len(replica.world.read()["snapshots"]) - 1 > 1
    replica.world.lift_faults()
    replica.ask(Wish.UNDO)
    assert home(replica) == before
    as_failed_over(replica)


def test_a_machine_that_somebody_powers_on_meanwhile_goes_back(replica):
    before = home(replica)
    replica.world.plan_hand("shut_down", "before", "on", b"by an operator's hand")
    replica.world.plan_hand("wait_powered_off", "before", "off")
    replica.fail_back()
    assert replica.failback.error_code == "source-running", replica.failback.error
    assert home(replica) == before
    as_failed_over(replica)


def test_there_is_one_at_a_time(replica):
    replica.begin_failback()
    with pytest.raises(Conflict, match="is being migrated already"):
        replica.begin_failback()
    with pytest.raises(Conflict, match="failing-back"):
        replica.store.replicas.wish(replica.id, Wish.COMMIT)
    replica.store.migrations.request_cancel(replica.failback_id)
    replica.engine()
    as_failed_over(replica)


# Faults

CALLS = {
    "machine": 2,
    "check_way_back": 1,
    "snapshot": 4,
    "changed": 6,
    "open_disk": 2,
    "open_disk_to_write": 2,
    "copy": 2,
    "shut_down": 1,
    "remove_snapshot": 3,
    "power_on": 1,
}


@pytest.mark.turns
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("call", "number"), [(call, number) for call, n in CALLS.items() for number in sorted({1, n})])
def test_a_kill_costs_nothing(replica, call, number, when):
    replica.world.plan_fault(call, count(replica.world, call) + number, when, "kill")
    status = replica.fail_back()
    assert status == (-9 if (call, when) != ("copy", "after") else 0)
    while replica.engine()[0]:
        pass
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert home(replica) == on_server(replica)
    replica.ask(Wish.COMMIT)
    replica.sync()
    replica.assert_whole()
    assert replica.world.violations == []


@pytest.mark.parametrize("number", [1, 3])  # as it is read, and as it is written
def test_a_kill_while_disks_are_compared_costs_nothing(replica, number):
    (replica.world.root / "server-forgets").touch()
    call = "open_disk_to_write"
    replica.world.plan_fault(call, count(replica.world, call) + number, "after", "kill")
    assert replica.fail_back() == -9
    while replica.engine()[0]:
        pass
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert home(replica) == on_server(replica)


@pytest.mark.turns
@pytest.mark.parametrize(("call", "number"), [(call, number) for call, n in CALLS.items() for number in sorted({1, n})])
def test_an_error_leaves_both_as_they_were(replica, call, number):
    before = home(replica)
    for again in range(1 if call == "power_on" else 4):  # what is tried again fails again
        replica.world.plan_fault(call, count(replica.world, call) + number + again, "before", "error")
    replica.fail_back()
    replica.world.lift_faults()
    if replica.failback.status is Status.DONE:
        assert call in ("remove_snapshot", "changed"), "without these it is as good"
        assert home(replica) == on_server(replica)
        return
    assert f"weakness in {call}" in replica.failback.error
    assert home(replica) == before
    as_failed_over(replica)


@pytest.mark.turns
@pytest.mark.parametrize(
    ("wish", "call"),
    [
        *((Wish.UNDO, call) for call in ("revert", "remove_snapshot", "power_on")),
        *((Wish.COMMIT, call) for call in ("remove_snapshot", "delete_server", "delete_volume")),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_its_end_may_be_broken_off_anywhere(replica, wish, call, when):
    before = home(replica)
    replica.fail_back()
    ran = on_server(replica)
    replica.world.plan_fault(call, count(replica.world, call) + 1, when, "kill")
    assert replica.ask(wish) == -9
    assert replica.engine()[0] == 0
    assert replica.world.violations == []
    if wish is Wish.UNDO:
        assert (home(replica), on_server(replica)) == (before, ran)
        as_failed_over(replica)
    else:
        replica.sync()
        replica.assert_whole()
        assert replica.replica.stage is Stage.PROTECTED


@pytest.mark.turns
@pytest.mark.parametrize("step", ["turn", "its own", "go-on"])
@pytest.mark.parametrize("wish", [Wish.UNDO, Wish.COMMIT])
def test_its_end_comes_once_whatever_step_is_done_again(replica, wish, step):
    before = home(replica)
    replica.fail_back()
    ran, failover = on_server(replica), replica.replica.failover_id
    replica.unrecorded = wish.value if step == "its own" else step
    assert replica.ask(wish) == -9
    assert replica.engine()[0] == 0
    assert replica.world.violations == []
    if wish is Wish.UNDO:
        assert (replica.replica.stage, replica.replica.failover_id) == (Stage.FAILED_OVER, failover)
        assert (home(replica), on_server(replica)) == (before, ran)
        as_failed_over(replica)
    else:
        assert (replica.replica.stage, replica.replica.failover_id) == (Stage.PROTECTED, None)
        replica.sync()
        replica.assert_whole()


def test_with_real_copies_only_what_differs_is_written_where_nobody_can_tell(protect_really):
    replica = protect_really(landing="as-is", boot_timeout=0.5)
    fail_over(replica)
    (replica.world.root / "server-forgets").touch()
    replica.fail_back()
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert 0 < replica.failback.result["bytes_written"] <= 2 * MIB, "of 5: the blocks of the digests that differ"
    assert home(replica) == on_server(replica)
    replica.ask(Wish.COMMIT)
    replica.sync()
    replica.assert_whole()
    assert NEW in (replica.world.root / f"vsnap-{replica.points[-1].disks[0].snapshot_id}").read_bytes()


def test_with_real_copies_only_what_has_changed_is_written_and_copied_again(protect_really):
    replica = protect_really(landing="as-is", boot_timeout=0.5)
    fail_over(replica)
    replica.fail_back()
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert 0 < replica.failback.result["bytes_written"] <= 3 * 4096
    assert home(replica) == on_server(replica)
    replica.ask(Wish.COMMIT)
    replica.sync()
    replica.assert_whole()
    assert NEW in (replica.world.root / f"vsnap-{replica.points[-1].disks[0].snapshot_id}").read_bytes()
    assert replica.record.syncs[-1]["bytes_read"] < 4 * MIB, "nor is all of it read"


def count(world, call):
    return world.calls().count(call)


def server(replica):
    return replica.world.read()["servers"][replica.server_id]


def as_failed_over(replica):
    """The server runs, the machine doesn't, and nothing is left of a failback; it can be begun anew."""
    state = replica.world.read()
    assert replica.replica.stage is Stage.FAILED_OVER
    assert server(replica).get("status", "ACTIVE") == "ACTIVE"
    assert (state["power"], state["snapshots"]) == ("off", {})
    assert replica.world.violations == []
    replica.fail_back()
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert home(replica) == on_server(replica)
