"""What a source hid, or a volume lost: an audit finds it, heals it, and says which points lack it."""

from datetime import datetime, timedelta

import pytest
from small_clouds import MIB

from longshore.model.replica import Wish
from longshore.store.tables import utc_now

pytestmark = pytest.mark.long

HIDDEN = MIB + 4096  # in a block that nothing else is written to


def audit(replica):
    status = replica.ask(Wish.AUDIT)
    assert status == 0, replica.told


def suspects(replica):
    return [point.number for point in replica.points if point.suspect]


def moments_held(replica):
    return [replica.held_by(point) for point in replica.points]


def test_what_the_source_hid_is_found_healed_and_makes_points_suspect(protect):
    replica = protect()
    replica.sync()
    replica.world.hide("2001", HIDDEN, b"nobody was told")
    replica.sync(2)
    assert moments_held(replica) == [1, None, None], "the tracking has hidden it from these"
    audit(replica)
    assert moments_held(replica) == [1, None, None, 4]
    assert suspects(replica) == [2, 3]
    assert "Hard disk 2: 1.0 MiB had changed that the source hasn't told of. They are copied now." in replica.told
    assert "Points 2 to 3 are suspect. Point 4 is right." in replica.told
    found = replica.replica.audits[-1]
    assert (found["point"], found["since"], found["hidden"], found["repaired"]) == (4, 1, {"Hard disk 2": MIB}, {})
    assert [arrival.moment for arrival in replica.store.points.arrivals(replica.id, replica.points[0].moment)] == [
        replica.points[0].moment,
        replica.points[3].moment,
    ]
    replica.sync()
    assert moments_held(replica)[3:] == [4, 5]
    audit(replica)
    assert suspects(replica) == [2, 3]
    assert "All was read and compared for point 6: nothing was hidden since point 4." in replica.told


def test_what_the_volume_lost_is_written_again(protect):
    replica = protect()
    replica.sync(2)
    volume = replica.points[-1].disks[0].volume_id
    with replica.world.volume_file(volume).open("r+b") as file:
        file.seek(HIDDEN)
        file.write(b"rot")
    replica.sync()
    assert moments_held(replica) == [1, 2, None]
    audit(replica)
    assert moments_held(replica) == [1, 2, None, 4]
    assert suspects(replica) == [2, 3]
    assert replica.replica.audits[-1]["repaired"] == {"Hard disk 1": 1}


def test_an_honest_source_is_said_to_be_one(protect):
    replica = protect()
    replica.sync(2)
    audit(replica)
    replica.assert_whole()
    assert (suspects(replica), replica.replica.audited_point) == ([], 3)
    assert "All was read and compared for point 3: nothing was hidden since point 1." in replica.told
    assert replica.replica.audits[-1]["bytes_verified"] > 0


def test_audits_come_by_their_clock_with_the_sync_that_is_due(protect):
    replica = protect()
    replica.store.replicas.change(replica.id, audit="every 7d")
    replica.sync()
    due = replica.replica.audit_due_at
    assert timedelta() < due - utc_now() <= timedelta(days=7), "the first sync has read everything"
    replica.sync()
    assert replica.replica.audited_point == 1
    replica.store.replicas.change(replica.id, audit_due_at=datetime(2026, 1, 1))
    replica.sync()
    assert (replica.replica.audited_point, replica.replica.audit_due_at) == (3, due)


def test_an_audit_that_fails_is_still_due(protect):
    replica = protect()
    replica.sync()
    replica.world.hide("2000", HIDDEN, b"nobody was told")
    replica.world.plan_fault("snapshot", 2, "before", "error")
    replica.ask(Wish.AUDIT)
    assert (replica.replica.failures, replica.replica.wish, replica.replica.audited_point) == (1, None, 1)
    replica.sync()
    assert replica.replica.audited_point == 2
    assert replica.replica.audits[-1]["hidden"] == {"Hard disk 1": MIB}
    replica.assert_whole()


@pytest.mark.parametrize(
    ("call", "number", "when"),
    [("open_disk", 2, "before"), ("copy", 1, "before"), ("copy", 2, "before"), ("snapshot_volume", 1, "after")],
)
def test_a_kill_in_an_audit_costs_nothing(protect, call, number, when):
    replica = protect()
    replica.sync()
    replica.world.hide("2000", HIDDEN, b"nobody was told")
    replica.sync()
    before = replica.world.calls().count(call)
    replica.world.plan_fault(call, before + number, when, "kill")
    assert replica.ask(Wish.AUDIT) == -9
    assert suspects(replica) == []
    assert replica.engine()[0] == 0
    assert (suspects(replica), replica.replica.audited_point) == ([2], 3)
    assert moments_held(replica) == [1, None, 3]


def test_real_bytes_are_healed(protect_really):
    replica = protect_really()
    replica.sync()
    replica.world.hide("2000", HIDDEN, b"nobody was told")
    replica.sync()
    audit(replica)
    assert (suspects(replica), moments_held(replica)) == ([2], [1, None, 3])
    assert replica.replica.audits[-1]["hidden"] == {"Hard disk 1": MIB}
