"""The cold migration with a fault at each of its steps.

Whatever fails or dies, and whenever: in the end the machine is either whole on the target with nothing left over, or
as it was on the source with nothing left on either side. Once it was copied, an error leaves it running on the source,
and the copy for another try.
"""

import pytest
from small_clouds import MAC, MIB, SIZES, expected
from waiting import wait_for, waits_with_its_copy

from longshore.engine.retry import TRIES
from longshore.flows.moves.downtime import downtime_of
from longshore.model.status import Status

pytestmark = pytest.mark.long

# Every call the flow makes to a cloud, in the order of a run without faults (checked below).
LOOKING = ["machine", "tags", "room", "networks", "volume_types", "flavors", "quota_room", "taken", "present"]
LOOKING += ["check_machine"]
MAKING = ["create_volume", "make_ready", "create_port", "look", "power_state", "shut_down", "wait_powered_off"]
MAKING += ["last_start", "set_change_tracking", "snapshot"]
MAKING += ["open_disk", "open_volume", "remove_snapshot", "snapshot_volume", "convert", "finish_volume"]
MAKING += ["create_server", "console"]
HANDING_OVER = ["delete_volume_snapshot", "find_volume_snapshot"]

# What is called once all is copied, and so ends no migration.
LANDING = ["snapshot_volume", "convert", "finish_volume", "create_server", "console"]

# Until the machine is shut down. All that is needed to look into its disks is needed later, too, to copy them.
BEFORE = [*LOOKING, *MAKING[:5], "open_disk"]

# Calls that leave something behind when the process dies right after them, before it is written down what came of it.
LASTING = ["create_volume", "create_port", "look", "shut_down", "set_change_tracking", "open_volume", "snapshot_volume"]
LASTING += ["convert", "create_server", "delete_volume_snapshot"]
# The first snapshot is the one that is looked into, before the machine is shut down
LASTING_AT = [*[(call, 1) for call in LASTING], *[(c, n) for c in ("snapshot", "remove_snapshot") for n in (1, 2)]]


def test_without_faults_the_machine_is_moved_and_every_call_is_one_we_try_faults_at(run):
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    assert set(run.world.calls()) == {*LOOKING, *MAKING, *HANDING_OVER}
    assert record.result["bytes_verified"] == sum(SIZES.values())
    assert len(record.result["digests"]) == len(SIZES)
    assert record.result["conversion"]["changes"] == [f"{MAC} stays ens192"]


# What can't be had without this try being any the worse. A snapshot is removed at the end, and without tracking another
# try compares whole disks.
HARMLESS = ("remove_snapshot", "set_change_tracking")


@pytest.mark.turns
# All of LOOKING is one step
@pytest.mark.parametrize(
    "call", [LOOKING[0], LOOKING[-1], *[call for call in MAKING if call not in (*HARMLESS, *LANDING)]]
)
def test_an_error_takes_everything_back_and_says_why(run, call):
    # A copy is tried again a few times, and there are two of them; so is a look
    for _ in range({"open_disk": TRIES, "open_volume": len(SIZES) * TRIES, "look": TRIES}.get(call, 1)):
        # A source that refuses the snapshot to be looked into may well make that of the machine when it is off
        run.world.plan_fault(call, 2 if call == "snapshot" else 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert f"a moment of weakness in {call}" in record.error
    run.assert_as_before()
    assert ("shut_down" in run.world.calls()) is (call not in BEFORE)


@pytest.mark.turns
@pytest.mark.parametrize("call", LANDING)
def test_an_error_once_it_is_copied_costs_no_copy(run, call):
    run.world.plan_fault(call, 1, "before", "error")
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    assert f"a moment of weakness in {call}" in run.record.error
    assert any("longshore migration retry copies what has changed since" in text for text in run.told)
    run.world.guest_wrote(b"written after the first try ")
    run.store.migrations.request_retry(run.id, {})
    assert engine.wait(timeout=60) == 0
    record = run.record
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    assert record.error is None
    assert all(sync["bytes_written"] < sum(SIZES.values()) for sync in record.syncs)


@pytest.mark.parametrize("tracked", ["before", "by us", "never"])
def test_what_has_arrived_when_a_copy_breaks_off_isnt_copied_again(run, tracked):
    """As far as its source can tell what has changed since; else it is compared, and only what differs is written."""
    with run.world.change() as state:
        state["tracking"] = tracked == "before"
    if tracked == "never":
        run.world.plan_fault("set_change_tracking", 1, "before", "conflict", stays=True)
    (run.world.root / "bad-from").write_text(str(2 * MIB))
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    assert "Operation not permitted" in run.record.error
    run.world.guest_wrote(b"written after the first try ")
    (run.world.root / "bad-from").unlink()
    run.store.migrations.request_retry(run.id, {})
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    with run.world.change() as state:
        assert state["tracking"] is (tracked == "before"), "as it was"
        state["tracking"] = False
    run.assert_moved()
    second = run.record.syncs[0]
    arrived = 2 * MIB  # of the one disk; the other may have been cancelled at any moment
    assert second["bytes_written"] <= sum(SIZES.values()) - arrived + MIB
    assert tracked == "never" or second["bytes_read"] <= sum(SIZES.values()) - arrived + MIB
    assert second["bytes_verified"] >= sum(SIZES.values())


@pytest.mark.parametrize("refusal", ["error", "conflict"])
def test_a_machine_whose_changes_cant_be_tracked_is_moved_all_the_same(run, refusal):
    run.world.plan_fault("set_change_tracking", 1, "before", refusal)
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    assert any("the next one will read and compare whole disks" in text for text in run.told)


def test_nothing_is_tracked_for_who_keeps_no_copy(begin):
    run = begin(when_stuck="take-back")
    assert run.to_the_end(lives=1).status is Status.DONE
    assert "set_change_tracking" not in run.world.calls()


def test_it_is_taken_back_with_its_copy_by_a_cancel(run):
    run.world.plan_fault("console", 1, "before", "error")
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    run.store.migrations.request_cancel(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.CANCELLED
    run.assert_as_before()


@pytest.mark.parametrize("dies", [True, False])
def test_a_floating_ip_that_leads_to_a_port_of_its_users_leads_nowhere_once_it_is_taken_back(begin, dies):
    run = begin(when_stuck="take-back", ports={MAC: "theirs"})
    port = {"owner": "theirs", "mac": MAC, "network": "net-1", "addresses": ["10.0.0.5"], "device": None}
    with run.world.change() as state:
        state["ports"]["theirs"] = port
        state["floating"] = {"fip": {"address": "203.0.113.7", "fixed": "10.0.0.5", "port": None}}
    run.world.plan_fault("console", 1, "before", "error")
    if dies:
        run.world.plan_fault("attach_floating_address", 1, "after", "kill")
        assert run.engine()[0] == -9
        assert run.world.read()["floating"]["fip"]["port"] == "theirs"
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert "attach_floating_address" in run.world.calls()
    state = run.world.read()
    assert state["floating"] == {"fip": {"address": "203.0.113.7", "fixed": "10.0.0.5", "port": None}}
    assert state["ports"] == {"theirs": port}
    assert {e.state.value for e in run.store.ledger.entries(run.id)} == {"removed"}


def test_a_floating_ip_leads_to_the_server_once_it_has_moved(run):
    with run.world.change() as state:
        state["floating"] = {"fip": {"address": "203.0.113.7", "fixed": "10.0.0.5", "port": None}}
    assert run.to_the_end(lives=1).status is Status.DONE, run.record.error
    run.assert_moved()
    assert run.world.read()["floating"]["fip"]["port"] in run.world.read()["ports"]


def test_to_a_cloud_without_routers_it_moves_without_its_floating_ip(run):
    (run.world.root / "no-routers").touch()
    with run.world.change() as state:
        state["floating"] = {"fip": {"address": "203.0.113.7", "fixed": "10.0.0.5", "port": None}}
    assert run.to_the_end(lives=1).status is Status.DONE, run.record.error
    run.assert_moved()
    assert any("floating IP 203.0.113.7; the target's external networks: none." in text for text in run.told)


def test_who_would_rather_have_it_taken_back_has_it_so(begin):
    run = begin(when_stuck="take-back")
    run.world.plan_fault("create_server", 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    run.assert_as_before()


def test_another_try_lands_in_another_way_on_another_flavor(begin):
    run = begin(boot_mark="never shown", boot_timeout=1.0, landing="convert")
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    changed = {"landing": "as-is", "flavor": "large", "server_name": "web-2", "boot_mark": None}
    run.store.migrations.request_retry(run.id, changed)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    ((_, server),) = run.world.read()["servers"].items()
    assert (server["flavor_id"], server["name"]) == ("l", "web-2")
    for volume, key in zip(server["volume_ids"], SIZES, strict=True):
        assert run.world.volume_file(volume).read_bytes() == expected(run.world, key, converted=False)
    assert run.record.result["conversion"]["landed"] == "as-is"
    assert run.world.calls().count("create_volume") == len(SIZES)


def test_where_it_doesnt_land_in_the_first_way_the_second_is_tried_at_once(begin):
    """Nobody has to ask for it, and nothing is copied twice."""
    run = begin(landing="convert", landing_else="as-is")
    run.world.plan_fault("convert", 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert record.result["conversion"]["landed"] == "as-is"
    assert any("It is tried once more, with --landing as-is." in text for text in run.told)
    assert run.world.calls().count("create_volume") == len(SIZES)
    assert sum(sync["bytes_written"] for sync in record.syncs) < sum(SIZES.values())
    ((_, server),) = run.world.read()["servers"].items()
    for volume, key in zip(server["volume_ids"], SIZES, strict=True):
        assert run.world.volume_file(volume).read_bytes() == expected(run.world, key, converted=False)


def test_a_copy_that_nobody_asks_for_goes_when_its_time_is_over(begin):
    run = begin(boot_mark="never shown", boot_timeout=1.0, keep_copy=3.0)
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert "Nobody has asked for another try since" in record.error
    run.assert_as_before()


def test_a_copy_stays_beyond_its_time_if_nothing_else_is_left_of_the_machine(begin):
    run = begin(boot_mark="never shown", boot_timeout=1.0, keep_copy=8.0)
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    run.world.lose_machine()
    wait_for(lambda: "Nobody has asked for another try" in (run.record.error or ""), engine)
    wait_for(lambda: run.record.phase == "waiting", engine)
    assert sum("Nobody has asked for another try" in text for text in run.told) == 1
    assert len(run.world.read()["volumes"]) == len(SIZES)
    run.store.migrations.request_cancel(run.id)
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.CANCELLED
    assert not run.world.read()["volumes"]


def test_another_try_with_what_the_target_hasnt_costs_neither_the_copy_nor_a_stop(begin):
    run = begin(boot_mark="never shown", boot_timeout=1.0)
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    stops = run.world.calls().count("shut_down")
    run.store.migrations.request_retry(run.id, {"boot_mark": None, "flavor": "huge"})
    wait_for(lambda: "huge" in (run.record.error or ""), engine)
    waits_with_its_copy(run, engine)
    assert run.world.calls().count("shut_down") == stops
    run.store.migrations.request_retry(run.id, {"flavor": None})
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_another_try_has_another_mark(begin):
    run = begin(boot_mark="never shown", boot_timeout=1.0)
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    run.store.migrations.request_retry(run.id, {"boot_mark": None})
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error
    run.assert_moved()


def test_without_snapshots_of_volumes_an_unchanged_guest_is_booted_and_compared_whole_afterwards(begin):
    run = begin(landing="as-is")
    run.world.plan_fault("snapshot_volume", 1, "before", "error")
    run.world.plan_fault("console", 1, "before", "error")
    engine = run.start_engine()
    waits_with_its_copy(run, engine)
    assert run.record.state["bases"] is None
    assert any("a further try has to compare all of its disks" in text for text in run.told)
    run.store.migrations.request_retry(run.id, {})
    assert engine.wait(timeout=60) == 0
    assert run.record.status is Status.DONE, run.record.error


def test_an_error_after_the_target_is_up_is_reported_but_takes_nothing_back(run):
    for _ in range(4):
        run.world.plan_fault("delete_volume_snapshot", 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE
    assert any("could not be removed" in e.text for e in run.store.events.of(run.id))
    (left,) = [e for e in run.store.ledger.entries(run.id) if e.state.value == "left"]
    assert left.ref in run.world.read()["vsnaps"]


def test_a_source_that_hangs_without_a_word_does_not_hang_the_migration(begin):
    run = begin(landing="unchanged", when_stuck="take-back")  # a look has limits of its own
    (run.world.root / "hang").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert record.error_code == "copy-stalled"
    assert "hasn't moved for 12 s" in record.error
    run.assert_as_before()


def test_a_server_that_cannot_be_removed_keeps_the_source_off(begin):
    """Two machines with one MAC and one address would be worse than none."""
    run = begin(when_stuck="take-back")
    run.world.plan_fault("console", 1, "before", "error")
    for _ in range(4):
        run.world.plan_fault("delete_server", 1, "before", "error")
    run.world.plan_fault("stop_server", 1, "before", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert "stays powered off" in record.error
    state = run.world.read()
    assert state["power"] == "off"
    assert len(state["servers"]) == 1
    assert {e.kind.value for e in run.store.ledger.entries(run.id) if e.state.value == "left"} >= {"server"}


@pytest.mark.parametrize(("call", "number"), LASTING_AT)
def test_a_kill_right_after_a_call_loses_nothing_and_the_next_engine_ends_it(run, call, number):
    run.world.plan_fault(call, number, "after", "kill")
    status, _ = run.engine()
    assert status == -9
    assert not run.record.status.ended
    record = run.to_the_end()
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    told = [e.text for e in run.store.events.of(run.id)]
    assert told.count("Copying 2 disk(s) at once.") == 1  # what was done already isn't told again


@pytest.mark.turns
@pytest.mark.parametrize("call", ["delete_port", "delete_volume", "delete_volume_snapshot", "power_on"])
def test_a_kill_while_taking_back_is_taken_up_again(begin, call):
    run = begin(when_stuck="take-back")
    run.world.plan_fault("create_server", 1, "before", "error")
    run.world.plan_fault(call, 1, "after", "kill")
    status, _ = run.engine()
    assert status == -9
    record = run.to_the_end()
    assert record.status is Status.FAILED
    run.assert_as_before()
    away = downtime_of(record)
    assert away.seconds > 0
    assert away.note is None


def test_a_cancel_before_the_engine_starts_changes_nothing(run):
    run.store.migrations.request_cancel(run.id)
    record = run.to_the_end(lives=1)
    assert record.status is Status.CANCELLED
    run.assert_as_before()
    assert "create_volume" not in run.world.calls()


def test_what_a_failed_migration_has_made_can_be_kept_to_be_looked_at(begin):
    run = begin(keep=True)
    (run.world.root / "no-boot").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    state = run.world.read()
    assert state["power"] == "on"  # the machine works again, and its copy is off
    assert [server["status"] for server in state["servers"].values()] == ["SHUTOFF"]
    assert state["snapshots"] == {}
    (told,) = [text for text in run.told if text.startswith("Kept on the target: ")]
    for kind in ("volumes", "ports", "servers", "vsnaps"):
        assert all(thing in told for thing in state[kind])


def test_a_server_that_was_made_unheard_is_not_kept_beside_the_machine(begin):
    run = begin(keep=True)
    run.world.plan_fault("create_server", 1, "after", "error")
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    state = run.world.read()
    assert state["power"] == "on"
    assert state["servers"] == {}
    assert len(state["volumes"]) == 2


def test_a_machine_that_was_off_is_left_off_once_it_was_seen_to_boot(begin):
    run = begin()
    with run.world.change() as state:
        state["power"] = "off"
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    run.assert_moved()
    ((_, server),) = run.world.read()["servers"].items()
    assert server["status"] == "SHUTOFF"
    assert "The guest is up on the target." in run.told
