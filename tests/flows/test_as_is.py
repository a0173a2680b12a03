"""Guests that land as they are, and are converted later in a stop of their own."""

import time

import pytest
from small_clouds import SIZES, expected, small_connect

from longshore.cli.app import main
from longshore.flows import clouds
from longshore.model.status import Status
from longshore.store import EntryState

pytestmark = pytest.mark.long

LOOK = ["snapshot", "open_disk", "look", "remove_snapshot"]
LATER = ["stop_server", "snapshot_volume", "delete_server", "open_volume", "convert", "finish_volume", "create_server"]


@pytest.fixture
def landed(begin):
    run = begin(landing="as-is")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert record.result["conversion"]["landed"] == "as-is"
    return run


def the_server(run):
    ((server_id, server),) = run.world.read()["servers"].items()
    return server_id, server


def held(run):
    """What the disks of the one server hold."""
    return [run.world.volume_file(volume).read_bytes() for volume in the_server(run)[1]["volume_ids"]]


def as_copied(run):
    return [expected(run.world, key, converted=False) for key in SIZES]


def converted(run):
    return [expected(run.world, key) for key in SIZES]


def test_it_lands_unchanged_on_hardware_it_knows(landed):
    assert held(landed) == as_copied(landed)
    assert landed.record.result["conversion"]["hardware"]["image_properties"]["hw_disk_bus"] == "sata"
    assert "convert" not in landed.world.calls()


def test_a_guest_that_knows_no_hardware_of_ours_is_converted(begin):
    run = begin(landing="as-is")
    (run.world.root / "knows-nothing").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert record.result["conversion"]["landed"] == "convert"
    assert held(run) == converted(run)
    assert any("can't land as it is" in text for text in run.told)
    (warned,) = [e for e in run.store.events.of(run.id) if e.text == "The serial console couldn't be set up."]
    assert warned.level == "warning"


def test_a_worker_that_cannot_confine_guests_says_so_before_the_downtime(begin):
    run = begin(landing="convert")
    (run.world.root / "cannot-confine").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert "Guests can't be confined on this machine" in record.error
    made_or_stopped = {"shut_down", "power_off", "create_volume", "create_port", "snapshot"}
    assert not made_or_stopped & set(run.world.calls())


def test_it_is_converted_later_on_the_same_disks_and_ports(landed):
    before = landed.world.read()
    earlier = landed.convert_later()
    record = landed.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    now = landed.world.read()
    assert held(landed) == converted(landed)
    assert now["volumes"].keys() == before["volumes"].keys()
    assert now["vsnaps"] == {}
    server_id, server = the_server(landed)
    for port in before["ports"].values():
        port["device"] = server_id  # which is a new one
    assert now["ports"] == before["ports"]
    assert server["name"] == "web"
    assert (server["tags"], server["description"]) == (["stage:production"], "The shop's web server")
    assert server["metadata"]["owner"] == "shop"
    assert landed.store.migrations.get(earlier).server_id == server_id
    for migration in (earlier, landed.id):  # both can be looked at
        assert main(["--state", str(landed.store.state.root), "migration", "show", migration]) == 0
        assert main(["--state", str(landed.store.state.root), "migration", "report", migration]) == 0


@pytest.mark.turns
@pytest.mark.parametrize("call", LATER)
def test_a_later_conversion_that_fails_leaves_the_machine_as_it_was(landed, call):
    earlier = landed.convert_later()
    landed.world.plan_fault(call, 1, "before", "error")
    record = landed.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert f"a moment of weakness in {call}" in record.error
    assert held(landed) == as_copied(landed)
    server_id, server = the_server(landed)
    assert server.get("status", "ACTIVE") == "ACTIVE"
    assert server["disk_buses"]  # on the hardware that it knows
    assert landed.store.migrations.get(earlier).server_id == server_id
    assert landed.world.read()["vsnaps"] == {}
    assert {e.state for e in landed.store.ledger.entries(landed.id)} <= {EntryState.REMOVED, EntryState.HANDED_OVER}


@pytest.mark.parametrize("call", [None, "snapshot_volume", "convert"])
def test_a_server_that_was_off_is_off_again_whether_it_was_converted_or_not(landed, call):
    with landed.world.change() as state:
        for server in state["servers"].values():
            server["status"] = "SHUTOFF"
    landed.convert_later()
    if call:
        landed.world.plan_fault(call, 1, "before", "error")
    record = landed.to_the_end(lives=1)
    assert record.status is (Status.FAILED if call else Status.DONE), record.error
    assert held(landed) == (as_copied(landed) if call else converted(landed))
    assert the_server(landed)[1]["status"] == "SHUTOFF"


def test_a_server_that_was_started_since_it_was_moved_goes_on_running(begin):
    run = begin(landing="as-is", power="off")
    assert run.to_the_end(lives=1).status is Status.DONE
    assert the_server(run)[1]["status"] == "SHUTOFF"
    with run.world.change() as state:
        for server in state["servers"].values():
            server["status"] = "ACTIVE"
    run.convert_later()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert the_server(run)[1].get("status", "ACTIVE") == "ACTIVE"


def test_a_server_that_somebody_starts_again_is_not_taken_from_its_users(landed):
    """What it writes from then on isn't in the snapshots of its volumes."""
    landed.convert_later()
    landed.world.plan_fault("snapshot_volume", 2, "after", "kill")
    assert landed.engine()[0] == -9
    before = landed.world.read()["servers"].keys()
    with landed.world.change() as state:
        for server in state["servers"].values():
            server["status"] = "ACTIVE"
    record = landed.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert "was started after it had been stopped" in record.error
    state = landed.world.read()
    assert state["servers"].keys() == before
    assert the_server(landed)[1]["status"] == "ACTIVE"
    assert state["vsnaps"] == {}


def test_what_cannot_be_converted_later_is_refused_while_its_server_runs(landed):
    before, called = landed.world.read(), len(landed.world.calls())
    (landed.world.root / "holds-nothing").touch()
    landed.convert_later()
    record = landed.to_the_end(lives=1)
    assert (record.status, record.error_code) == (Status.FAILED, "guest-not-inspected")
    assert "No operating system was found" in record.error
    assert "leave it as it has landed" in record.error
    assert landed.world.calls()[called:] == ["server", "snapshot", "open_disk", "open_disk", "look", "remove_snapshot"]
    assert landed.world.read() == before

    landed.convert_later(accept=["guest-not-inspected"])
    record = landed.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert held(landed) == converted(landed)


def test_a_volume_that_was_attached_since_is_not_lost(landed):
    before = landed.world.read()
    (landed.world.root / "attached-since").touch()
    landed.convert_later()
    record = landed.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert "has got volume other since it landed" in record.error
    assert landed.world.read() == before


@pytest.mark.parametrize("call, how", [("snapshot", "conflict"), ("open_disk", "quota")])
def test_a_cloud_that_makes_no_snapshot_of_what_runs_is_no_reason_not_to_convert_it(landed, call, how):
    landed.convert_later()
    landed.world.plan_fault(call, 1, "before", how)
    record = landed.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert any("It goes on without" in text for text in landed.told)
    assert held(landed) == converted(landed)
    assert landed.world.read()["snapshots"] == {}


def test_a_key_that_is_given_for_a_later_conversion_opens_its_disks(landed):
    landed.convert_later(guest_keys=["a cow jumps over the moon"])
    assert landed.record.request["guest_keys"][0].startswith("(a key, kept encrypted: ")
    assert landed.to_the_end(lives=1).status is Status.DONE
    given = [(landed.world.root / f"keys-to-{work}").read_text() for work in ("look", "convert")]
    assert given == ["a cow jumps over the moon"] * 2


@pytest.mark.turns
@pytest.mark.parametrize("call", [*LOOK, *LATER])
def test_a_kill_in_a_later_conversion_is_taken_up_again(landed, call):
    landed.convert_later()
    landed.world.plan_fault(call, 1, "after", "kill")
    status, said = landed.engine()
    assert status == -9, said
    record = landed.to_the_end()
    assert record.status is Status.DONE, record.error
    assert held(landed) == converted(landed)
    assert landed.world.read()["vsnaps"] == landed.world.read()["snapshots"] == {}


@pytest.mark.parametrize("call", ["delete_server", "revert_volume", "create_server"])
def test_a_kill_while_it_is_made_again_as_it_was_is_taken_up_again(landed, call):
    landed.convert_later()
    (landed.world.root / "no-boot").touch()
    landed.world.plan_fault(call, 2 if call != "revert_volume" else 1, "after", "kill")
    status, said = landed.engine()
    assert status == -9, said
    record = landed.to_the_end()
    assert record.status is Status.FAILED
    assert held(landed) == as_copied(landed)
    assert landed.world.read()["vsnaps"] == {}


def test_a_later_conversion_that_is_cancelled_leaves_the_machine_as_it_was(landed):
    landed.convert_later()
    (landed.world.root / "takes-long").touch()
    engine = landed.start_engine()
    end = time.monotonic() + 30
    while "Converting." not in landed.told:
        assert time.monotonic() < end
        time.sleep(0.05)
    landed.store.migrations.request_cancel(landed.id)
    assert engine.wait() == 0
    assert landed.record.status is Status.CANCELLED
    assert landed.record.error == "The migration was cancelled."
    assert held(landed) == as_copied(landed)
    assert the_server(landed)[1]["disk_buses"]
    assert landed.world.read()["vsnaps"] == {}


def test_a_machine_that_could_not_be_made_again_is_when_it_is_cleaned_up(landed, monkeypatch):
    landed.convert_later()
    landed.world.plan_fault("convert", 1, "before", "error")
    landed.world.plan_fault("create_server", 2, "before", "error")  # the first brought it as it is
    record = landed.to_the_end(lives=1)
    assert "could not be made again as it was" in record.error
    assert landed.world.read()["servers"] == {}
    assert landed.world.read()["vsnaps"] != {}  # the way back is still there

    monkeypatch.setattr(clouds, "connect", small_connect)
    assert main(["--state", str(landed.store.state.root), "migration", "cleanup", landed.id]) == 0
    assert held(landed) == as_copied(landed)
    assert landed.world.read()["vsnaps"] == {}
