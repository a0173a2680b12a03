"""Guest and port get the same new addresses, a rehearsal others, and what goes home has its own again."""

import json

import pytest
from small_clouds import MAC

from longshore.model.replica import Stage, Wish
from longshore.model.status import Status

pytestmark = pytest.mark.long

GIVEN = {"ipv4": "10.0.0.77/24", "gateway": "10.0.0.1", "dns": ["10.0.0.53"]}
OF_TESTS = {MAC: {"ipv4": "10.0.0.99/24"}}


def told(world):
    """What the guest was given."""
    path = world.root / "new-addresses"
    return json.loads(path.read_text()) if path.exists() else None


def ports(world):
    return [port["addresses"] for port in world.read()["ports"].values()]


@pytest.mark.parametrize("landing", ["convert", "as-is", "unchanged"])
def test_the_port_and_the_guest_have_the_same_address_however_it_lands(begin, landing):
    # A guest that lands unchanged is looked into as well, and this one has no virtio driver
    run = begin(landing=landing, addresses={MAC: GIVEN}, accept=["guest-no-virtio"])
    if landing == "unchanged":
        (run.world.root / "one-moment").touch()  # it boots as it is
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert ports(run.world) == [["10.0.0.77"]]
    given = told(run.world)
    (adapter,) = given["new"]["adapters"]
    assert (adapter["mac"], adapter["old_mac"], adapter["addresses"]) == (MAC, MAC, ["10.0.0.5"])
    assert adapter["names"][0] == "ens192"
    assert adapter["wanted"]["ipv4"] == "10.0.0.77/24"
    assert (given["keep"], given["only"]) == (False, landing == "unchanged")
    assert record.result["conversion"]["landed"] == landing


def test_rules_move_the_ports_address_and_are_told_to_the_guest(begin):
    run = begin(readdress={"10.0.0.0/28": "10.0.0.64/28"})
    assert run.to_the_end(lives=1).status is Status.DONE
    assert ports(run.world) == [["10.0.0.69"]]
    assert told(run.world)["new"]["renumbering"]["networks"] == {"10.0.0.0/28": "10.0.0.64/28"}


@pytest.mark.parametrize(
    ("request_", "port", "guest"),
    [
        ({"addresses": {MAC: GIVEN}}, [], None),  # its address is the machine's, and a dry run is beside it
        ({"addresses": {MAC: GIVEN}, "test_addresses": OF_TESTS}, ["10.0.0.99"], "10.0.0.99/24"),
        ({"addresses": {MAC: GIVEN}, "isolated": True}, ["10.0.0.77"], "10.0.0.77/24"),
    ],
)
def test_a_dry_run_has_addresses_of_its_own(begin, request_, port, guest):
    run = begin(type="dry-run", keep=True, **request_)
    (run.world.root / "one-moment").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert ports(run.world) == [port]
    given = told(run.world)
    assert (given and given["new"]["adapters"][0]["wanted"]["ipv4"]) == guest


@pytest.mark.parametrize("landing", ["convert", "as-is", "unchanged"])
def test_what_cannot_be_written_ends_it_before_the_machine_is_shut_down(begin, landing):
    run = begin(landing=landing, addresses={MAC: GIVEN})
    (run.world.root / "cannot-be-addressed").touch()
    record = run.to_the_end(lives=1)
    assert record.status is Status.FAILED
    assert "Addresses can't be written into web for Network adapter 1" in record.error
    assert "netplan has no ens192" in record.error
    assert "shut_down" not in run.world.calls()
    assert run.world.read()["power"] == "on"
    assert not run.world.read()["ports"]


def test_what_cannot_be_written_is_no_matter_where_nothing_is_to_be(begin):
    run = begin()
    (run.world.root / "cannot-be-addressed").touch()
    assert run.to_the_end(lives=1).status is Status.DONE


def test_an_address_outside_of_the_subnet_ends_it_before_anything_is_made(begin):
    run = begin(addresses={MAC: {**GIVEN, "ipv4": "192.0.2.77/24"}})
    record = run.to_the_end(lives=1)
    assert (record.status, record.error_code) == (Status.FAILED, "preflight-failed")
    assert "192.0.2.77" in record.error
    assert not [call for call in run.world.calls() if call.startswith("create_")]


def test_an_adapter_is_left_out(begin):
    run = begin(adapters={MAC: {"leave_out": True}})
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert ports(run.world) == []


@pytest.fixture
def replica(protect):
    replica = protect(landing="as-is", boot_timeout=0.5, addresses={MAC: GIVEN}, test_addresses=OF_TESTS)
    replica.sync()
    (replica.world.root / "one-moment").touch()
    return replica


def test_a_failover_keeps_what_the_guest_had_and_a_failback_gives_it_back(replica):
    replica.ask_for_failover()
    assert replica.replica.stage is Stage.FAILED_OVER, replica.told
    assert ports(replica.world) == [["10.0.0.77"]]
    assert told(replica.world)["keep"] is True
    assert replica.fail_back() == 0
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert (replica.world.root / "put-back").read_text() == "source-2000\nsource-2001\n"
    calls = replica.world.calls()
    assert calls.index("put_back") < len(calls) - 1 - calls[::-1].index("power_on")


@pytest.mark.parametrize("tracked", [True, False])
def test_what_no_tracking_has_seen_is_compared_by_the_next_sync(replica, tracked):
    if not tracked:
        (replica.world.root / "writes-untracked").touch()
    replica.ask_for_failover()
    assert replica.fail_back() == 0
    assert [change_id is not None for change_id in replica.failback.result["change_ids"].values()] == [tracked] * 2
    replica.ask(Wish.COMMIT)
    replica.sync()
    replica.assert_whole()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_failback_that_cannot_give_it_back_leaves_the_server_running(replica, when):
    replica.ask_for_failover()
    before = [(replica.world.root / f"source-{key}").read_bytes() for key in ("2000", "2001")]
    replica.world.plan_fault("put_back", 1, when, "error")
    replica.fail_back()
    assert replica.failback.status is Status.FAILED
    assert replica.replica.stage is Stage.FAILED_OVER
    assert [(replica.world.root / f"source-{key}").read_bytes() for key in ("2000", "2001")] == before


def test_a_failback_of_what_has_kept_its_addresses_is_as_before(protect):
    replica = protect(landing="as-is", boot_timeout=0.5)
    replica.sync()
    (replica.world.root / "one-moment").touch()
    replica.ask_for_failover()
    assert replica.fail_back() == 0
    assert not (replica.world.root / "put-back").exists()
