"""The disks of a replica's newest point are looked into, so that what can't land is known long before it has to.

What was found spares a failover its own look, as far as the guest is still as it was.
"""

from datetime import timedelta

import pytest
from small_clouds import SIZES

from longshore.model.replica import Stage, Wish
from longshore.model.status import Status
from longshore.service.replicas_shown import replica_shown
from longshore.service.shapes import provider_names
from longshore.store.tables import utc_now

pytestmark = pytest.mark.long

CALLS = {"create_volume": 2, "look": 1, "delete_volume": 2}
KILLED = [
    (call, number, when) for call, n in CALLS.items() for number in sorted({1, n}) for when in ("before", "after")
]


@pytest.fixture
def begin(protect):
    """One that isn't paused: its first sync comes by itself, and its point is looked into."""

    def begin(*signs, **request):
        replica = protect(paused=False, **request)
        (replica.world.root / "one-moment").touch()
        for sign in signs:
            (replica.world.root / sign).touch()
        return replica

    return begin


@pytest.fixture
def replica(begin):
    replica = begin()
    assert replica.engine()[0] == 0
    return replica


def count(replica, call):
    return replica.world.calls().count(call)


def looks(replica):
    store = replica.store
    return store.migrations.several([*store.looks.ended(replica.id), *store.looks.under_way(replica.id)])


def conditions(replica):
    shown = replica_shown(replica.store, replica.replica, replica.record, provider_names(replica.store))
    return {one.code: one.text for one in shown.conditions}


def only_the_replica(replica):
    state = replica.world.read()
    assert not any(state[kind] for kind in ("servers", "ports", "networks"))
    assert len(state["volumes"]) == len(SIZES)
    replica.assert_whole()


def changed(replica):
    """Its guest has got another kernel."""
    (replica.world.root / "guest").write_text("updated")


def test_the_first_point_is_looked_into_and_nothing_stays_of_that(replica):
    (look,) = looks(replica)
    assert (look.status, look.request["point"]) == (Status.DONE, 1)
    assert look.result["guest"]["systems"][0]["product"] == "Debian 12"
    found = replica.store.looks.get(replica.id)
    assert (found.point, found.cannot_land, found.error) == (1, None, None)
    assert found.due_at > utc_now() + timedelta(hours=23)
    assert not {"cannot-land", "look-failed"} & conditions(replica).keys()
    assert replica.store.migrations.made_of(replica.id) == [], "nothing was made of it"
    only_the_replica(replica)


def test_what_can_not_land_is_said_of_the_replica_and_again_when_it_can(begin):
    replica = begin("holds-nothing")
    assert replica.engine()[0] == 0
    assert "No operating system was found on the machine's disks." in conditions(replica)["cannot-land"]
    (told,) = [e for e in replica.store.events.of(replica.id) if e.text.startswith("Point 1 couldn't land")]
    assert told.level == "error"
    assert looks(replica)[0].status is Status.DONE
    (replica.world.root / "holds-nothing").unlink()
    replica.store.looks.make_due(replica.id)
    replica.sync()
    assert "cannot-land" not in conditions(replica)
    assert any(text.startswith("Point 2 could land") for text in replica.told)
    only_the_replica(replica)


def test_what_stood_against_it_is_looked_for_again_when_it_lands(begin):
    replica = begin("holds-nothing")
    assert replica.engine()[0] == 0
    (replica.world.root / "holds-nothing").unlink()
    assert replica.land("failover").status is Status.DONE, replica.landing.error
    assert count(replica, "look") == 2


@pytest.mark.parametrize("how", [{"landing": "unchanged"}, {"paused": True}], ids=["unchanged", "paused"])
def test_not_everything_is_looked_into(protect, how):
    replica = protect(**{"paused": False, **how})
    replica.sync()
    assert (looks(replica), count(replica, "look")) == ([], 0)


def test_it_is_looked_into_once_a_day_and_the_last_look_is_on_record(replica):
    replica.sync()
    assert count(replica, "look") == 1
    replica.store.looks.make_due(replica.id)
    replica.sync()
    assert count(replica, "look") == 2
    (look,) = looks(replica)
    assert look.request["point"] == replica.store.looks.get(replica.id).point == 3
    only_the_replica(replica)


# What it spares


@pytest.mark.parametrize("landing", ["convert", "as-is"])
@pytest.mark.parametrize("syncs", [0, 1], ids=["that very point", "a later one"])
def test_a_failover_does_not_look_again(begin, landing, syncs):
    replica = begin(landing=landing)
    assert replica.engine()[0] == 0
    replica.sync(syncs)
    landed = replica.land("failover")
    assert landed.status is Status.DONE, landed.error
    assert landed.result["conversion"]["landed"] == landing
    assert landed.result["guest"]["systems"][0]["product"] == "Debian 12"
    assert count(replica, "look") == 1
    # Only its hardware depends on its being as it was
    assert count(replica, "check") == (1 if landing == "as-is" and syncs else 0)
    assert any("What is on its disks is known" in e.text for e in replica.store.events.of(landed.id))


def test_what_is_changed_in_a_guest_that_lands_as_it_is_is_looked_for_in_the_same_start(begin):
    replica = begin("names-interfaces", landing="as-is")
    assert replica.engine()[0] == 0
    replica.sync()
    landed = replica.land("failover")
    assert landed.status is Status.DONE, landed.error
    assert [count(replica, call) for call in ("look", "check", "finish")] == [1, 0, 1]


@pytest.mark.parametrize("sign", ["nothing", "names-interfaces"])
def test_a_guest_that_has_changed_is_looked_into_again_and_lands_by_what_is_found_then(begin, sign):
    replica = begin(sign, landing="as-is")
    assert replica.engine()[0] == 0
    changed(replica)
    (replica.world.root / "knows-nothing").touch()
    replica.sync()
    landed = replica.land("failover")
    assert landed.status is Status.DONE, landed.error
    assert landed.result["conversion"]["landed"] == "convert"
    assert (count(replica, "look"), count(replica, "convert")) == (2, 1)
    assert not any("broken off" in e.text for e in replica.store.events.of(landed.id))
    replica.ask(Wish.UNDO)
    only_the_replica(replica)
    replica.sync()
    assert replica.store.looks.get(replica.id).point == 3, "what is found at once is kept for the next one"
    assert replica.land("failover").status is Status.DONE, replica.landing.error
    assert count(replica, "look") == 3


def test_what_has_changed_so_that_it_can_not_land_is_refused(begin):
    replica = begin(landing="as-is")
    assert replica.engine()[0] == 0
    changed(replica)
    (replica.world.root / "holds-nothing").touch()
    replica.sync()
    landed = replica.land("failover")
    assert landed.status is Status.FAILED
    assert "No operating system was found" in landed.error
    assert replica.replica.stage is Stage.PROTECTED
    only_the_replica(replica)


def test_a_point_before_the_one_that_was_looked_into_is_looked_into(replica):
    replica.store.looks.make_due(replica.id)
    replica.sync()
    assert replica.store.looks.get(replica.id).point == 2
    assert replica.land("test-failover", point=1, isolated=True).status is Status.DONE
    assert count(replica, "look") == 3
    assert replica.land("test-failover", point=2, isolated=True).status is Status.DONE
    assert count(replica, "look") == 3


def test_interfaces_of_other_addresses_are_looked_for(begin):
    """Beside the machine a test has others, and what is to be changed in the guest goes by them."""
    replica = begin(landing="as-is")
    assert replica.engine()[0] == 0
    assert replica.land("test-failover").status is Status.DONE
    assert count(replica, "look") == 2


# Whatever fails or dies


@pytest.mark.parametrize(("call", "number", "when"), KILLED)
def test_a_kill_in_a_look_leaves_nothing(begin, call, number, when):
    replica = begin()
    replica.world.plan_fault(call, number + (len(SIZES) if call == "create_volume" else 0), when, "kill")
    assert replica.engine()[0] == -9
    assert replica.engine()[0] == 0
    (look,) = looks(replica)
    assert look.status is Status.DONE, look.error
    assert replica.store.looks.get(replica.id).point == 1
    only_the_replica(replica)


@pytest.mark.parametrize("call", ["networks", "create_volume", "check", "finish", "look"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_in_a_failover_by_what_is_known_costs_nothing(begin, call, when):
    replica = begin(*(["names-interfaces"] if call == "finish" else []), landing="as-is")
    assert replica.engine()[0] == 0
    replica.sync()
    if call == "look":
        changed(replica)
    replica.world.plan_fault(call, count(replica, call) + 1, when, "kill")
    assert replica.begin_landing("failover") == -9
    assert replica.engine()[0] == 0
    assert replica.landing.status is Status.DONE, replica.landing.error
    replica.ask(Wish.UNDO)
    only_the_replica(replica)


@pytest.mark.parametrize("call", ["create_volume", "delete_volume"])
def test_a_look_that_fails_is_said_and_costs_the_replica_nothing(begin, call):
    replica = begin()
    number = 1 + (len(SIZES) if call == "create_volume" else 0)
    replica.world.plan_fault(call, number, "before", "error")
    assert replica.engine()[0] == 0
    assert replica.replica.stage is Stage.PROTECTED
    if call == "create_volume":
        assert looks(replica)[0].status is Status.FAILED
        assert "weakness in create_volume" in conditions(replica)["look-failed"]
    replica.sync()
    assert len(replica.points) == 2
    only_the_replica(replica)
    replica.store.looks.make_due(replica.id)
    replica.sync()
    assert "look-failed" not in conditions(replica)
    only_the_replica(replica)


def test_a_look_for_which_there_is_no_room_does_not_wait_for_it(begin):
    replica = begin()
    replica.world.plan_fault("create_volume", len(SIZES) + 1, "before", "quota")
    assert replica.engine()[0] == 0
    assert looks(replica)[0].status is Status.FAILED
    assert "no room to create_volume" in conditions(replica)["look-failed"]
    only_the_replica(replica)


def test_a_cancelled_look_is_taken_back_and_not_called_a_failure(begin, monkeypatch):
    replica = begin()
    cancel = replica.store.migrations.request_cancel
    monkeypatch.setattr("longshore.flows.moves.look.keep_found", lambda job, *_: cancel(job.id))
    assert replica.engine()[0] == 0
    assert looks(replica)[0].status is Status.CANCELLED
    assert not {"cannot-land", "look-failed"} & conditions(replica).keys()
    only_the_replica(replica)


def test_what_is_looked_into_stays_until_then(begin, monkeypatch):
    """The retention wants its point gone meanwhile."""
    replica = begin(keep="last 1")
    claimed = []

    def while_looking(job, *_):
        claimed.extend(job.store.points.claim(job.request.of, [1]))

    monkeypatch.setattr("longshore.flows.moves.look.keep_found", while_looking)
    assert replica.engine()[0] == 0
    assert claimed == []
    assert replica.store.points.claim(replica.id, [1]) == [1]


@pytest.mark.parametrize("wish", ["delete", pytest.param("migrate", marks=pytest.mark.soak)])
def test_who_wants_the_replica_otherwise_need_not_wait_for_a_look(protect_really, wish):
    replica = protect_really(paused=False, landing="as-is" if wish == "delete" else "convert")
    (replica.world.root / "one-moment").touch()
    replica.world.plan_fault("look", 1, "after", "kill")
    assert replica.engine()[0] == -9
    if wish == "delete":
        assert all(point.users == () for point in replica.points)
        replica.store.migrations.request_cancel(replica.id)
    else:
        replica.store.replicas.wish(replica.id, Wish.MIGRATE)
    status, said = replica.engine()
    assert status == 0, said
    (look,) = looks(replica)
    assert look.status in (Status.CANCELLED, Status.DONE)
    state = replica.world.read()
    assert state["vsnaps"] == {}
    assert len(state["volumes"]) == (0 if wish == "delete" else len(SIZES))
