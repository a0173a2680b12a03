"""Lists by the page, with filters, and events as they happen: over a real port, as any program would read them."""

import re
import time
from datetime import datetime

import pytest
import requests
from keystoneauth1.session import Session
from keystoneauth1.token_endpoint import Token
from serving import serving
from tokens import CALLERS

from longshore.client import Client, Remote, calls
from longshore.model.status import Status
from longshore.service import stream, turns
from longshore.store import Scope, StateDirectory, Store
from queued import queue_migration


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server whose Ann has five migrations of five machines, the last of them done, and three plans."""
    store = Store(StateDirectory(tmp_path_factory.mktemp("lists") / "state"))
    anns = store.scoped(Scope("project-a"))
    source = anns.providers.add("vc", "vsphere", {}, {})
    target = anns.providers.add("cloud", "openstack", {}, {})
    for number in range(5):
        names = {"machine_name": f"web{number}", "machine_ref": f"vm-{number}"}
        queue_migration(anns.migrations, **names, source_id=source.id, target_id=target.id, request={})
    anns.migrations.update(anns.migrations.all()[-1].id, status=Status.DONE)
    for name in ("a", "b", "c"):
        anns.plans.add(name, {"name": name, "source": "vc", "target": "cloud", "machines": []})
    with serving(store) as url:
        yield url, store
    store.close()


@pytest.fixture
def get(served):
    url, _ = served

    def get(path, token="ann", **more):
        return requests.get(url + path, headers={"X-Auth-Token": token}, timeout=30, **more)

    return get


@pytest.mark.parametrize(("what", "count"), [("migrations", 5), ("providers", 2), ("plans", 3)])
def test_pages_join_to_the_whole(get, what, count):
    whole = get(f"/v1/{what}").json()
    assert len(whole) == count
    found, path = [], f"/v1/{what}?limit=2"
    while path:
        page = get(path)
        assert len(page.json()) <= 2
        found += page.json()
        link = re.fullmatch(r'<(.+)>; rel="next"', page.headers.get("Link", ""))
        path = link[1] if link else None
    assert found == whole
    assert get(f"/v1/{what}?limit=0").status_code == 400
    unknown = get(f"/v1/{what}?marker=nothing")
    assert (unknown.status_code, "marker" in unknown.json()["message"]) == (400, True)


def test_another_projects_migration_is_no_marker(get):
    last = get("/v1/migrations").json()[-1]["id"]
    assert get("/v1/migrations", token="bob").json() == []
    assert get(f"/v1/migrations?marker={last}", token="bob").status_code == 400


@pytest.mark.parametrize(
    ("question", "machines"),
    [
        ("status=done", ["web4"]),
        ("machine=vm-2", ["web2"]),
        ("machine=web1", ["web1"]),
        ("provider=vc&limit=1", ["web0"]),
        ("plan=a", []),
    ],
)
def test_migrations_are_found_by_what_they_have(get, question, machines):
    assert [m["machine_name"] for m in get(f"/v1/migrations?{question}").json()] == machines


def test_filters_that_mean_nothing_are_refused(get):
    assert get("/v1/migrations?status=asleep").status_code == 400
    assert get("/v1/migrations?plan=nobody").status_code == 404


def test_the_client_pages_through(served, monkeypatch):
    monkeypatch.setattr(calls, "PAGE", 2)
    with Client(Remote(Session(Token(served[0], "ann")))) as client:
        assert [m.machine_name for m in client.migrations()] == [f"web{n}" for n in range(5)]
        assert [p.name for p in client.plans()] == ["a", "b", "c"]


def test_times_have_their_zone(get):
    [shown, *_] = get("/v1/migrations").json()
    assert shown["created_at"].endswith("Z")
    assert datetime.fromisoformat(shown["created_at"]).utcoffset().total_seconds() == 0


def test_events_come_as_they_happen(served, get):
    _, store = served
    migration = store.migrations.all()[0].id
    store.events.say(migration, "preparing", "Looking.")
    got = []
    with get(f"/v1/migrations/{migration}/events/stream", stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            got.append(line)
            if "Looking." in line:  # it is heard while the migration goes on
                store.events.say(migration, "done", "Done.")
                store.migrations.update(migration, status=Status.DONE)
    text = "\n".join(got)
    assert [e for e in re.findall(r"^event: (\w+)", text, re.M)] == ["migration", "migration", "ended"]
    assert '"status": "done"' in text
    first = re.search(r'^data: {"id":(\d+)', text, re.M)[1]
    again = get(f"/v1/migrations/{migration}/events/stream?after={first}").text
    assert ("Looking." in again, "Done." in again) == (False, True)
    assert get(f"/v1/migrations/{migration}/events/stream", token="bob").status_code == 404


def follow(served, token):
    migration = served[1].migrations.all()[1].id
    url = f"{served[0]}/v1/migrations/{migration}/events/stream"
    return requests.get(url, headers={"X-Auth-Token": token}, timeout=30, stream=True)


def test_a_stream_ends_soon_after_its_token(served, monkeypatch):
    monkeypatch.setattr(stream, "_JUDGE", 0.2)
    monkeypatch.setitem(CALLERS, "short-lived", CALLERS["ann"])
    migration = served[1].migrations.all()[1].id
    served[1].events.say(migration, "preparing", "Looking.")
    with follow(served, "short-lived") as answer:
        lines = answer.iter_lines(chunk_size=1, decode_unicode=True)
        assert any("Looking." in line for line in lines)
        monkeypatch.delitem(CALLERS, "short-lived")
        served[1].events.say(migration, "preparing", "Nothing more.")
        began = time.monotonic()
        rest_of_it = list(lines)
    assert time.monotonic() - began < 10
    assert not any(line.startswith("event: ended") for line in rest_of_it)
    assert follow(served, "short-lived").status_code == 401


def test_a_project_follows_so_many_migrations_at_once_and_others_follow_theirs(served, monkeypatch):
    monkeypatch.setattr(turns, "OF_STREAMS", 2)
    first, second = follow(served, "ann"), follow(served, "ann")
    third = follow(served, "ann")
    assert (third.status_code, third.json()["code"]) == (429, "too-many-requests")
    assert follow(served, "bob").status_code == 404  # not busy: he has no such migration
    first.close()
    while (again := follow(served, "ann")).status_code == 429:  # it is noticed with the next word to that reader
        served[1].events.say(served[1].migrations.all()[1].id, "preparing", "Still there.")
        time.sleep(0.05)
    for one in (second, again):
        one.close()
