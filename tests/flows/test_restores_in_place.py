"""A point takes the place of the server that was backed up, until its user says that it is for good, or back."""

import pytest
from backed_up import BackedUp
from small_clouds import MIB, OWN_MAC, World, install
from written import written_in_phase

from longshore.errors import Conflict, InvalidInput, LongshoreError, NotFound
from longshore.flows.backups.deciding import Deciding
from longshore.flows.backups.in_place import find_in_place, refuse_meaningless
from longshore.flows.clouds import Clouds
from longshore.model.request import LandingMode, MigrationRequest, MigrationType
from longshore.model.status import Status

pytestmark = pytest.mark.long

PORT = (OWN_MAC, ("10.0.0.21",))
WORDS = b"written after the backup"


class Replaced(BackedUp):
    """A server of a small OpenStack that is backed up, goes on writing, and is to be what it was."""

    def __init__(self, directory, **server):
        super().__init__(directory)
        self.first = World.create(directory / "first", loose=False)
        self.ref = self.first.add_server(**server)
        (self.first.root / "one-moment").touch()  # what its consoles show hangs on no vSphere machine's disks
        settings = {"root": str(self.first.root)}
        self.cloud = self.store.providers.add("first", "openstack", settings, {"password": "x"})
        self.good = self.first.held_by(self.ref)
        assert self.begin(self.cloud, self.ref, self.place, type="backup") == 0
        self.point = self.record.result["point"]
        for number in (0, 1):
            self.first.server_writes(self.ref, number, MIB + 4096, WORDS)
        self.bad = self.first.held_by(self.ref)

    def begin_restore(self, **request):
        asked = {"boot_timeout": 0.5, "shutdown_timeout": 0.5, "power": "on", **request}
        return self.begin(self.place, self.point, self.cloud, type="in-place", replaces=self.ref, **asked)

    def restore_in_place(self, **request):
        assert self.begin_restore(**request) == 0
        assert self.record.phase == "up", (self.record.error, self.told)

    def say(self, word):
        """The exit status of an engine that heeds it."""
        tell = {"commit": self.store.migrations.request_commit, "undo": self.store.migrations.request_cancel}[word]
        tell(self.id)
        return self.engine()[0]

    def port_of(self, ref):
        (port,) = (port for port in self.first.read()["ports"].values() if port["device"] == ref)
        return port["mac"], tuple(port["addresses"])

    def assert_up_in_place(self):
        """The new server runs with the ports, and holds the point; the one before is as it was stopped."""
        (new,) = self.first.running()
        assert new != self.ref
        assert self.record.server_id == new
        assert self.first.held_by(new) == self.good
        assert self.port_of(new) == PORT
        assert self.first.read()["servers"][new]["name"] == "web"
        assert self.first.read()["servers"][self.ref]["status"] == "SHUTOFF"
        assert WORDS in self.first.held_by(self.ref)[0]
        assert not self.record.status.ended
        self.assert_no_leftovers()
        return new

    def assert_as_before(self, *, runs=True):
        """But for what its guest wrote while it was shut down."""
        assert self.first.running() == ([self.ref] if runs else [])
        assert self.port_of(self.ref) == PORT
        state = self.first.read()
        assert (list(state["servers"]), len(state["ports"])) == ([self.ref], 1)
        assert set(state["volumes"]) == set(state["servers"][self.ref]["volume_ids"])
        assert self.first.held_by(self.ref)[0] == self.bad[0]
        assert self.record.status.ended
        self.assert_no_leftovers()

    def assert_committed(self, new):
        assert self.record.status is Status.DONE, self.record.error
        assert self.first.running() == [new]
        assert self.port_of(new) == PORT
        assert set(self.first.read()["servers"]) == {self.ref, new}, "the one before is its owner's"
        assert {e.state.value for e in self.store.ledger.entries(self.id)} <= {"handed-over", "removed"}
        self.assert_no_leftovers()

    def assert_no_leftovers(self):
        state = self.first.read()
        assert not state["vsnaps"]
        assert not state["probes"]
        assert self.first.violations == []
        assert len(self.points) == 1


@pytest.fixture
def begun(tmp_path, monkeypatch):
    monkeypatch.setenv("SMALL_WORLD", str(tmp_path / "world"))
    install(monkeypatch.setattr)
    made = []

    def begin(**server):
        made.append(Replaced(tmp_path, **server))
        return made[-1]

    yield begin
    for one in made:
        one.store.close()


@pytest.fixture(params=["volume", "image", "nova's port"])
def server(begun, request):
    """Which boots from a volume; whose root disk is none; whose port is Nova's to remove."""
    return begun(local=request.param == "image", ports_of_nova=request.param == "nova's port")


@pytest.fixture
def plain(begun):
    return begun(ports_of_nova=True)


def test_a_point_takes_the_place_of_its_server_for_good(server):
    server.restore_in_place()
    new = server.assert_up_in_place()
    assert any(f"longshore restore undo {server.id}" in text for text in server.told)
    assert server.record.result["downtime_seconds"] >= 0
    assert server.say("commit") == 0
    server.assert_committed(new)
    with pytest.raises(Conflict, match="has ended already"):
        server.say("undo")


def test_who_waits_for_it_to_be_up_finds_its_downtime(plain):
    with written_in_phase(plain.store, "up") as seen:
        plain.restore_in_place()
    assert seen
    assert all("downtime_seconds" in one["result"] for one in seen)


def test_a_bug_in_the_last_word_takes_no_server_away(plain, monkeypatch):
    """It was seen up, and somebody may work with it: the job fails, and nothing is rolled back."""
    plain.restore_in_place()
    new = plain.assert_up_in_place()

    def fail(_flow):
        raise ZeroDivisionError

    with monkeypatch.context() as broken, pytest.raises(LongshoreError, match="ZeroDivisionError"):
        broken.setattr(Deciding, "_keep", fail)
        plain.say("commit")  # an engine ends the job by that error
    assert plain.assert_up_in_place() == new
    assert plain.record.status is not Status.ROLLING_BACK
    assert not any("Taking back" in text for text in plain.told)


def test_it_is_undone_and_the_server_is_as_it_was(server):
    server.restore_in_place()
    new = server.assert_up_in_place()
    server.first.server_writes(new, 0, 8192, b"in the new server")
    assert server.say("undo") == 0
    assert (server.record.status, server.record.phase) == (Status.CANCELLED, "undone")
    assert server.record.error is None
    server.assert_as_before()
    server.restore_in_place()
    server.assert_up_in_place()


def test_a_server_that_was_off_is_off_again(plain):
    with plain.first.change() as state:
        state["servers"][plain.ref]["status"] = "SHUTOFF"
    plain.restore_in_place()
    plain.say("undo")
    plain.assert_as_before(runs=False)


def test_one_that_does_not_come_up_changes_nothing(plain):
    (plain.first.root / "no-boot").touch()
    plain.begin_restore()
    assert plain.record.status is Status.FAILED
    assert "boot" in plain.record.error_code
    plain.assert_as_before()


def test_one_that_does_not_shut_down_goes_on(plain):
    (plain.first.root / "server-stays-on").touch()
    plain.begin_restore()
    assert plain.record.status is Status.FAILED
    assert "didn't shut down" in plain.record.error
    plain.assert_as_before()


def test_two_restores_do_not_take_one_place(plain):
    plain.restore_in_place()
    with pytest.raises(Conflict, match="Another restore takes the place of this server") as said:
        plain.begin_restore()
    assert f"longshore restore undo {plain.id}" in said.value.advice
    plain.say("undo")
    plain.assert_as_before()


def test_what_it_is_said_by_the_server_is_not_asked_for():
    for asked in ({"networks": {"a": "b"}}, {"ports": {"m": "p"}}, {"landing": LandingMode.CONVERT}, {"keep": True}):
        with pytest.raises(InvalidInput, match="in place goes to the ports"):
            refuse_meaningless(MigrationRequest(type=MigrationType.IN_PLACE, **asked))


def test_a_server_that_is_gone_has_no_place(plain):
    with plain.first.change() as state:
        del state["servers"][plain.ref]
    with pytest.raises(NotFound, match="isn't there") as said:
        find_in_place(Clouds(plain.store), plain.place.id, plain.point, plain.cloud.id, plain.ref)
    assert "--in-place" in said.value.advice


def test_a_volume_attached_since_is_said_and_can_be_accepted(plain):
    (plain.first.root / "attached-since").touch()
    plain.begin_restore()
    assert plain.record.status is Status.FAILED
    assert "isn't in the point" in plain.record.error
    plain.restore_in_place(accept=["server-has-more-disks"])


def test_commit_before_it_is_up_is_refused(plain):
    (plain.first.root / "no-boot").touch()
    plain.begin_restore()
    with pytest.raises(Conflict, match="has ended already"):
        plain.say("commit")
    plain.begin(plain.cloud, plain.ref, plain.place, type="backup")
    with pytest.raises(Conflict, match="isn't a restore in place"):
        plain.say("commit")


def test_a_server_that_cannot_be_removed_keeps_the_ports_and_the_other_stays_off(plain):
    plain.restore_in_place()
    plain.first.plan_fault("delete_server", 1, "before", "error", stays=True)
    assert plain.say("undo") == 0
    assert not plain.record.status.ended
    assert plain.record.error_code == "undo-failed"
    assert plain.ref not in plain.first.running()
    plain.first.lift_faults()
    plain.say("undo")
    assert plain.record.status is Status.CANCELLED
    plain.assert_as_before()


# Faults

CALLS = {
    "machine": 2,
    "create_volume": 2,
    "open_volume": 2,
    "finish_volume": 2,
    "shut_down": 1,
    "free_port": 1,
    "port_gone": 1,
    "create_server": 1,
    "console": 1,
}
EACH = [(call, number) for call, n in CALLS.items() for number in sorted({1, n})]


@pytest.mark.turns
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("call", "number"), EACH)
def test_a_kill_costs_nothing(plain, call, number, when):
    if call == "port_gone" and when == "after":
        return  # it is no call, but the moment within one
    plain.first.plan_fault(call, plain.first.calls().count(call) + number, when, "kill")
    assert plain.begin_restore() == -9
    while plain.engine()[0]:
        pass
    assert plain.record.phase == "up", plain.record.error
    new = plain.assert_up_in_place()
    plain.say("commit")
    plain.assert_committed(new)


@pytest.mark.turns
@pytest.mark.parametrize(("call", "number"), EACH)
def test_an_error_leaves_the_server_as_it_was(plain, call, number):
    plain.first.plan_fault(call, plain.first.calls().count(call) + number, "before", "error", stays=True)
    plain.begin_restore()
    plain.first.lift_faults()
    if plain.record.phase == "up":
        assert call == "console", "without it it is as good"
        plain.assert_up_in_place()
        return
    assert f"weakness in {call}" in plain.record.error
    plain.assert_as_before()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", ["delete_server", "give_port_back", "delete_volume", "power_on"])
def test_going_back_may_be_broken_off_anywhere(plain, call, when):
    plain.restore_in_place()
    plain.first.plan_fault(call, plain.first.calls().count(call) + 1, when, "kill")
    assert plain.say("undo") == -9
    while plain.engine()[0]:
        pass
    assert plain.record.status is Status.CANCELLED, plain.record.error
    plain.assert_as_before()


@pytest.mark.parametrize("call", ["create_volume", "shut_down", "port_gone", "console"])
def test_who_cancels_has_all_as_it_was(plain, call):
    plain.first.plan_fault(call, plain.first.calls().count(call) + 1, "before", "kill")
    assert plain.begin_restore() == -9
    plain.store.migrations.request_cancel(plain.id)
    while plain.engine()[0]:
        pass
    assert plain.record.status is Status.CANCELLED, plain.record.error
    plain.assert_as_before()
