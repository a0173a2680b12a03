"""A replica between the small clouds, of a machine that writes all the time, with a fault at each step of its syncs.

Whatever fails or dies, and whenever: every point that is listed holds one moment of all disks, points that were there
stay as they were, and nothing is left over but what the record knows.
"""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from small_clouds import MIB, SIZES

from longshore.flows.replicas.moments import begin_by, expected
from longshore.model.point import Consistency
from longshore.model.replica import PointState, Stage
from longshore.model.status import Status
from longshore.planning.schedules import next_time, parse_schedule
from longshore.store import NewMigration
from longshore.store.jobs import NEVER
from longshore.store.tables import utc_now, with_zone, without_zone

pytestmark = pytest.mark.long

# Every call of a first sync without faults, and of a second one, and how often each is made (checked below)
FIRST = {
    "machine": 3,
    "check_machine": 1,
    "tags": 1,
    "room": 1,
    "networks": 1,
    "volume_types": 1,
    "flavors": 1,
    "taken": 1,
    "present": 1,
    "quota_room": 1,
    "create_volume": 2,
    "make_ready": 3,
    "set_change_tracking": 1,
    "finish_volume": 2,
    "snapshot": 1,
    "open_disk": 2,
    "open_volume": 2,
    "snapshot_volume": 2,
    "remove_snapshot": 1,
    "snapshots_of": 1,
    "copy": 5,  # MiB
}
SECOND = {"machine": 1, "snapshot": 1, "changed": 2, "open_disk": 2, "open_volume": 2, "snapshot_volume": 2}
SECOND |= {"remove_snapshot": 1, "snapshots_of": 1, "copy": 2}
MAKES = [
    "create_volume",
    "finish_volume",
    "snapshot",
    "open_disk",
    "open_volume",
    "snapshot_volume",
    "remove_snapshot",
    "copy",
]


def test_each_sync_makes_a_point_and_copies_what_has_changed(protect):
    replica = protect()
    replica.sync()
    assert Counter(replica.world.calls()) == Counter(FIRST)
    assert replica.replica.stage is Stage.PROTECTED
    replica.sync()
    assert Counter(replica.world.calls()) == Counter(FIRST) + Counter(SECOND)
    replica.sync()
    replica.assert_whole()
    first, second, third = replica.points
    assert [point.number for point in replica.points] == [1, 2, 3]
    assert first.moment < first.usable_at < second.moment < third.moment
    assert first.written > second.written > 0
    assert (first.changed, second.changed > 0) == (None, True)
    assert {point.consistency for point in replica.points} == {Consistency.CRASH}
    assert all(sync["bytes_read"] < sum(SIZES.values()) for sync in replica.record.syncs[1:])
    assert replica.record.status is Status.RUNNING
    volumes = replica.world.read()["volumes"].values()
    assert {volume["metadata"]["longshore:replica"] for volume in volumes} == {replica.id}


def test_real_bytes_are_what_points_hold_whenever_an_engine_dies(protect_really):
    replica = protect_really()
    for call, number in (("open_volume", 2), ("snapshot_volume", 1), ("snapshot_volume", 4), ("remove_snapshot", 3)):
        replica.world.plan_fault(call, number, "after", "kill")
    for _ in range(9):
        if len(replica.points) == 3:
            break
        if replica.replica.wish is None and replica.engine()[0] == 0:
            replica.wish_sync()
        replica.engine()
    replica.sync()
    assert len(replica.points) >= 3
    replica.assert_whole()


def test_where_more_is_due_than_can_begin_the_one_is_first_whose_point_would_be_late(protect):
    replica = protect()
    replica.sync(2)
    now = datetime.now(UTC)
    due, newest = without_zone(now + timedelta(minutes=1)), replica.points[-1].moment
    arrivals = replica.store.points.arrivals(replica.id, now - timedelta(days=1))

    def place(**more):
        return begin_by(replace(replica.replica, **more), arrivals, due, now)

    takes = expected(arrivals, now)
    assert place(rpo=1800) == without_zone(newest + timedelta(minutes=30) - takes)
    again = next_time(parse_schedule("every 1h"), with_zone(due), replica.id)
    assert place(rpo=None, schedule="every 1h") == without_zone(again - takes), "it has until it is due again"
    assert begin_by(replica.replica, arrivals, NEVER, now) is None
    # The queue goes by it
    ids = [replica.store.migrations.add_together([later_one(replica, ref)])[0].id for ref in ("vm-2", "vm-3")]
    (job,) = (one for one in replica.store.queue.records() if one.record_id == replica.id)
    later = utc_now() + timedelta(hours=1)
    replica.store.replicas.end_job(replica.id, job.id, due_at=utc_now(), begin_by=later)
    assert [one.record_id for one in replica.store.queue.records()] == [*ids, replica.id]
    (job,) = (one for one in replica.store.queue.records() if one.record_id == replica.id)
    replica.store.replicas.end_job(replica.id, job.id, due_at=utc_now(), begin_by=utc_now() - timedelta(hours=1))
    assert [one.record_id for one in replica.store.queue.records()] == [replica.id, *ids]


def later_one(replica, ref):
    record = replica.record
    return NewMigration(ref, ref, record.source_id, record.target_id, {"type": "cold"})


def test_a_machine_that_is_off_is_said_to_be(protect):
    replica = protect()
    replica.sync()
    replica.world.hand("off")
    replica.sync(2)
    replica.assert_whole()
    assert [point.consistency.value for point in replica.points] == ["crash", "off", "off"]


def test_a_sync_that_is_asked_for_and_fails_is_not_tried_again_at_once(protect):
    """However early it fails: here, where the machine is looked at."""
    replica = protect()
    replica.sync()
    replica.world.plan_fault("machine", replica.world.calls().count("machine") + 1, "before", "error", stays=True)
    replica.wish_sync()
    assert replica.engine()[0] == 0
    assert (replica.replica.failures, replica.replica.wish) == (1, None), replica.told


@pytest.mark.parametrize("step", ["turn", "state", "sync-1-moment", "go-on"])
def test_a_sync_that_is_asked_for_is_made_once_whatever_step_is_done_again(protect, step):
    replica = protect()
    replica.sync()
    replica.unrecorded = step
    replica.wish_sync()
    assert replica.engine()[0] == -9
    assert replica.engine()[0] == 0
    assert len(replica.points) == 2, replica.told
    assert replica.replica.wish is None


@pytest.mark.parametrize(
    ("call", "number", "when"),
    [
        (call, number, when)
        for call in MAKES
        for number in sorted({1, FIRST[call]})
        for when in ("before", "after")
        if (call, when) != ("copy", "after")
    ]
    + [("set_change_tracking", 1, "after")],
)
def test_a_kill_in_the_first_sync_costs_nothing(protect, call, number, when):
    replica = protect()
    replica.world.plan_fault(call, number, when, "kill")
    replica.wish_sync()
    status, said = replica.engine()
    assert status == -9, said
    assert replica.points == [] or call == "remove_snapshot"
    status, said = replica.engine()
    assert status == 0, said
    assert len(replica.points) == 1, replica.told
    replica.assert_whole()
    assert len(replica.world.read()["volumes"]) == len(SIZES)


@pytest.mark.parametrize(
    ("call", "number", "when"),
    [
        (call, number, when)
        for call, count in SECOND.items()
        for number in sorted({1, count})
        for when in ("before", "after")
        if (call, when) != ("copy", "after")
    ],
)
def test_a_kill_in_a_later_sync_leaves_points_as_they_are(protect, call, number, when):
    replica = protect()
    replica.sync()
    before = replica.points
    replica.world.plan_fault(call, FIRST.get(call, 0) + number, when, "kill")
    replica.wish_sync()
    status, said = replica.engine()
    assert status == -9, said
    assert replica.points[:1] == before
    assert replica.held_by(before[0]) == 1
    status, said = replica.engine()
    assert status == 0, said
    assert len(replica.points) == 2, replica.told
    replica.assert_whole()


@pytest.mark.parametrize(("call", "number"), [("machine", 1), ("snapshot", 1), ("snapshot_volume", 2)])
def test_a_sync_that_fails_takes_back_its_own_and_the_next_one_mends_it(protect, call, number):
    replica = protect()
    replica.sync()
    before = replica.points
    replica.world.plan_fault(call, FIRST[call] + number, "before", "error")
    replica.sync()
    assert replica.points == before
    replica.assert_whole()
    assert (replica.replica.failures, f"weakness in {call}" in replica.replica.error) == (1, True)
    assert any("The sync failed" in text for text in replica.told)
    replica.sync()
    assert [point.number for point in replica.points] == [1, 2]
    replica.assert_whole()
    assert (replica.replica.failures, replica.replica.error) == (0, None)


def test_an_increment_that_is_broken_off_is_mended_by_the_next(protect_really):
    """One disk is at the new moment then, and the other one between two."""
    replica = protect_really()
    replica.sync()
    for number in range(1, 5):  # of the tries of one disk's copy
        replica.world.plan_fault("open_disk", FIRST["open_disk"] + number + 1, "before", "error")
    replica.sync()
    assert len(replica.points) == 1
    replica.assert_whole()
    replica.world.guest_writes("2000", 4096, b"later")
    replica.sync()
    assert len(replica.points) == 2, replica.told
    replica.assert_whole()


def test_what_a_first_sync_has_brought_that_broke_off_isnt_copied_again(protect_really):
    replica = protect_really()
    (replica.world.root / "bad-from").write_text(str(2 * MIB))
    replica.sync()
    assert (len(replica.points), replica.replica.stage) == (0, Stage.SEEDING)
    assert "Operation not permitted" in replica.replica.error
    replica.world.guest_writes("2000", 4096, b"later")
    (replica.world.root / "bad-from").unlink()
    replica.sync()
    assert len(replica.points) == 1, replica.told
    replica.assert_whole()
    assert replica.record.syncs[0]["bytes_read"] <= sum(SIZES.values()) - 2 * MIB + MIB


@pytest.mark.parametrize("call", ["networks", "finish_volume"])
def test_what_fails_before_there_is_anything_ends_the_replica(protect, call):
    replica = protect()
    replica.world.plan_fault(call, 1, "before", "error")
    replica.sync()
    assert replica.record.status is Status.FAILED
    state = replica.world.read()
    assert not any(state[kind] for kind in ("snapshots", "volumes", "vsnaps"))
    assert state["tracking"] is False


def test_a_first_sync_that_fails_is_tried_again(protect):
    replica = protect()
    replica.world.plan_fault("snapshot", 1, "before", "error")
    replica.sync()
    assert (replica.record.status, replica.replica.stage) == (Status.RUNNING, Stage.SEEDING)
    replica.sync()
    assert replica.replica.stage is Stage.PROTECTED
    replica.assert_whole()


def test_a_snapshot_that_stays_at_the_source_goes_before_the_next_one_is_taken(protect):
    replica = protect()
    replica.world.plan_fault("remove_snapshot", 1, "before", "error")
    replica.sync()
    assert len(replica.points) == 1, "the point is there all the same"
    assert len(replica.world.read()["snapshots"]) == 1
    replica.sync()
    replica.assert_whole()
    calls = replica.world.calls()
    last = len(calls) - calls[::-1].index("snapshot")
    assert "remove_snapshot" in calls[calls.index("snapshot") + 2 : last]


def test_points_that_the_policy_doesnt_keep_go(protect):
    replica = protect(keep="last 2")
    replica.sync(4)
    assert [point.number for point in replica.points] == [3, 4]
    replica.assert_whole()
    assert len(replica.store.points.arrivals(replica.id, replica.points[0].moment.replace(year=2000))) == 4


@pytest.mark.parametrize(("call", "how"), [("delete_volume_snapshot", "kill"), ("delete_volume_snapshot", "error")])
def test_removing_may_be_broken_off_anywhere(protect, call, how):
    replica = protect(keep="last 1")
    replica.sync()
    for number in range(2, 6):
        replica.world.plan_fault(call, number, "before", how)
    replica.wish_sync()
    status, said = replica.engine()
    assert status == (-9 if how == "kill" else 0), said
    assert [point.number for point in replica.points] == [2]
    while replica.engine()[0]:
        pass
    if how == "error":
        assert [p.state for p in replica.store.points.all(replica.id)] == [PointState.REMOVING, PointState.USABLE]
        assert any("Point 1 stays for now" in text for text in replica.told)
        replica.sync()
    assert [point.number for point in replica.points] == [3 if how == "error" else 2]
    replica.assert_whole()


def test_who_deletes_it_gets_rid_of_all_of_it(protect):
    replica = protect()
    replica.sync(2)
    replica.store.migrations.request_cancel(replica.id)
    assert replica.engine()[0] == 0
    assert replica.record.status is Status.CANCELLED
    state = replica.world.read()
    assert not any(state[kind] for kind in ("snapshots", "volumes", "vsnaps"))
    assert (state["tracking"], state["power"]) == (False, "on")
    assert replica.store.points.all(replica.id) == []
    replica.store.migrations.remove(replica.id)


def test_a_machine_that_is_registered_anew_is_followed(protect):
    replica = protect()
    (replica.world.root / "tells-instance").touch()
    replica.sync()
    replica.world.register_anew()
    replica.world.hide("2000", MIB, b"as on a copy of its files, of which the ids of changes mean nothing")
    replica.sync()
    assert len(replica.points) == 2, replica.replica.error
    assert replica.record.machine_ref == "vm-77"
    replica.assert_whole()
    replica.sync()
    _, all_of_it, last = (sync["bytes_read"] for sync in replica.record.syncs)
    assert last < MIB < all_of_it, "only once"
    replica.assert_whole()


def test_no_point_is_made_of_another_machine_that_has_its_reference_now(protect):
    replica = protect()
    (replica.world.root / "tells-instance").touch()
    replica.sync()
    replica.world.set_up_anew()
    replica.sync()
    assert len(replica.points) == 1
    assert replica.replica.error_code == "drifted"
    assert "web is gone: vm-1 is the reference of another machine now" in replica.replica.error


def test_a_disk_that_has_grown_is_said(protect):
    replica = protect()
    replica.sync()
    (replica.world.root / "sizes.json").write_text('{"2001": 3145728}')
    replica.sync()
    assert len(replica.points) == 1
    assert replica.replica.error_code == "drifted"
    assert "Hard disk 2 of web had 2097152 bytes and has 3145728 now" in replica.replica.error
    replica.assert_whole()
