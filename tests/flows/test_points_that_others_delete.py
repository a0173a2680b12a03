"""What others do at the target is found out before it costs anything: deleted snapshots, addresses that are taken."""

import pytest
from small_clouds import MAC, SmallTarget

from longshore.model.point import Hold
from longshore.model.replica import PointState
from longshore.model.status import Status

pytestmark = pytest.mark.long


def delete_snapshot_of(world, point):
    state = world.read()
    del state["vsnaps"][point.disks[0].snapshot_id]
    world.write(state)


def take_address(world):
    """Somebody else's port has the machine's MAC on the target's network."""
    state = world.read()
    state["ports"]["somebody's"] = {"mac": MAC, "addresses": [], "owner": "somebody", "network": "private"}
    world.write(state)


def test_a_sync_finds_out_that_a_point_is_lost_and_no_machine_is_made_of_it(protect):
    replica = protect()
    replica.sync(2)
    first, second = replica.points
    delete_snapshot_of(replica.world, second)
    replica.sync()
    assert [point.number for point in replica.points] == [first.number, 3]
    assert any("Point 2" in said and "is lost" in said for said in replica.told)


def test_a_list_that_lacks_what_was_just_made_costs_no_point(protect, monkeypatch):
    """A cloud answers so while it is upgraded, or where its lists come late."""
    replica = protect()
    replica.sync(2)
    with monkeypatch.context() as now:
        now.setattr(SmallTarget, "snapshots_of", lambda _target, _volumes: frozenset())
        replica.sync()
    replica.sync()
    assert len(replica.points) == 4, replica.told
    replica.assert_whole()
    assert any("so it isn't believed" in text for text in replica.told)


def test_a_held_point_that_is_lost_stays_in_the_list(protect):
    replica = protect()
    replica.sync(2)
    replica.store.points.hold(replica.id, 1, Hold("audit", None))
    delete_snapshot_of(replica.world, replica.points[0])
    replica.sync()
    assert replica.store.points.get(replica.id, 1).state is PointState.LOST


def test_a_failover_to_a_lost_point_names_the_next_older_one_and_leaves_a_condition(protect):
    replica = protect()
    replica.sync(2)
    delete_snapshot_of(replica.world, replica.points[-1])
    replica.land("failover")
    assert replica.landing.status is Status.FAILED
    assert replica.landing.error_code == "point-lost"
    assert "say --point 1" in replica.landing.error
    assert [point.number for point in replica.points] == [1]
    assert "Point 2 can't be used" in replica.replica.failover_error
    (replica.world.root / "one-moment").touch()  # the small cloud boots what it is given: an older moment, too
    replica.land("failover", 1)
    assert replica.landing.status is Status.DONE, replica.landing.error
    assert replica.replica.failover_error is None


def test_a_planned_failover_that_cannot_land_stops_no_machine(protect):
    replica = protect()
    replica.sync()
    take_address(replica.world)
    assert replica.ask_for_failover() == 0
    assert replica.world.read()["power"] == "on"
    assert "shut_down" not in replica.world.calls()
    assert MAC in replica.replica.failover_error
    assert replica.replica.stage.value == "protected"


def test_where_one_machine_of_a_group_cannot_land_none_is_stopped(protect_group):
    group = protect_group()
    take_address(group.worlds["web"])
    assert group.begin("failover", planned=True) == 0
    assert group.run.status is Status.FAILED
    assert MAC in group.run.error
    for world in group.worlds.values():
        assert "shut_down" not in world.calls()
