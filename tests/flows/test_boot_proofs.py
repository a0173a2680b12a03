"""What shows that a guest is up: its console, its agent, one of its ports, or nothing, as was asked."""

import socket
import tempfile
from copy import copy
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from rounds import Round, in_this_process

from longshore.cli.report import of_migration
from longshore.errors import AccessDenied
from longshore.flows.moves import bootcheck, proving
from longshore.flows.moves.bootcheck import AgentProbe, Console, PortProbe, wait_until_up
from longshore.model.reach import Reach
from longshore.model.status import Status
from longshore.service.reports import reports_of
from longshore.store import Scope, StateDirectory, Store, ThingKind
from ports import nobody_listens

pytestmark = pytest.mark.long

FIXED, FLOATING = "10.0.0.5", "172.24.4.9"
SILENT = "it didn't show a login prompt on its console"


numbers = count(1)


@pytest.fixture(scope="module")
def store():
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        opened = Store(StateDirectory(Path(directory)))
        yield opened
        opened.close()


class Network:
    """Who takes connections, as (address, port): the server once it is there, and others all the time."""

    def __init__(self):
        self.servers, self.others, self.tried = set(), set(), set()
        self.world = None

    def open_socket(self, address, port, _timeout, _reach):
        self.tried.add((address, port))
        there = self.others | (self.servers if self.world.read()["servers"] else set())
        if (address, port) not in there:
            raise ConnectionRefusedError
        return socket.socket()


@pytest.fixture
def network(monkeypatch):
    made = Network()
    monkeypatch.setattr(bootcheck, "open_socket", made.open_socket)
    return made


@pytest.fixture
def migrate(monkeypatch, network, store):
    """Moves the machine in this process."""
    in_this_process(monkeypatch)
    monkeypatch.setattr(bootcheck, "_POLL", 0.001)
    monkeypatch.setattr(bootcheck, "_AGENT_EVERY", 0.001)
    monkeypatch.setattr(proving, "WATCHED", 0.01)

    def migrate(*signs, project="", reach=None, **request):
        view = store.scoped(Scope(project)) if project else copy(store)
        view.state = replace(store.state, reach=reach or Reach())
        one = Round(next(numbers), store.state.root, view)
        one.request, one.events = {"boot_timeout": 0.05, "when_stuck": "take-back", **request}, []
        one.check = lambda: None
        for sign in signs:
            (one.world.root / sign).touch()
        (one.world.root / "floating").write_text(FLOATING)
        network.world = one.world
        one.run()
        return one

    return migrate


def told(one):
    return [(event.level, event.text) for event in one.store.events.of(one.id)]


def assert_moved(one, proof):
    assert one.record.status is Status.DONE, one.record.error
    (report,) = reports_of(one.store, [one.record])
    assert (one.record.result["proof"], report.proof) == (proof, proof)
    assert f"| Boot proof | {proof} |" in "\n".join(of_migration(report))
    assert f"What shows it: {proof}." in [text for _, text in told(one)]
    state = one.world.read()
    assert (len(state["servers"]), state["probes"], state["power"]) == (1, {}, "off")


def assert_taken_back(one, said):
    assert one.record.status is Status.FAILED
    assert said in one.record.error
    state = one.world.read()
    assert state["power"] == "on"
    assert not any(state[kind] for kind in ("servers", "volumes", "ports", "probes"))


@pytest.mark.parametrize(
    ("request_", "signs", "answering", "proof"),
    [
        ({}, [], [], "console: login prompt"),
        ({"boot_proof": "console", "boot_mark": "web +login"}, [], [], "console: web login"),
        ({"boot_port": 22}, ["silent"], [(FIXED, 22)], f"port 22 on {FIXED}"),
        ({"boot_port": [22, 3389]}, ["silent"], [(FIXED, 22), (FLOATING, 3389)], f"port 3389 on {FLOATING}"),
        ({"boot_proof": "agent"}, ["silent", "agent"], [], "agent"),
    ],
)
def test_the_first_proof_that_comes_is_enough_and_is_said(migrate, network, request_, signs, answering, proof):
    network.servers.update(answering)
    one = migrate(*signs, **request_)
    assert_moved(one, proof)
    asked = "agent" if proof == "agent" else ""
    assert [e.step for e in one.store.ledger.entries(one.id) if e.kind is ThingKind.AGENT_PROBE] == (
        [asked] if asked else []
    )


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({}, f"{SILENT}. Its console is empty."),
        ({"boot_port": 3389}, f"{SILENT}, port 3389 of {FLOATING}, {FIXED} didn't answer. "),
        ({"boot_proof": "port", "boot_port": [22, 80]}, f"s ports 22, 80 of {FLOATING}, {FIXED} didn't answer. "),
        ({"boot_proof": "agent"}, "s its guest agent didn't answer. "),
    ],
)
def test_a_guest_that_never_comes_up_is_taken_back_and_what_was_waited_for_is_said(migrate, request_, said):
    assert_taken_back(migrate("silent", **request_), said)


def test_who_answers_before_the_server_is_made_is_not_the_guest(migrate, network):
    network.others.add((FIXED, 22))
    network.servers.add((FIXED, 22))
    one = migrate("silent", boot_port=22)
    assert_taken_back(one, f"{SILENT}, port 22 of {FLOATING} didn't answer. ")
    assert any(level == "warning" and f"At {FIXED} something answers already" in text for level, text in told(one))


def test_at_the_addresses_of_an_isolated_copy_the_machine_itself_would_answer(migrate, network):
    one = migrate("one-moment", type="dry-run", isolated=True, boot_port=22)
    assert one.record.result["proof"] == "console: login prompt"
    assert network.tried == set()


def test_a_project_has_no_ports_tried_where_a_server_does_not_connect(migrate, network):
    """Also in a cloud that the operator vouches for: projects choose the addresses of their servers."""
    network.servers.update([(FIXED, 22), (FLOATING, 22)])
    one = migrate("silent", project="p1", reach=Reach(refused=("10.0.0.0/24",)), boot_port=22, boot_proof="port")
    assert_moved(one, f"port 22 on {FLOATING}")
    assert {address for address, _ in network.tried} == {FLOATING}
    assert ("warning", f"This server doesn't connect to {FIXED} for its callers: no port is tried.") in told(one)


def test_without_an_address_that_may_be_tried_nothing_is_waited_for(migrate):
    nowhere = Reach(refused=("0.0.0.0/0",))
    one = migrate("silent", project="p1", reach=nowhere, boot_port=22, boot_proof="port", boot_timeout=600.0)
    assert_taken_back(one, "there is no address of the server's at which its ports could be tried.")


def test_taken_for_up_without_proof_it_is_said_as_a_warning(migrate):
    one = migrate("silent", boot_proof="none")
    assert_moved(one, "none")
    assert ("warning", "What shows it: none.") in told(one)
    (report,) = reports_of(one.store, [one.record])
    assert any("is taken for up on the target without proof" in text for text in report.concerns)


@pytest.mark.parametrize("proof", [{"boot_proof": "none"}, {"boot_port": 22}])
def test_a_console_that_says_that_the_guest_is_dead_ends_it_whatever_is_the_proof(migrate, network, proof):
    network.servers.add((FIXED, 22))
    assert_taken_back(migrate("no-boot", "agent", boot_timeout=600.0, **proof), 'its console says "Kernel panic')


def test_an_agent_that_the_cloud_does_not_ask_ends_the_waiting(migrate):
    one = migrate("silent", "no-agents", boot_proof="agent", boot_timeout=600.0)
    assert_taken_back(one, "The project's user may not ask the guest agent.")


def test_what_the_agents_answer_has_left_goes_also_when_the_engine_was_killed(begin):
    run = begin(boot_proof="agent")
    for sign in ("silent", "agent"):
        (run.world.root / sign).touch()
    run.world.plan_fault("agent_answers", 1, "after", "kill")
    status, _ = run.engine()
    assert (status, len(run.world.read()["probes"])) == (-9, 1)
    record = run.to_the_end()
    assert (record.status, record.result["proof"]) == (Status.DONE, "agent")
    assert run.world.read()["probes"] == {}
    run.assert_moved()


def test_a_port_that_takes_connections_is_told_from_one_that_does_not():
    with socket.create_server(("127.0.0.1", 0)) as listening, nobody_listens() as other:
        port = listening.getsockname()[1]
        assert PortProbe(["127.0.0.1"], [other, port], None).look() == f"port {port} on 127.0.0.1"
        assert PortProbe(["127.0.0.1"], [other], None).look() is None
        assert PortProbe(["127.0.0.1"], [port], Reach()).look() is None


def test_an_agent_that_cannot_be_asked_leaves_the_console_to_show_it(monkeypatch):
    monkeypatch.setattr(bootcheck, "_POLL", 0.001)
    monkeypatch.setattr(bootcheck, "_AGENT_EVERY", 0.0)
    said, consoles = [], iter(["", "", "web login: "])

    def ask():
        raise AccessDenied("It may not be asked.")

    agent = AgentProbe(ask, lambda text, level: said.append((level, text)), only=False)
    proof = wait_until_up(Console(lambda: next(consoles)), [agent], timeout=60, raise_if_cancelled=lambda: None)
    assert proof == "console: login prompt"
    ((level, text),) = said
    assert (level, "It may not be asked." in text) == ("warning", True)


class Answers:
    """A way that shows what it is given, look by look."""

    lacking = "nothing answered"

    def __init__(self, *looks):
        self.looks = list(looks)

    def look(self):
        return self.looks.pop(0)


def test_a_guest_that_restarts_is_up_when_it_stays_so(monkeypatch):
    clock = iter(range(0, 10_000, 1))
    monkeypatch.setattr(bootcheck.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(bootcheck.time, "sleep", lambda _: None)
    way = Answers(*[None] * 3, *["port 3389"] * 3, *[None] * 4, *["port 3389"] * 3, *[None] * 4, *["port 3389"] * 99)
    # Each look takes the clock some seconds: it would be over at the third restart, did the waiting not begin anew
    proof = wait_until_up(
        Console(lambda: "", proves=False), [way], timeout=30, raise_if_cancelled=lambda: None, steady=60
    )
    assert proof == "port 3389"
    assert 75 < len(way.looks) < 95  # neither between its restarts nor at once after the last
    once = Answers(None, "port 3389", *[None] * 99)
    assert not wait_until_up(
        Console(lambda: "", proves=False), [once], timeout=30, raise_if_cancelled=lambda: None, steady=60
    )
