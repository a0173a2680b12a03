"""Machines made of a replica's points, to try them or in the place of the machine, with a fault at each step.

Whatever fails or dies: the points stay as they are, syncs go on beside, and what was made is either up and known to the
record, or gone.
"""

from datetime import timedelta

import pytest
from small_clouds import MAC, MARK, MIB, SIZES

from longshore.engine.retry import TRIES
from longshore.errors import Conflict, LongshoreError
from longshore.flows.clouds import Clouds
from longshore.flows.moves import proving
from longshore.flows.replicas import landing
from longshore.flows.replicas.failing_over import note_gone
from longshore.model.job import JobKind
from longshore.model.replica import Stage, Wish
from longshore.model.status import Status
from longshore.store.tables import utc_now

pytestmark = pytest.mark.long

CALLS = {
    "networks": 2,
    "create_volume": 2,
    "create_isolated_network": 1,
    "create_port": 1,
    "look": 1,
    "snapshot_volume": 2,
    "convert": 1,
    "finish_volume": 2,
    "create_server": 1,
    "console": 1,
    "delete_volume_snapshot": 2,
    "delete_server": 1,
    "delete_port": 1,
    "delete_isolated_network": 1,
    "delete_volume": 2,
}
AFTER_UP = {"delete_volume_snapshot", "delete_server", "delete_port", "delete_isolated_network", "delete_volume"}
KILLED = [
    (call, number, when) for call, n in CALLS.items() for number in sorted({1, n}) for when in ("before", "after")
]


@pytest.fixture
def replica(protect):
    """With two points."""
    replica = protect()
    replica.sync(2)
    (replica.world.root / "one-moment").touch()
    return replica


def count(world, call):
    return world.calls().count(call)


def only_the_replica(replica):
    state = replica.world.read()
    assert not any(state[kind] for kind in ("servers", "ports", "networks"))
    assert len(state["volumes"]) == len(SIZES)
    replica.assert_whole()


def test_a_test_boots_what_the_point_holds_and_leaves_nothing(replica):
    landed = replica.land("test-failover", point=1, isolated=True, keep=True)
    assert landed.status is Status.DONE, landed.error
    state = replica.world.read()
    (server,) = state["servers"].values()
    assert [port["mac"] for port in state["ports"].values()] == [MAC], "the network leads nowhere: it has its own MAC"
    assert server["name"] == "web-test"
    for volume, disk in zip(server["volume_ids"], replica.points[0].disks, strict=True):
        held = (replica.world.root / f"vsnap-{disk.snapshot_id}").read_bytes()
        booted = held[:MIB] + MARK + held[MIB + len(MARK) :] if disk.key == "2000" else held
        assert replica.world.volume_file(volume).read_bytes() == booted
        assert state["volumes"][volume]["snapshot"] == disk.snapshot_id, "it is a clone"
    first, second = replica.points
    assert (first.proof, second.proof) == ("console: login prompt", None)
    assert first.users == (f"server {landed.server_id} of test {landed.id}",)
    parts = landed.result["seconds"]
    assert {"clone", "convert", "boot", "check", "all"} <= parts.keys()
    assert parts["all"] == pytest.approx(sum(took for part, took in parts.items() if part != "all"), abs=0.5)
    assert landed.result["point"] == 1
    replica.clean_up(landed.id)
    only_the_replica(replica)
    assert replica.points[0].users == ()


def test_syncs_go_on_beside_a_test_and_its_point_stays(replica):
    replica.store.replicas.change(replica.id, retention="last 1, zone UTC")
    landed = replica.land("test-failover", point=1, isolated=True, keep=True)
    assert landed.status is Status.DONE, landed.error
    replica.sync(3)
    assert [point.number for point in replica.points] == [1, 5]
    replica.clean_up(landed.id)
    replica.sync()
    assert [point.number for point in replica.points] == [1, 6], "the newest that was proved stays"
    only_the_replica(replica)


def test_beside_the_machine_it_has_another_mac(replica):
    replica.land("test-failover", keep=True)
    assert [port["mac"] for port in replica.world.read()["ports"].values()] != [MAC]


@pytest.mark.turns
@pytest.mark.parametrize(("call", "number", "when"), KILLED)
def test_a_kill_in_a_test_leaves_nothing(replica, call, number, when):
    replica.world.plan_fault(call, count(replica.world, call) + number, when, "kill")
    assert replica.begin_landing("test-failover", point=1, isolated=True) == -9
    assert replica.engine()[0] == 0
    assert replica.landing.status is Status.DONE, replica.landing.error
    only_the_replica(replica)
    assert replica.points[0].proof


@pytest.mark.turns
@pytest.mark.parametrize("call", [call for call in CALLS if call not in AFTER_UP])
def test_an_error_in_a_test_leaves_nothing(replica, call):
    for _ in range({"look": TRIES}.get(call, 1)):  # a look is tried again a few times
        replica.world.plan_fault(call, count(replica.world, call) + 1, "before", "error")
    landed = replica.land("test-failover", point=1, isolated=True)
    assert landed.status is Status.FAILED
    assert f"weakness in {call}" in landed.error
    only_the_replica(replica)
    assert replica.replica.stage is Stage.PROTECTED
    assert replica.points[0].proof is None


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_test_stays_for_its_time_whoever_dies_meanwhile_and_is_removed_then(replica, when):
    landed = replica.land("test-failover", point=1, isolated=True, clean_up_after=600.0)
    assert (landed.status, landed.phase, landed.job.kind) == (Status.RUNNING, "up", JobKind.CLEAN_UP)
    assert landed.job.due_at == landed.target_up_at + timedelta(seconds=600)
    assert replica.points[0].proof, "it is proved as soon as it is up"
    assert landed.result["seconds"]["all"] > 0
    assert replica.points[0].users == (f"test {landed.id}",)
    replica.sync()
    assert len(replica.world.read()["servers"]) == 1, "it stays, and syncs go on beside"
    replica.store.jobs.hasten(landed.id)  # as its moment does
    replica.world.plan_fault("delete_server", count(replica.world, "delete_server") + 1, when, "kill")
    assert replica.engine()[0] == -9
    assert replica.engine()[0] == 0
    assert replica.landing.status is Status.DONE
    assert replica.landing.result["server_id"], "what came of it is still told"
    only_the_replica(replica)


def test_a_bug_in_the_clean_up_after_a_test_does_not_make_the_test_a_failure(replica, monkeypatch):
    landed = replica.land("test-failover", point=1, isolated=True, clean_up_after=600.0)
    replica.store.jobs.hasten(landed.id)

    def fail(*_args):
        raise ZeroDivisionError

    with monkeypatch.context() as broken, pytest.raises(LongshoreError, match="ZeroDivisionError"):
        broken.setattr("longshore.flows.flow.undo", fail)
        replica.engine()  # a real one ends the job by that error
    assert replica.points[0].proof, "what it has proved stays proved"
    assert replica.landing.target_up_at == landed.target_up_at
    assert replica.landing.status is Status.RUNNING
    assert not any("Taking back" in event.text for event in replica.store.events.of(landed.id))


def test_what_nothing_had_to_show_proves_no_point(replica, monkeypatch):
    monkeypatch.setattr(proving, "WATCHED", 0.01)
    (replica.world.root / "silent").touch()
    landed = replica.land("test-failover", point=1, isolated=True, boot_proof="none")
    assert landed.status is Status.DONE, landed.error
    assert (replica.points[0].proved_at, replica.points[0].proof) == (None, None)


def test_its_points_are_tried_by_a_clock(replica):
    past, future = utc_now() - timedelta(minutes=1), utc_now() + timedelta(days=1)
    snapshots = count(replica.world, "snapshot")
    replica.store.replicas.change(replica.id, paused=False, due_at=future, prove="daily", prove_due_at=past)
    assert replica.engine()[0] == 0
    (test,) = replica.store.migrations.made_of(replica.id)
    assert (test.status, test.request["type"], test.request["point"]) == (Status.DONE, "test-failover", 2)
    assert test.request["isolated"] is True
    assert [bool(point.proved_at) for point in replica.points] == [False, True]
    assert count(replica.world, "snapshot") == snapshots, "it is no sync"
    only_the_replica(replica)
    due = replica.replica.prove_due_at
    assert past + timedelta(minutes=1) < due <= utc_now() + timedelta(days=1)
    assert replica.record.job.due_at == min(due, replica.replica.due_at)
    # What is paused isn't tried
    replica.store.replicas.change(replica.id, paused=True, prove_due_at=past)
    assert replica.engine()[0] == 0
    assert len(replica.store.migrations.made_of(replica.id)) == 1
    assert replica.replica.prove_due_at > utc_now()


@pytest.mark.parametrize(
    ("call", "when"), [("create_volume", "after"), ("console", "before"), ("delete_volume", "after")]
)
def test_a_test_by_the_clock_is_one_test_whoever_dies(replica, call, when):
    past, future = utc_now() - timedelta(minutes=1), utc_now() + timedelta(days=1)
    replica.store.replicas.change(replica.id, paused=False, due_at=future, prove="daily", prove_due_at=past)
    replica.world.plan_fault(call, count(replica.world, call) + 1, when, "kill")
    assert replica.engine()[0] == -9
    assert replica.engine()[0] == 0
    assert [one.status for one in replica.store.migrations.made_of(replica.id)] == [Status.DONE]
    only_the_replica(replica)


def test_nothing_is_made_of_a_point_that_goes(replica):
    assert replica.store.points.claim(replica.id, [1]) == [1]
    with pytest.raises(Conflict, match="Point 1 isn't usable: it is removing"):
        replica.begin_landing("test-failover", point=1)
    with pytest.raises(Conflict, match="Point 7 isn't usable: it is gone"):
        replica.begin_landing("test-failover", point=7)


# Failover


def test_a_failover_needs_no_source_and_can_be_undone(replica):
    (replica.world.root / "source-is-gone").touch()
    landed = replica.land("failover", point=2)
    assert landed.status is Status.DONE, landed.error
    assert replica.replica.stage is Stage.FAILED_OVER
    state = replica.world.read()
    assert [port["mac"] for port in state["ports"].values()] == [MAC]
    assert [server["name"] for server in state["servers"].values()] == ["web"]
    assert replica.engine()[0] == 0
    assert len(replica.points) == 2, "nothing is copied any more"
    (replica.world.root / "source-is-gone").unlink()
    replica.ask(Wish.UNDO)
    only_the_replica(replica)
    assert (replica.replica.stage, replica.replica.failover_id) == (Stage.PROTECTED, None)
    assert replica.world.violations == []
    replica.sync()
    assert len(replica.points) == 3
    replica.assert_whole()


def test_a_committed_failover_is_the_users(replica):
    landed = replica.land("failover", point=2)
    assert landed.status is Status.DONE, landed.error
    replica.ask(Wish.COMMIT)
    assert replica.replica.stage is Stage.COMMITTED
    assert {entry.state.value for entry in replica.store.ledger.entries(landed.id)} <= {"handed-over", "removed"}
    replica.clean_up(landed.id)
    assert len(replica.world.read()["servers"]) == 1
    assert replica.points[-1].users == (f"server {landed.server_id} of failover {landed.id}",)
    with pytest.raises(Conflict, match="stands on point 2"):
        replica.store.migrations.remove(landed.id)
    with pytest.raises(Conflict, match="committed"):
        replica.store.replicas.wish(replica.id, Wish.UNDO)


def test_a_point_is_free_again_when_the_owner_has_deleted_the_server_and_its_volumes(replica):
    landed = replica.land("failover", point=2)
    replica.ask(Wish.COMMIT)
    with replica.world.change() as state:
        first, second = state["servers"].popitem()[1]["volume_ids"]
        del state["volumes"][first]
    note_gone(replica.store, Clouds(replica.store), landed.id)
    assert replica.points[-1].users != ()
    with replica.world.change() as state:
        del state["volumes"][second]
    note_gone(replica.store, Clouds(replica.store), landed.id)
    assert replica.points[-1].users == ()


def test_who_wants_a_failover_undone_while_it_is_being_ended_has_it_undone(replica, monkeypatch):
    really = landing.undo

    def meanwhile(store, clouds, id_, *which):
        store.migrations.request_cancel(id_)  # as `undo` asks for it until the replica has failed over
        return really(store, clouds, id_, *which)

    monkeypatch.setattr(landing, "undo", meanwhile)
    assert replica.land("failover", point=2).status is Status.DONE
    assert replica.replica.stage is Stage.PROTECTED
    only_the_replica(replica)


@pytest.mark.parametrize("call", ["create_volume", "console"])
def test_a_failover_that_fails_leaves_the_replica_as_it_was(replica, call):
    replica.world.plan_fault(call, count(replica.world, call) + 1, "before", "error")
    assert replica.land("failover", point=2).status is Status.FAILED
    assert replica.replica.stage is Stage.PROTECTED
    only_the_replica(replica)
    replica.sync()
    assert len(replica.points) == 3


def test_a_planned_failover_loses_nothing(replica):
    replica.ask_for_failover()
    assert replica.replica.stage is Stage.FAILED_OVER, replica.told
    state = replica.world.read()
    assert state["power"] == "off"
    (server,) = state["servers"].values()
    last = replica.points[-1]
    assert (last.number, last.consistency.value) == (3, "off")
    for volume, key in zip(server["volume_ids"], SIZES, strict=True):
        assert f"last words {key}".encode() in replica.world.volume_file(volume).read_bytes()
    replica.ask(Wish.UNDO)
    only_the_replica(replica)
    assert replica.world.read()["power"] == "on"
    assert replica.world.violations == []
    replica.sync()
    replica.assert_whole()


@pytest.mark.parametrize("call", ["snapshot_volume", "create_server"])
def test_a_planned_failover_that_fails_lets_the_machine_run_again(replica, call):
    replica.world.plan_fault(call, count(replica.world, call) + 1, "before", "error")
    replica.ask_for_failover()
    assert replica.replica.stage is Stage.PROTECTED, replica.told
    assert replica.replica.wish is None
    assert replica.world.read()["power"] == "on"
    assert replica.world.violations == []
    only_the_replica(replica)


@pytest.mark.turns
@pytest.mark.parametrize(
    ("call", "number", "when"),
    [
        (call, number, when)
        for call in ("shut_down", "snapshot", "snapshot_volume", "create_server", "console")
        for number in (1, 2)
        for when in ("before", "after")
        if number == 1 or call == "snapshot_volume"
    ],
)
def test_a_kill_in_a_planned_failover_costs_nothing(replica, call, number, when):
    replica.world.plan_fault(call, count(replica.world, call) + number, when, "kill")
    assert replica.ask_for_failover() == -9
    assert replica.engine()[0] == 0
    assert replica.replica.stage is Stage.FAILED_OVER, replica.told
    assert len(replica.world.read()["servers"]) == 1
    assert replica.points[-1].consistency.value == "off"
    replica.ask(Wish.UNDO)
    only_the_replica(replica)
    assert replica.world.read()["power"] == "on"


@pytest.mark.parametrize("call", ["delete_server", "delete_port", "delete_volume", "power_on"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_undoing_may_be_broken_off_anywhere(replica, call, when):
    replica.ask_for_failover()
    replica.world.plan_fault(call, count(replica.world, call) + 1, when, "kill")
    assert replica.ask(Wish.UNDO) == -9
    assert replica.engine()[0] == 0
    only_the_replica(replica)
    assert replica.world.read()["power"] == "on"
    assert replica.world.violations == []


def test_the_machine_stays_off_while_the_server_cant_be_removed(replica):
    replica.ask_for_failover()
    for number in range(1, 5):
        replica.world.plan_fault("delete_server", count(replica.world, "delete_server") + number, "before", "error")
    replica.ask(Wish.UNDO)
    assert replica.replica.stage is Stage.FAILED_OVER
    assert "weakness in delete_server" in replica.replica.error
    assert replica.world.read()["power"] == "off"
    replica.ask(Wish.UNDO)
    only_the_replica(replica)
    assert replica.world.read()["power"] == "on"
