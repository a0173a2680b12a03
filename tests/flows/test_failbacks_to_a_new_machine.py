"""After a failover whose machine is gone: another one is made where it was, and written in full."""

import pytest
from test_failbacks import count, fail_over, home, on_server, server

from longshore.model.replica import Stage, Wish
from longshore.model.status import Status

pytestmark = pytest.mark.long


@pytest.fixture
def replica(protect):
    """Failed over, its guest as it was; and then the machine was lost."""
    replica = protect(landing="as-is", boot_timeout=0.5)
    fail_over(replica)
    replica.world.lose_machine()
    return replica


def fail_back(replica, **options):
    return replica.fail_back(new_machine=True, **options)


def as_failed_over(replica):
    """The server runs, there is no machine, and nothing is left of a failback; it can be begun anew."""
    state = replica.world.read()
    assert replica.replica.stage is Stage.FAILED_OVER
    assert server(replica).get("status", "ACTIVE") == "ACTIVE"
    assert (state["ref"], state["power"], state["snapshots"]) == (None, "off", {})
    assert {e.state.value for e in replica.store.ledger.entries(replica.failback_id)} <= {"removed"}
    assert replica.world.violations == []
    fail_back(replica)
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert home(replica) == on_server(replica)


def as_committed(replica):
    """The new machine is protected, by its own account of changes."""
    assert replica.replica.stage is Stage.PROTECTED, replica.told
    state = replica.world.read()
    assert (state["power"], state["tracking"], state["servers"]) == ("on", True, {})
    assert replica.record.machine_ref == state["ref"]
    before = len(replica.points)
    replica.sync(2)
    assert len(replica.points) == before + 2
    replica.assert_whole()
    assert replica.record.syncs[-1]["bytes_changed"] is not None
    assert not any(point.suspect for point in replica.points)
    assert replica.world.violations == []


def test_all_of_the_server_comes_home(replica):
    ran = on_server(replica)
    assert fail_back(replica) == 0
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert replica.replica.stage is Stage.FAILED_BACK
    assert replica.world.read()["power"] == "on"
    assert home(replica) == on_server(replica) != ran, "with the server's last words"
    replica.ask(Wish.COMMIT)
    as_committed(replica)
    made = [e for e in replica.store.ledger.entries(replica.failback_id) if e.kind.value == "machine"]
    assert [e.state.value for e in made] == ["handed-over"]
    # What it was made with is taken from it in the end, and it stays itself
    replica.store.migrations.request_cancel(replica.id)
    replica.engine()
    state = replica.world.read()
    assert (state["ref"], state["tracking"], state["volumes"]) == (replica.record.machine_ref, False, {})


def test_a_new_machine_with_uuids_of_its_own_is_protected_and_gone_home_to_again(protect):
    replica = protect(landing="as-is", boot_timeout=0.5)
    (replica.world.root / "tells-instance").touch()
    fail_over(replica)
    replica.world.lose_machine()
    fail_back(replica)
    replica.ask(Wish.COMMIT)
    as_committed(replica)
    asked = {**replica.record.request, "type": "failover", "of": replica.id, "point": replica.points[0].number}
    replica.ask(Wish.FAILOVER, asked)  # to a point of the machine before
    assert replica.replica.stage is Stage.FAILED_OVER, replica.told
    replica.world.hand("off")
    fail_back(replica)
    assert replica.failback.error_code == "machine-there"
    replica.fail_back()
    assert replica.failback.status is Status.DONE, replica.failback.error


@pytest.mark.parametrize("refused", [False, True])
def test_it_boots_in_the_order_in_which_the_lost_one_did(protect, refused):
    replica = protect(landing="as-is", boot_timeout=0.5)
    with replica.world.change() as state:
        state["boot_order"] = ["a CD-ROM drive", "2001", "4000", "2000"]
    fail_over(replica)
    replica.world.lose_machine()
    with replica.world.change() as state:
        del state["boot_order"]
    if refused:
        (replica.world.root / "no-boot-order").touch()
    fail_back(replica)
    assert replica.failback.status is Status.DONE, replica.failback.error
    told = [event.text for event in replica.store.events.of(replica.failback_id)]
    if refused:
        assert "The boot order that web had couldn't be set: The account may not change settings." in told
    else:
        assert replica.world.read()["boot_order"] == ["2001", "4000", "2000"]
        assert "web was told to boot from a CD-ROM drive, too: the new machine has none." in told


def test_until_it_is_committed_it_can_be_undone(replica):
    fail_back(replica)
    replica.ask(Wish.UNDO)
    as_failed_over(replica)


def test_a_committed_failover_s_server_stays(replica):
    replica.ask(Wish.COMMIT)
    fail_back(replica)
    assert replica.failback.status is Status.DONE, replica.failback.error
    replica.ask(Wish.COMMIT)
    assert replica.replica.stage is Stage.PROTECTED
    assert server(replica)["status"] == "SHUTOFF"


def test_whoever_asks_for_the_one_that_is_gone_is_told_how(replica):
    replica.fail_back()
    assert "longshore replica failback" in replica.failback.error
    assert "--new-machine" in replica.failback.error
    as_failed_over(replica)


def test_where_the_machine_is_there_none_is_made(protect):
    replica = protect(landing="as-is", boot_timeout=0.5)
    fail_over(replica)
    before = home(replica)
    fail_back(replica)
    assert (replica.failback.error_code, replica.replica.stage) == ("machine-there", Stage.FAILED_OVER)
    assert "web is still there (vm-1)" in replica.failback.error
    assert home(replica) == before


CALLS = {
    "machine": 3,
    "create_machine": 1,
    "snapshot": 4,
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
    status = fail_back(replica)
    assert status == (-9 if (call, when) != ("copy", "after") else 0)
    while replica.engine()[0]:
        pass
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert home(replica) == on_server(replica)
    assert replica.world.read()["machines"] == 2, "one was made, once"
    replica.ask(Wish.COMMIT)
    as_committed(replica)


@pytest.mark.turns
@pytest.mark.parametrize("call", ["create_machine", "snapshot", "open_disk_to_write", "copy", "shut_down", "power_on"])
def test_an_error_leaves_the_server_alone(replica, call):
    for again in range(1 if call == "power_on" else 4):  # what is tried again fails again
        replica.world.plan_fault(call, count(replica.world, call) + 1 + again, "before", "error")
    fail_back(replica)
    replica.world.lift_faults()
    assert f"weakness in {call}" in replica.failback.error
    as_failed_over(replica)


@pytest.mark.turns
@pytest.mark.parametrize(
    ("wish", "call"),
    [
        *((Wish.UNDO, call) for call in ("revert", "remove_snapshot", "delete_machine", "power_on")),
        *((Wish.COMMIT, call) for call in ("remove_snapshot", "set_change_tracking", "delete_server")),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_its_end_may_be_broken_off_anywhere(replica, wish, call, when):
    fail_back(replica)
    replica.world.plan_fault(call, count(replica.world, call) + 1, when, "kill")
    assert replica.ask(wish) == -9
    assert replica.engine()[0] == 0
    if wish is Wish.UNDO:
        as_failed_over(replica)
    else:
        as_committed(replica)


def test_another_machine_that_has_its_reference_now_is_not_written_to(protect):
    replica = protect(landing="as-is", boot_timeout=0.5)
    (replica.world.root / "tells-instance").touch()
    fail_over(replica)
    replica.world.set_up_anew()
    before = home(replica)
    replica.fail_back()
    assert "web is gone: vm-1 is the reference of another machine now" in replica.failback.error
    assert home(replica) == before
