"""A warm migration that becomes a replica, and a replica that is cut over as one: no seed is ever made twice."""

import pytest
from small_clouds import SIZES, expected

from longshore.engine.retry import TRIES
from longshore.errors import Conflict
from longshore.model.replica import Protection, Stage, Wish
from longshore.model.status import Status
from longshore.store.tables import utc_now

pytestmark = pytest.mark.long


def count(replica, call):
    return replica.world.calls().count(call)


def fail(replica, call, how="error", number=1, when="before"):
    replica.world.plan_fault(call, count(replica, call) + number, when, how)


@pytest.fixture
def warm(protect):
    """It waits for its cutover."""
    migration = protect(warm=True)
    assert migration.engine()[0] == 0
    assert migration.record.phase == "waiting"
    return migration


def keep(migration):
    migration.store.replicas.keep(migration.id, Protection("daily", "last 10", None, utc_now()))
    migration.store.replicas.change(migration.id, paused=True)
    migration.wish_sync()


def test_what_a_warm_migration_has_copied_is_the_seed_of_its_replica(warm):
    copied, volumes = count(warm, "copy"), set(warm.world.read()["volumes"])
    keep(warm)
    assert warm.engine()[0] == 0
    assert count(warm, "copy") - copied <= 2, "only what has changed"
    (point,) = warm.points
    assert (point.number, warm.replica.stage) == (2, Stage.PROTECTED)
    state = warm.world.read()
    assert (set(state["volumes"]), state["ports"]) == (volumes, {})
    assert {volume["metadata"]["longshore:replica"] for volume in state["volumes"].values()} == {warm.id}
    warm.assert_whole()
    assert "cutover" not in warm.record.request
    (warm.world.root / "one-moment").touch()
    landed = warm.land("failover")
    assert landed.status is Status.DONE, landed.error
    warm.ask(Wish.UNDO)
    warm.sync()
    warm.assert_whole()


@pytest.mark.parametrize("call", ["delete_port", "finish_volume", "open_volume", "snapshot_volume"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_whoever_dies_meanwhile_it_is_kept_all_the_same(warm, call, when):
    fail(warm, call, "kill", when=when)
    keep(warm)
    assert warm.engine()[0] == -9
    assert warm.engine()[0] == 0
    assert len(warm.points) == 1
    assert warm.world.read()["ports"] == {}
    warm.assert_whole()


def test_what_doesnt_wait_for_its_cutover_isnt_kept(protect, warm):
    protection = Protection("daily", "last 10", None, utc_now())
    warm.store.migrations.update(warm.id, cutover_requested=True)
    with pytest.raises(Conflict, match="is being cut over"):
        warm.store.replicas.keep(warm.id, protection)
    warm.store.migrations.update(warm.id, cutover_requested=False, state={**warm.record.state, "choice": None})
    with pytest.raises(Conflict, match="a copy of web is under way, or is still to come"):
        warm.store.replicas.keep(warm.id, protection)
    asked = warm.record.request
    warm.store.migrations.update(warm.id, request={**asked, "type": "cold"})
    with pytest.raises(Conflict, match="is no warm one that goes on"):
        warm.store.replicas.keep(warm.id, protection)
    warm.store.migrations.update(warm.id, request=asked)


# Cut over


@pytest.fixture
def replica(protect):
    """With two points."""
    replica = protect()
    replica.sync(2)
    return replica


def assert_migrated(replica):
    """The server has the replica's own volumes, with all that the machine wrote, and nothing else is left."""
    record, state = replica.record, replica.world.read()
    assert record.status is Status.DONE, record.error
    (server,) = state["servers"].values()
    assert set(server["volume_ids"]) == set(state["volumes"])
    for volume, key in zip(server["volume_ids"], SIZES, strict=True):
        assert replica.world.volume_file(volume).read_bytes() == expected(replica.world, key)
    assert (state["power"], state["tracking"]) == ("off", False)
    assert not any(state[kind] for kind in ("vsnaps", "snapshots"))
    assert {entry.state.value for entry in replica.store.ledger.entries(record.id)} <= {"handed-over", "removed"}
    assert replica.points == []
    assert replica.world.violations == []


def assert_as_before(replica):
    state = replica.world.read()
    assert (replica.record.status, replica.replica.stage) == (Status.RUNNING, Stage.PROTECTED), replica.told
    assert state["power"] == "on"
    assert not any(state[kind] for kind in ("servers", "ports"))
    assert len(state["volumes"]) == len(SIZES)
    assert replica.world.violations == []
    replica.assert_whole()


def test_a_replica_is_cut_over_as_a_migration(replica):
    copied = count(replica, "copy")
    assert replica.ask(Wish.MIGRATE) == 0
    assert_migrated(replica)
    assert count(replica, "copy") - copied <= 4, "only what has changed"
    assert replica.record.result["downtime_seconds"] >= 0
    assert replica.record.result["proof"] == "console: login prompt"


@pytest.mark.turns
@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("create_port", 1),
        ("look", 1),
        ("snapshot", 1),
        ("snapshot_volume", 2),  # of the point
        ("snapshot_volume", 4),  # to go back to
        ("convert", 1),
        ("create_server", 1),
        ("console", 1),
    ],
)
def test_one_that_fails_leaves_machine_and_replica_as_they_were(replica, call, number):
    for _ in range({"look": TRIES}.get(call, 1)):
        fail(replica, call, number=number)
    assert replica.ask(Wish.MIGRATE) == 0
    assert_as_before(replica)
    assert f"weakness in {call}" in replica.replica.error
    copied, points = count(replica, "copy"), len(replica.points)
    replica.sync()
    assert (len(replica.points), count(replica, "copy") - copied <= 4) == (points + 1, True)
    replica.assert_whole()
    assert replica.ask(Wish.MIGRATE) == 0
    assert_migrated(replica)


def test_where_volumes_cant_go_back_all_is_copied_again(replica):
    fail(replica, "console")
    fail(replica, "revert_volume")
    assert replica.ask(Wish.MIGRATE) == 0
    assert any("the next sync copies all of it" in text for text in replica.told)
    replica.sync()
    assert_as_before(replica)


def test_nothing_is_made_of_points_that_go_and_they_dont_while_they_are_used(replica):
    (replica.world.root / "one-moment").touch()
    kept = replica.land("test-failover", point=1, isolated=True, keep=True)
    with pytest.raises(Conflict, match=f"of test {kept.id} stand"):
        replica.store.replicas.wish(replica.id, Wish.MIGRATE)
    assert replica.replica.stage is Stage.PROTECTED
    replica.clean_up(kept.id)
    replica.store.replicas.wish(replica.id, Wish.MIGRATE)
    for kind in ("test-failover", "failover"):
        with pytest.raises(Conflict, match="is being migrated"):
            replica.begin_landing(kind, point=1)


@pytest.mark.turns
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("call", "number"),
    [
        ("create_port", 1),
        ("look", 1),
        ("shut_down", 1),
        ("snapshot_volume", 1),
        ("snapshot_volume", 3),
        ("convert", 1),
        ("create_server", 1),
        ("console", 1),
        ("delete_volume_snapshot", 1),
        ("delete_volume_snapshot", 5),
    ],
)
def test_one_whose_worker_dies_goes_on(replica, call, number, when):
    fail(replica, call, "kill", number, when)
    assert replica.ask(Wish.MIGRATE) == -9
    assert replica.engine()[0] == 0
    assert_migrated(replica)


@pytest.mark.parametrize("call", ["convert", "create_server", "console"])
def test_another_release_begins_afresh(replica, call):
    """It knows nothing of the steps that were taken: only what is in the record and the ledger."""
    fail(replica, call, "kill", when="after")
    assert replica.ask(Wish.MIGRATE) == -9
    replica.steps.clear()
    assert replica.engine()[0] == 0
    assert_migrated(replica)


@pytest.mark.parametrize("call", ["delete_server", "revert_volume", "delete_port", "power_on"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_taking_it_back_may_be_broken_off_anywhere(replica, call, when):
    fail(replica, "console")
    fail(replica, call, "kill", when=when)
    assert replica.ask(Wish.MIGRATE) == -9
    assert replica.engine()[0] == 0
    replica.sync()
    assert_as_before(replica)
