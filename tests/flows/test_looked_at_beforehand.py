"""What a machine's disks tell is known before it is stopped: what can't land is refused while it still runs."""

import tempfile
from pathlib import Path

import pytest
from rounds import Round, in_this_process
from small_clouds import SmallSource, World

from longshore.errors import DISK_HELD, Conflict, ConversionError
from longshore.flows.moves import look
from longshore.model.machine import Doubt, FileDoubt
from longshore.model.status import Status
from longshore.store import EntryState, StateDirectory, Store

pytestmark = pytest.mark.long

AT_ONCE = {"mode": "scheduled", "at": "2026-01-01T00:00:00Z"}
WARM = {"type": "warm", "cutover": AT_ONCE}
STOPS = {"shut_down", "power_off"}
_strike = World.strike  # with the faults that were planned, and every call written down


class Quiet(Round):
    """A migration to which nothing happens but what a test has in mind."""

    def __post_init__(self):
        super().__post_init__()
        self.events, self.plan = [], []
        (self.world.root / "keeps-bases").unlink(missing_ok=True)

    def check(self):
        pass

    def strike(self, call, when):
        _strike(self.world, call, when)


@pytest.fixture
def move(monkeypatch):
    in_this_process(monkeypatch)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        store = Store(StateDirectory(Path(directory) / "state"))

        def move(*signs, faults=(), power="on", **request):
            one = Quiet(len(list(Path(directory).glob("world-*"))), Path(directory), store)
            one.request = request
            for sign in signs:
                (one.world.root / sign).touch()
            one.world.hand(power)
            for fault in faults:
                one.world.plan_fault(*fault)
            one.run()
            return one

        yield move
        store.close()


def said(one, level):
    return [e.text for e in one.store.events.of(one.id) if e.level == level]


@pytest.mark.parametrize("request_", [{}, WARM], ids=["cold", "warm"])
def test_what_cannot_land_in_the_first_way_is_moved_in_the_second(move, request_):
    one = move("holds-nothing", landing="convert", landing_else="unchanged", **request_)
    assert one.record.status is Status.DONE, one.record.error
    assert one.record.result["conversion"]["landed"] == "unchanged"
    assert one.world.calls().count("shut_down") == 1, "it ran while that was found out"
    assert any("with --landing unchanged" in event.text for event in one.store.events.of(one.id))
    state = one.world.read()
    assert len(state["servers"]) == 1
    assert len(state["volumes"]) == 2
    assert not any(state[kind] for kind in ("snapshots", "vsnaps"))


@pytest.mark.parametrize("request_", [{}, WARM, {"type": "dry-run"}], ids=["cold", "warm", "dry run"])
def test_what_cannot_land_is_refused_while_the_machine_runs(move, request_):
    one = move("holds-nothing", **request_)
    assert one.record.status is Status.FAILED
    assert "No operating system was found on the machine's disks." in one.record.error
    assert one.record.error_code == "guest-not-inspected"
    assert not STOPS & set(one.world.calls())
    state = one.world.read()
    assert (state["power"], state["starts"]) == ("on", 1)
    assert not any(state[kind] for kind in ("snapshots", "volumes", "ports", "servers", "vsnaps"))
    # why stays to be read
    assert one.record.result["guest"]["why_not"].startswith("No operating system")


def test_a_refusal_that_is_accepted_is_a_warning(move):
    one = move("holds-nothing", accept=["guest-not-inspected"])
    assert one.record.status is Status.DONE, one.record.error
    assert any("It was accepted." in text for text in said(one, "warning"))


@pytest.mark.parametrize("request_", [{}, WARM], ids=["cold", "warm"])
def test_hardware_is_chosen_by_the_same_look(move, request_):
    one = move(landing="as-is", **request_)
    assert one.record.status is Status.DONE, one.record.error
    calls = one.world.calls()
    assert calls.count("look") == 1
    assert calls.index("look") < calls.index("shut_down")
    assert one.record.result["conversion"]["hardware"]["image_properties"]["hw_disk_bus"] == "sata"
    assert one.record.result["guest"]["systems"][0]["product"] == "Debian 12"
    assert one.record.result["guest"]["looked_at"].endswith("Z")


def test_a_guest_that_is_not_changed_is_not_looked_into(move):
    one = move(landing="unchanged")
    assert one.record.status is Status.DONE, one.record.error
    assert "look" not in one.world.calls()
    assert one.world.calls().count("snapshot") == 1


@pytest.mark.parametrize("landing", ["convert", "as-is"])
def test_a_source_that_makes_no_snapshot_of_what_runs_is_no_reason_to_refuse(move, landing):
    one = move(faults=[("snapshot", 1, "before", "conflict")], landing=landing)
    assert one.record.status is Status.DONE, one.record.error
    assert any("web can't be looked into beforehand" in text for text in said(one, "warning"))
    # hardware has to be known, whatever it costs; a conversion tells by itself
    assert one.world.calls().count("look") == (landing == "as-is")


@pytest.mark.parametrize("landing", ["convert", "as-is"])
def test_a_look_that_takes_too_much_is_no_reason_to_refuse(move, monkeypatch, landing):
    found = look.look_into
    tries = []

    async def slow(*arguments, **more):
        tries.append(1)
        if len(tries) == 1:
            raise ConversionError("Looking took longer than 1800 s.", code="conversion-limit")
        return await found(*arguments, **more)

    monkeypatch.setattr(look, "look_into", slow)
    one = move(landing=landing)
    assert one.record.status is Status.DONE, one.record.error
    assert any("Looking took longer than 1800 s. It goes on without" in text for text in said(one, "warning"))
    assert one.world.calls().count("remove_snapshot") == 2


@pytest.mark.parametrize("kind", ["cold", "dry-run", "inspection"])
def test_a_snapshot_that_somebody_reads_on_and_on_costs_nothing_but_itself(move, kind):
    one = move(type=kind, faults=[("remove_snapshot", 1, "before", "conflict")] * 20)
    assert one.record.status is Status.DONE, one.record.error
    assert any("A snapshot of web couldn't be removed, which is tried again" in text for text in said(one, "warning"))
    left = [e.ref for e in one.store.ledger.entries(one.id) if e.state is EntryState.LEFT]
    assert sorted(left) == sorted(snapshot["ref"] for snapshot in one.world.read()["snapshots"].values())
    assert sum("could not be removed" in text for text in said(one, "warning")) == len(left) > 0


@pytest.mark.parametrize("kind", ["cold", "inspection"])
def test_a_disk_that_only_the_running_machine_may_open_is_read_when_it_is_off(move, monkeypatch, kind):
    def held(*_):
        raise Conflict("The host doesn't let the disk be opened.", code=DISK_HELD)

    monkeypatch.setattr(look, "open_disk", held)
    one = move(type=kind)
    if kind == "inspection":
        assert one.record.status is Status.FAILED
        assert "doesn't let the disk be opened" in one.record.error
    else:
        assert one.record.status is Status.DONE, one.record.error
        assert any("opened. It goes on without" in text for text in said(one, "warning"))
    assert not one.world.read()["snapshots"]


def test_an_appliance_that_does_not_start_is_known_before_the_machine_is_stopped(move, monkeypatch):
    async def broken(*_arguments, **_more):
        raise ConversionError("The appliance didn't start.")

    monkeypatch.setattr(look, "look_into", broken)
    one = move()
    assert one.record.status is Status.FAILED
    assert "The appliance didn't start." in one.record.error
    assert not STOPS & set(one.world.calls())


@pytest.mark.parametrize("power", ["on", "off"])
def test_a_machine_is_looked_into_where_it_is(move, power):
    one = move(power=power, type="inspection")
    assert one.record.status is Status.DONE, one.record.error
    assert one.record.result["guest"]["systems"][0]["root"] == "/dev/sda1"
    assert one.record.result["concerns"]["convert"] == []
    assert {c["code"] for c in one.record.result["concerns"]["as-is"]} >= {"as-is-hardware"}
    assert set(one.world.calls()) == {
        *("machine", "check_machine", "make_ready", "snapshot", "open_disk", "look", "remove_snapshot")
    }
    state = one.world.read()
    assert (state["power"], state["snapshots"]) == (power, {})


def test_what_is_wrong_with_a_machines_files_is_told_by_a_look(move, monkeypatch):
    doubt = FileDoubt(Doubt.MISSING, "a.vmdk", "a.vmdk is cut off.")
    monkeypatch.setattr(
        SmallSource, "check_machine", lambda *said: (doubt,) if said[-1] and doubt.kind in said[-1] else ()
    )
    one = move(type="inspection")
    for landing in ("convert", "as-is"):
        (concern,) = (c for c in one.record.result["concerns"][landing] if c["code"] == "file-bytes-missing")
        assert (concern["severity"], concern["text"]) == ("blocker", "a.vmdk is cut off.")


def test_what_stands_against_a_landing_is_told_not_refused(move):
    one = move("holds-nothing", type="inspection")
    assert one.record.status is Status.DONE, one.record.error
    (concern,) = one.record.result["concerns"]["convert"]
    assert (concern["code"], concern["severity"]) == ("guest-not-inspected", "blocker")


@pytest.mark.parametrize("request_", [{}, WARM, {"type": "dry-run"}], ids=["cold", "warm", "dry run"])
def test_a_conversion_is_told_what_was_found(move, request_):
    converted = move(**request_).record.result["conversion"]
    assert converted["system"]["host_name"] == "looked-at"
