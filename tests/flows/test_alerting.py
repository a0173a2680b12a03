"""Who wants to hear of a breach does, once; where it is told is held within bounds, and said nowhere."""

import http.client
import json
import socket
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from types import SimpleNamespace

import pytest

from longshore.errors import InvalidInput
from longshore.flows import relays
from longshore.flows.replicas import alerting
from longshore.flows.replicas.alerting import check_webhook
from longshore.flows.replicas.telling import LINE, OF_A_PROJECT, Telling
from longshore.model.point import Consistency
from longshore.model.reach import Reach
from longshore.model.replica import Protection
from longshore.providers.reaching import Answer
from longshore.store import NewMigration, Scope, StateDirectory, Store

URL = "https://hooks.example.org/T0/secret-token?x=1"


class Hook:
    """In the place of a connection. It answers by turns what it is told to."""

    def __init__(self):
        self.asked = []
        self.answers = []

    def __call__(self, host, port, *, reach, timeout, context, answered_within):
        def request(method, target, body, headers):
            self.asked.append((f"{method} {host}:{port}{target}", reach, json.loads(body)))

        def answer():
            status = self.answers.pop(0) if self.answers else 204
            if isinstance(status, Exception):
                raise status
            return SimpleNamespace(status=status)

        return SimpleNamespace(request=request, getresponse=answer, close=lambda: None)


def watch(store):
    """And until all is told."""
    telling = Telling()
    alerting.watch(store, telling)
    assert telling.wait(30)


@pytest.fixture
def hook(monkeypatch):
    hook = Hook()
    monkeypatch.setattr(alerting, "HttpsConnection", hook)
    monkeypatch.setattr(alerting, "_PAUSE", 0.0)
    return hook


@pytest.fixture
def protected(tmp_path):
    """Makes a replica whose RPO is an hour, with a point of two hours ago."""
    stores = []

    def protected(project="", **state):
        store = Store(StateDirectory(tmp_path / "state", **state))
        stores.append(store)
        cloud = store.scoped(Scope(project)).providers.add(f"cloud-{len(stores)}", "openstack", {}, {}).id
        new = NewMigration(
            "web", "vm-1", cloud, cloud, {"type": "replica"}, protection=Protection("daily", "last 9", 3600)
        )
        (record,) = store.scoped(Scope(project)).migrations.add_together([new])
        with_point(store, record.id, 1, timedelta(hours=2))
        return store, record.id

    yield protected
    for store in stores:
        store.close()


def with_point(store, id_, number, age):
    moment = datetime.now(UTC) - age
    store.points.begin(id_, number, moment, goes_on=False)
    sync = {"number": number, "bytes_changed": 1, "bytes_written": 1}
    store.points.complete(
        id_, number, usable_at=moment, consistency=Consistency.CRASH, disks=[], machine={}, sync=sync, state={}
    )


def with_webhook(store, id_):
    store.replicas.update(id_, webhook=store.migrations.keep_text(id_, URL))


def test_a_breach_is_told_once_and_so_is_its_end(protected, hook):
    store, id_ = protected()
    with_webhook(store, id_)
    watch(store)
    watch(store)
    ((where, reach, told),) = hook.asked
    assert (where, reach) == ("POST hooks.example.org:443/T0/secret-token?x=1", None)
    assert (told["replica"], told["machine"], told["condition"], told["state"]) == (
        id_,
        "web",
        "rpo-breached",
        "begins",
    )
    assert "1 h were asked for" in told["text"]
    with_point(store, id_, 2, timedelta(minutes=1))
    watch(store)
    watch(store)
    assert [(told["condition"], told["state"]) for _, _, told in hook.asked[1:]] == [("rpo-breached", "ends")]


def test_one_that_takes_its_time_holds_up_no_other(protected, monkeypatch):
    """Where a cloud is away many have something to say at once."""
    store, first = protected()
    _, second = protected()
    for one in (first, second):
        with_webhook(store, one)
    both = threading.Barrier(2, timeout=10)
    monkeypatch.setattr(alerting, "_post", lambda *_told: both.wait())
    watch(store)
    assert not both.broken


def test_a_webhook_that_trickles_its_answer_keeps_nobody_else_deaf(protected, monkeypatch):
    """A byte of a header at a time: who looks goes on at once, the others are told, and it is given up in time."""
    monkeypatch.setattr(alerting, "_PATIENCE", 1.0)
    monkeypatch.setattr(alerting, "_TRIES", 1)
    asked, given_up = {}, threading.Event()

    def serve(name, listening):
        with listening.accept()[0] as wire:
            wire.recv(65536)
            asked[name] = time.monotonic()
            if name == "good":
                wire.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
                return
            wire.sendall(b"HTTP/1.1 200 OK\r\n")
            with suppress(OSError):
                for _ in range(200):
                    wire.sendall(b"X")
                    time.sleep(0.1)
                return
            given_up.set()

    class InClear(http.client.HTTPConnection):
        """In the place of TLS alone."""

        def __init__(self, host, port, *, reach, timeout, context, answered_within):
            super().__init__(host, port, timeout=timeout)
            self.response_class = partial(Answer, within=answered_within)

    monkeypatch.setattr(alerting, "HttpsConnection", InClear)
    telling, stores = Telling(), {}
    for name in ("evil", "good"):
        listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=serve, args=(name, listening), daemon=True).start()
        stores[name], id_ = protected(name)
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/hook"
        stores[name].replicas.update(id_, webhook=stores[name].migrations.keep_text(id_, url))
    began = time.monotonic()
    alerting.watch(stores["evil"], telling)
    assert time.monotonic() - began < 1
    assert telling.wait(15)
    assert asked["good"] - began < 1
    assert given_up.wait(5)
    (said,) = [event.text for event in stores["evil"].events.of(evil_id(stores["evil"]))]
    assert said.startswith("The webhook couldn't be told of rpo-breached")


def evil_id(store):
    return next(one.id for one in store.protection.all() if one.project_id == "evil")


def test_a_project_that_has_much_to_say_has_a_few_places_in_the_line():
    telling, going_on, at_once, most, lock = Telling(), threading.Event(), [0], [0], threading.Lock()
    all_places = threading.Event()

    def slow():
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
            if most[0] == OF_A_PROJECT:
                all_places.set()
        going_on.wait(20)
        with lock:
            at_once[0] -= 1

    taken = [telling.tell("loud", slow) for _ in range(LINE + OF_A_PROJECT + 5)]
    assert LINE <= taken.count(True) <= LINE + OF_A_PROJECT
    quiet = threading.Event()
    assert telling.tell("quiet", quiet.set)
    assert quiet.wait(5)
    assert all_places.wait(20)
    going_on.set()
    assert telling.wait(20)
    assert most[0] == OF_A_PROJECT


class Dead:
    """The thread of a process that is killed before it tells anything."""

    def tell(self, _project, _work):
        return True


def test_what_a_process_was_to_tell_that_died_is_told_by_the_next(protected, hook, tmp_path, monkeypatch):
    kept = tmp_path / "told"
    program = f"import sys; open({str(kept)!r}, 'a').write(sys.stdin.read())"
    store, id_ = protected(alert_command=(sys.executable, "-c", program))
    with_webhook(store, id_)
    monkeypatch.setattr(relays, "_holder", "killed")
    alerting.watch(store, Dead())
    alerting.watch(store, Dead())
    assert hook.asked == []
    monkeypatch.setattr(relays, "_holder", "the next")
    watch(store)
    watch(store)
    ((_, _, told),) = hook.asked
    assert (told["condition"], told["state"]) == ("rpo-breached", "begins")
    assert json.loads(kept.read_text()) == told


def test_what_another_process_is_about_to_tell_is_not_told_twice(protected, hook, monkeypatch):
    store, id_ = protected()
    with_webhook(store, id_)
    monkeypatch.setattr(relays, "_holder", "another")
    alerting.watch(store, Dead())
    monkeypatch.setattr(relays, "_holder", "me")
    monkeypatch.setattr(relays, "lives_elsewhere", lambda _store, holder: holder == "another")
    watch(store)
    assert hook.asked == []


def test_without_anybody_to_tell_nothing_is_told(protected, hook):
    store, _ = protected()
    watch(store)
    assert hook.asked == []
    assert [one.alerted for one in store.protection.all()] == [{}]


def test_of_two_that_look_one_tells(protected, hook):
    store, id_ = protected()
    with_webhook(store, id_)
    assert store.protection.alert(id_, {}, {"rpo-breached": "now"})
    assert not store.protection.alert(id_, {}, {"rpo-breached": "now"})


@pytest.mark.parametrize(
    ("answers", "tries", "words"),
    [
        ([500, 503, 204], 3, None),
        ([OSError("no route to hooks.example.org/T0/secret-token")] * 3, 3, "OSError"),
        ([404], 1, "It answered with status 404"),
        ([302], 1, "It answered with status 302"),
    ],
)
def test_what_couldnt_be_told_is_said_without_the_address(protected, hook, answers, tries, words):
    store, id_ = protected()
    with_webhook(store, id_)
    hook.answers = answers
    watch(store)
    assert len(hook.asked) == tries
    texts = [event.text for event in store.events.of(id_)]
    assert [words in text for text in texts] == ([True] if words else [])
    assert "secret" not in "".join(texts)


def test_a_projects_webhook_is_held_within_the_operators_bounds(protected, monkeypatch):
    store, id_ = protected("project-a", reach=Reach())
    url = "https://127.0.0.1:1/metadata"
    store.replicas.update(id_, webhook=store.migrations.keep_text(id_, url))
    watch(store)
    (event,) = store.events.of(id_)
    assert "is at an address to which this server doesn't connect" in event.text


def test_the_operators_command_gets_it_on_its_standard_input_and_no_secret(protected, tmp_path, monkeypatch):
    monkeypatch.setenv("LONGSHORE_DATABASE_URL", "secret")
    kept = tmp_path / "told"
    program = f"import os, sys; open({str(kept)!r}, 'w').write(sys.stdin.read() + repr(sorted(os.environ)))"
    store, id_ = protected(alert_command=(sys.executable, "-c", program))
    watch(store)
    told = kept.read_text()
    assert json.loads(told[: told.index("}") + 1])["replica"] == id_
    assert "LONGSHORE" not in told


def test_a_command_that_fails_is_logged(protected, caplog):
    store, _ = protected(alert_command=("/nowhere/program",))
    watch(store)
    assert "the command for alerts failed: FileNotFoundError" in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "http://h/x",
        "https://?",
        "https:///x",
        "https://u:p@h/",
        "ftp://h",
        "https://h:99999/",
        "https://h/\r\nX: y",
        "x",
    ],
)
def test_what_is_no_webhook_is_refused_without_saying_it(url):
    with pytest.raises(InvalidInput) as refused:
        check_webhook(url)
    assert url not in str(refused.value)
