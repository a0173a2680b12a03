"""Back to the cloud that a server came from, to a new server there, with a fault at each step."""

from datetime import UTC, datetime

import pytest
from small_clouds import OWN_MAC, SmallTarget

from longshore.errors import Conflict
from longshore.flows.replicas import marks
from longshore.flows.replicas.found import find_replicas
from longshore.model.replica import Stage, Wish
from longshore.model.status import Status

pytestmark = pytest.mark.long

PORT = (OWN_MAC, ("10.0.0.21",))
WROTE = b"written in the second cloud"


@pytest.fixture(params=["image", "volume", "nova's port"])
def replica(protect_server, request):
    """Of a server that boots from a volume; of one whose root disk is none; of one whose port is Nova's to remove."""
    return failed_over(protect_server(local=request.param == "image", ports_of_nova=request.param == "nova's port"))


@pytest.fixture
def plain(protect_server):
    return failed_over(protect_server(ports_of_nova=True))


def failed_over(replica):
    replica.fail_over()
    replica.before = replica.came_from, replica.first.held_by(replica.came_from)
    return replica


def at_home(replica):
    """The new server, which runs where the first one was."""
    (ref,) = replica.first.running()
    assert replica.world.running() == []
    assert replica.violations == []
    return ref


def as_failed_over(replica):
    """The server in the second cloud runs, the first one is as it was, and nothing is left; it can be begun anew."""
    ref, held = replica.before
    assert replica.replica.stage is Stage.FAILED_OVER
    assert replica.world.running() == [replica.server_id]
    assert replica.first.running() == []
    assert replica.first.held_by(ref) == held
    assert replica.port_of(ref) == PORT
    state = replica.first.read()
    assert (list(state["servers"]), len(state["ports"])) == ([ref], 1)
    assert set(state["volumes"]) == set(replica.has(replica.first, ref)["volume_ids"])
    assert not replica.world.read()["snapshots"]
    assert {e.state.value for e in replica.store.ledger.entries(replica.failback_id)} <= {"removed"}
    assert replica.violations == []
    replica.fail_back()
    assert replica.failback.status is Status.DONE, replica.failback.error
    came_home(replica)


def came_home(replica):
    ref = at_home(replica)
    assert replica.first.held_by(ref) == replica.world.held_by(replica.server_id)
    assert WROTE in replica.first.held_by(ref)[0]
    words = f"the server's last words, {replica.server_id}".encode()
    assert words in replica.first.held_by(ref)[1]
    assert replica.port_of(ref) == PORT
    assert replica.has(replica.first, ref)["name"] == "web"
    return ref


def test_all_of_the_server_comes_home_to_a_new_one(replica):
    """And until it is committed it can be undone; a committed one is protected again."""
    ran = replica.world.held_by(replica.server_id)
    assert replica.fail_back() == 0
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert replica.replica.stage is Stage.FAILED_BACK
    ref = came_home(replica)
    first, held = replica.before
    assert replica.first.held_by(first) == held
    pairs = zip(ran, replica.first.held_by(ref), strict=True)
    assert all(before != now for before, now in pairs), "with what it wrote while it was copied, and while it stopped"
    assert replica.has(replica.world, replica.server_id)["status"] == "SHUTOFF"
    replica.ask(Wish.UNDO)
    as_failed_over(replica)
    replica.ask(Wish.COMMIT)
    as_committed(replica)


def as_committed(replica):
    """The new server is protected; the one before is left to its owner, off."""
    assert replica.replica.stage is Stage.PROTECTED, replica.told
    (ref,) = replica.first.running()
    assert replica.came_from == ref != replica.before[0]
    assert not replica.world.read()["servers"]
    assert not any(replica.has(replica.first, replica.before[0])["port_ids"])
    points = len(replica.points)
    for text in (b"first", b"second"):
        replica.first.server_writes(ref, 0, 8192, text + b" since it is home")
        replica.sync()
        point = replica.points[-1]
        held = [(replica.world.root / f"vsnap-{disk.snapshot_id}").read_bytes() for disk in point.disks]
        assert text + b" since it is home" in held[0]
        snapshots = (f"snapshot-{point.number - 1}-{key}" for key in replica.first.disks_of(ref))
        assert held == [(replica.first.root / name).read_bytes() for name in snapshots]
    assert len(replica.points) == points + 2
    assert replica.record.syncs[-1]["bytes_changed"] is not None, "changes are told again"
    assert len({tuple(disk.key for disk in point.disks) for point in replica.points}) == 1, "disks are called as before"
    assert [disk.key for disk in replica.record.disks] == replica.first.disks_of(ref)
    assert replica.violations == []


def test_a_point_from_before_and_one_from_after_can_both_be_failed_over_to(plain):
    plain.fail_back()
    plain.ask(Wish.COMMIT)
    plain.sync()
    old, new = plain.points[0], plain.points[-1]
    for point in (old, new):
        tried = plain.land("test-failover", point=point.number, isolated=True)
        assert tried.status is Status.DONE, tried.error


def test_it_fails_over_and_back_once_more(plain):
    plain.fail_back()
    plain.ask(Wish.COMMIT)
    failed_over(plain)
    plain.fail_back()
    assert plain.failback.status is Status.DONE, plain.failback.error
    came_home(plain)
    plain.ask(Wish.COMMIT)
    as_committed(plain)


def test_the_target_alone_tells_of_all_points(plain):
    plain.fail_back()
    plain.ask(Wish.COMMIT)
    plain.sync()
    (found,) = find_replicas(SmallTarget(plain.world).marked(marks.REPLICA), datetime.now(UTC))
    assert found.refused == ()
    assert [point.number for point in found.points] == [point.number for point in plain.points]


def test_where_the_server_is_gone_it_is_the_same(plain):
    ref = plain.came_from
    with plain.first.change() as state:
        volumes = state["servers"].pop(ref)["volume_ids"]
        state.update(ports={}, snapshots={})
        for volume in volumes:
            del state["volumes"][volume]
    plain.fail_back(new_machine=True)
    assert plain.failback.status is Status.DONE, plain.failback.error
    came_home(plain)
    plain.ask(Wish.UNDO)
    state = plain.first.read()
    assert [state[kind] for kind in ("servers", "volumes", "ports")] == [{}, {}, {}]
    assert plain.world.running() == [plain.server_id]
    plain.fail_back()
    came_home(plain)
    plain.ask(Wish.COMMIT)
    assert plain.replica.stage is Stage.PROTECTED, plain.told
    plain.sync()


def test_whoever_says_that_it_is_gone_is_told_that_it_isnt(plain):
    plain.fail_back(new_machine=True)
    assert plain.failback.error_code == "machine-there"
    assert plain.replica.stage is Stage.FAILED_OVER
    assert plain.world.running() == [plain.server_id]


def test_a_server_of_a_committed_failover_stays(plain):
    plain.ask(Wish.COMMIT)
    plain.fail_back()
    assert plain.failback.status is Status.DONE, plain.failback.error
    plain.ask(Wish.COMMIT)
    assert plain.replica.stage is Stage.PROTECTED
    assert plain.has(plain.world, plain.server_id)["status"] == "SHUTOFF"
    assert any(f"Server {plain.server_id} is yours, and stays: it is off." in text for text in plain.told)


def test_one_that_runs_at_home_is_left_alone(protect_server):
    replica = protect_server()
    replica.sync()
    with replica.first.change() as state:
        state.pop("twin")
    with replica.world.change() as state:
        state.pop("twin")
    replica.land("failover", point=1)
    replica.fail_back()
    assert replica.failback.error_code == "source-running"
    assert "what both write can't be brought together" in replica.failback.error
    assert replica.first.running() == [replica.came_from]


def test_one_that_doesnt_come_up_goes_back(plain):
    (plain.first.root / "no-boot").touch()
    plain.fail_back()
    assert plain.failback.error_code == "boot-failed", plain.failback.error
    (plain.first.root / "no-boot").unlink()
    as_failed_over(plain)


def test_a_server_that_cant_be_removed_runs_alone(plain):
    """The one in the second cloud stays off beside it, and its replica failed back."""
    plain.fail_back()
    plain.first.plan_fault("delete_server", count(plain.first, "delete_server") + 1, "before", "error", stays=True)
    plain.ask(Wish.UNDO)
    assert plain.replica.stage is Stage.FAILED_BACK
    came_home(plain)
    plain.first.lift_faults()
    plain.ask(Wish.UNDO)
    as_failed_over(plain)


def test_a_port_that_cant_be_given_back_is_said_and_goes_before_all_else(plain):
    (plain.first.root / "no-boot").touch()
    plain.first.plan_fault("give_port_back", 1, "before", "error", stays=True)
    plain.fail_back()
    assert "The home-port" in plain.failback.error
    assert plain.world.running() == [plain.server_id], "which doesn't need it"
    with pytest.raises(Conflict, match="left what it made where the machine came from"):
        plain.begin_failback()
    plain.first.lift_faults()
    (plain.first.root / "no-boot").unlink()
    plain.clean_up(plain.failback_id)
    as_failed_over(plain)


# Faults: at home, or where the server runs

CALLS = {
    ("first", "machine"): 3,
    ("first", "create_volume"): 2,
    ("first", "open_volume"): 2,
    ("first", "free_port"): 1,
    ("first", "port_gone"): 1,
    ("first", "create_server"): 1,
    ("first", "console"): 1,
    ("world", "snapshot"): 2,
    ("world", "changed"): 1,
    ("world", "open_disk"): 2,
    ("world", "shut_down"): 1,
    ("world", "remove_snapshot"): 2,
}
EACH = [(where, call, number) for (where, call), n in CALLS.items() for number in sorted({1, n})]
CANCELLED_AT = ("create_volume", "open_disk", "port_gone", "shut_down", "console")


@pytest.mark.turns
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("where", "call", "number"), EACH)
def test_a_kill_costs_nothing(plain, where, call, number, when):
    if call == "port_gone" and when == "after":
        return  # it is no call, but the moment within one
    world = getattr(plain, where)
    world.plan_fault(call, count(world, call) + number, when, "kill")
    assert plain.fail_back() == -9
    while plain.engine()[0]:
        pass
    assert plain.failback.status is Status.DONE, plain.failback.error
    came_home(plain)
    plain.ask(Wish.COMMIT)
    as_committed(plain)


@pytest.mark.turns
@pytest.mark.parametrize(("where", "call", "number"), EACH)
def test_an_error_leaves_both_as_they_were(plain, where, call, number):
    world = getattr(plain, where)
    # What is tried again fails again
    world.plan_fault(call, count(world, call) + number, "before", "error", stays=True)
    plain.fail_back()
    plain.first.lift_faults()
    plain.world.lift_faults()
    if plain.failback.status is Status.DONE:
        assert call in ("remove_snapshot", "changed", "console"), "without these it is as good"
        came_home(plain)
        return
    assert f"weakness in {call}" in plain.failback.error
    if any(e.state.value == "left" for e in plain.store.ledger.entries(plain.failback_id)):
        plain.clean_up(plain.failback_id)
    as_failed_over(plain)


@pytest.mark.turns
@pytest.mark.parametrize(("where", "call", "number"), [one for one in EACH if one[1] in CANCELLED_AT and one[2] == 1])
def test_who_cancels_has_all_as_it_was(plain, where, call, number):
    """Together with a kill: what was asked meanwhile is what the next life finds."""
    world = getattr(plain, where)
    world.plan_fault(call, count(world, call) + number, "before", "kill")
    assert plain.fail_back() == -9
    plain.store.migrations.request_cancel(plain.failback_id)
    while plain.engine()[0]:
        pass
    assert plain.failback.status is Status.CANCELLED, plain.failback.error
    as_failed_over(plain)


ENDS = [
    *((Wish.UNDO, "first", call) for call in ("delete_server", "give_port_back", "delete_volume")),
    (Wish.UNDO, "world", "power_on"),
    *((Wish.COMMIT, "first", call) for call in ("remove_snapshot", "machine")),
    *((Wish.COMMIT, "world", call) for call in ("delete_server", "delete_volume")),
]


@pytest.mark.turns
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("wish", "where", "call"), ENDS)
def test_its_end_may_be_broken_off_anywhere(plain, wish, where, call, when):
    plain.fail_back()
    world = getattr(plain, where)
    world.plan_fault(call, count(world, call) + 1, when, "kill")
    assert plain.ask(wish) == -9
    assert plain.engine()[0] == 0
    if wish is Wish.UNDO:
        as_failed_over(plain)
    else:
        as_committed(plain)


def count(world, call):
    return world.calls().count(call)
