"""Bodies of requests: nobody's is read before his roles are judged, what is too large is refused unread, and the large
ones of a project come one after another."""

import asyncio
import json
import re
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from pydantic import ValidationError
from tokens import access

from longshore.api.groups import NewGroup
from longshore.api.schemas import NewPlan
from longshore.service import bodies as bodies_module
from longshore.service import create_app
from longshore.service.bodies import LARGER, USUAL, Bodies, Room, TooLarge, TooSlow
from longshore.service.policy import rule_of
from longshore.store import StateDirectory, Store

pytestmark = pytest.mark.long

PIECE = b"x" * (USUAL.bytes // 2)
ROOMY = Room(100 * len(PIECE), 1000)


class Sender:
    """A body in pieces of half of what is large, each sent when it is asked for."""

    def __init__(self, pieces, length=None, piece=PIECE):
        self.left, self.asked, self.piece = pieces, 0, piece
        self.scope = {"type": "http", "headers": [(b"content-length", str(length).encode())] if length else []}

    async def receive(self):
        self.asked += 1
        self.left -= 1
        return {"type": "http.request", "body": self.piece, "more_body": self.left > 0}


def read(bodies, sender, project, held, room=ROOMY):
    return bodies.read(sender.scope, sender.receive, project, room, held)


def read_alone(sender, room=ROOMY):
    async def go():
        async with AsyncExitStack() as held:
            return await read(Bodies(1 << 30), sender, "a", held, room)

    return asyncio.run(go())


@pytest.fixture
def app(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    yield create_app(store, access=access())
    store.close()


def asked(app, method, path, token, body):
    """Status, JSON, and how many pieces of the body were read."""
    sender, sent = Sender(1, piece=body), []

    async def send(message):
        sent.append(message)

    headers = [(b"x-auth-token", token.encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b""}
    scope |= {"headers": headers, "client": ("127.0.0.1", 1), "server": ("here", 80), "scheme": "http"}
    asyncio.run(app(scope | {"root_path": "", "http_version": "1.1"}, sender.receive, send))
    said = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], json.loads(said or b"null"), sender.asked


def routes_with_bodies(app):
    return [
        (method, route.path)
        for route in app.routes
        for method in getattr(route, "methods", None) or ()
        if getattr(route, "body_field", None) is not None
    ]


def test_no_byte_is_read_of_whoever_may_not_ask(app):
    """Of each route that takes a body: by a role that isn't ours, and by a reader where that isn't enough."""
    walked = routes_with_bodies(app)
    assert len(walked) > 40
    open_to_readers = set()
    for method, path in walked:
        filled = re.sub(r"\{[^}]*\}", "x", path)
        for token in ("ann-nothing", "ann-reader"):
            status, said, pieces = asked(app, method, filled, token, b"[" * 5_900_000)
            if (status, pieces) != (403, 0):
                open_to_readers.add((token, rule_of(method, path)))
            else:
                assert said["code"] == "forbidden"
    reading = ("migration:machine:get", "migration:plan:get", "migration:schedule:preview")
    assert open_to_readers == {("ann-reader", rule) for rule in reading}


def test_each_route_takes_what_it_may_and_no_more(app):
    walked = routes_with_bodies(app)
    assert {f"{method} {path}" for method, path in walked} >= LARGER.keys()
    for method, path in walked:
        room = app.state.bodies.room(method, path)
        filled = re.sub(r"\{[^}]*\}", "x", path)
        for body in (b'"' + b"x" * room.bytes + b'"', b"[" * (room.parts + 1), b"," * (room.parts + 1)):
            status, said, _ = asked(app, method, filled, "admin", body)
            assert (status, said["code"]) == (413, "too-large"), path
            assert str(room.bytes) in said["message"]


def test_what_says_that_it_is_too_large_is_refused_unread():
    sender = Sender(9, length=9 * len(PIECE))
    with pytest.raises(TooLarge):
        read_alone(sender, Room(4 * len(PIECE), 1000))
    assert sender.asked == 0


def test_what_has_too_many_parts_is_refused_before_it_is_all_there():
    sender = Sender(90, piece=b"[]," * 100)
    with pytest.raises(TooLarge):
        read_alone(sender)
    assert sender.asked == 6


def test_a_projects_second_large_body_is_not_read_while_the_first_is_at_work():
    async def go():
        bodies = Bodies(100 * len(PIECE))
        second, others, small = Sender(20), Sender(20), Sender(1)
        later = AsyncExitStack()
        async with AsyncExitStack() as first:
            await read(bodies, Sender(20), "a", first)
            waiting = asyncio.create_task(read(bodies, second, "a", later))
            async with AsyncExitStack() as held:
                assert len(await read(bodies, others, "b", held)) == 20 * len(PIECE)
                assert await read(bodies, small, "a", held) == PIECE
            assert not waiting.done()
            assert second.asked * len(PIECE) <= USUAL.bytes + len(PIECE)
        assert len(await waiting) == 20 * len(PIECE)
        await later.aclose()
        async with AsyncExitStack() as held:  # and nothing is kept from then on
            await asyncio.wait_for(read(bodies, Sender(20), "a", held), 5)

    asyncio.run(go())


def test_a_body_that_trickles_is_ended(monkeypatch):
    monkeypatch.setattr(bodies_module, "_WITHIN", 0.2)

    class Trickling(Sender):
        async def receive(self):
            await asyncio.sleep(0.05)
            return await super().receive()

    sender = Trickling(1000, piece=b"x")
    with pytest.raises(TooSlow):
        read_alone(sender)
    assert sender.asked < 10


APART = """
import asyncio, json, os, sys, time
sys.path[:0] = [sys.argv[2]]
from pathlib import Path
from test_bodies import asked
from tokens import access
from longshore.processes.apart import Apart
from longshore.service import create_app
from longshore.store import StateDirectory, Store

store, apart = Store(StateDirectory(Path(sys.argv[1]))), Apart()
app = create_app(store, access=access(), apart=apart)

def put(name, **more):
    machines = [{"machine": f"vm-{n}", "ref": f"vm-{n}", "server_name": f"server-{n}"} for n in range(5000)]
    body = {"name": name, "source": "a", "target": "b", "machines": machines, **more}
    began = time.process_time()
    status, said, _ = asked(app, "PUT", f"/v1/plans/{name}", "ann", json.dumps(body).encode())
    return status, said, time.process_time() - began

apart.begin()
asked(app, "GET", "/v1/plans", "ann", b"")  # what is loaded at the first request
there = [put("one"), put("one", nonsense=1), put("two", description="line\\nüber")]
apart.close()
here = [put("three"), put("three", nonsense=1), put("two", description="line\\nüber")]
_, plans, _ = asked(app, "GET", "/v1/plans", "ann", b"")
print(json.dumps({"there": there, "here": here, "plans": [one["name"] for one in plans]}))
"""


def test_a_large_body_is_answered_in_a_process_of_its_own(tmp_path):
    """As it would be here, which has little to do with it."""
    command = [sys.executable, "-c", APART, str(tmp_path), str(Path(__file__).parent)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    there, here = told["there"], told["here"]
    assert [status for status, *_ in there] == [201, 400, 201]
    assert [status for status, *_ in here] == [201, 400, 200]
    assert there[0][1]["plan"] | {"name": "three"} == here[0][1]["plan"]
    assert there[1][1] == here[1][1]
    assert "nonsense" in there[1][1]["message"]
    assert there[2][1]["plan"] == here[2][1]["plan"]
    assert sorted(told["plans"]) == ["one", "three", "two"]
    assert sum(took for *_, took in there) < sum(took for *_, took in here) / 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"a": [1, 2', "The body isn't JSON"),
        (b'{"a": "' + b"x" * USUAL.bytes + b'", "b": [1, 2', "The body isn't JSON"),
        (b"[" * 5000 + b"]" * 5000, "lists in lists"),
        (b'["' + b"x" * USUAL.bytes + b'",' + b"[" * 5000 + b"]" * 5001, "lists in lists"),
        (b'{"name": "\xff"}', "parsing the body"),
    ],
)
def test_what_cannot_be_read_is_said(app, body, words):
    status, said, _ = asked(app, "PUT", "/v1/plans/shop", "ann", body)
    assert status == 400
    assert words in said["message"]


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [
        *((NewPlan, "/v1/plans", name) for name in ("machines", "volumes", "workloads", "networks", "storage")),
        (NewGroup, "/v1/replica-groups", "members"),
    ],
)
def test_of_many_faults_the_first_are_told(app, kind, path, name):
    """Each of them took so long that nobody else was answered meanwhile."""
    listed = name in ("machines", "volumes", "workloads")
    wrong = [1] * 10_000 if listed else {str(n): [] for n in range(5_000)}
    body = {"name": "x", "source": "a", "target": "b", name: wrong}
    if kind is NewGroup:
        body = {"name": "x", name: wrong}
    with pytest.raises(ValidationError) as refused:
        kind.model_validate(body)
    assert refused.value.error_count() <= (1 if listed else 100)
    status, said, _ = asked(app, "POST", path, "ann", json.dumps(body).encode())
    assert (status, said["code"]) == (400, "invalid-input")
    assert said["field"].startswith(name)


def test_what_is_looked_at_in_pieces_is_all_there():
    networks = {f"network-{n}": f"net-{n}" for n in range(5000)}
    assert NewPlan(name="x", source="a", target="b", networks=networks).networks == networks
