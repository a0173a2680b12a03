"""What happens in a plan, or in one of its migrations, as it happens: over a real port, as programs would read it."""

import json
import re

import pytest
import requests
from serving import serving

from longshore.model.status import Status
from longshore.service import stream
from longshore.store import NewMigration, Scope, StateDirectory, Store
from longshore.store.tables import EventRow

AT = "/v1/plans/moved/events/stream"


@pytest.fixture
def served(tmp_path):
    """A server, and its store, where Ann has a plan two of whose machines are under way: their migrations by names."""
    store = Store(StateDirectory(tmp_path / "state"))
    anns = store.scoped(Scope("project-a"))
    vc, cloud = anns.providers.add("vc", "vsphere", {}, {}).id, anns.providers.add("cloud", "openstack", {}, {}).id
    machines = [{"machine": name, "ref": name} for name in ("app", "db", "idle")]
    plan = anns.plans.add("moved", {"name": "moved", "source": "vc", "target": "cloud", "machines": machines})
    wanted = [NewMigration(name, name, vc, cloud, {"type": "cold"}, plan_id=plan.id) for name in ("app", "db")]
    migrations = {one.machine_name: one.id for one in anns.migrations.add_together(wanted)}
    with serving(store) as url:
        yield url, store, migrations
    store.close()


def get(served, question="", token="ann", **more):
    headers = {"X-Auth-Token": token, **more.pop("headers", {})}
    return requests.get(f"{served[0]}{AT}{question}", headers=headers, timeout=30, **more)


def told(text):
    """What was said of which machine, in order."""
    bodies = [json.loads(body) for body in re.findall(r"^event: migration\ndata: (.*)$", text, re.M)]
    return [(one["machine"], one["text"]) for one in bodies]


def test_it_tells_of_all_migrations_until_none_is_under_way(served):
    _, store, migrations = served
    got = []
    store.events.say(migrations["app"], "preparing", "Looking at app.")
    with get(served, stream=True) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer.iter_lines(chunk_size=1, decode_unicode=True):
            got.append(line)
            if "Looking at app." in line:  # it is heard while the others go on
                store.migrations.update(migrations["app"], status=Status.FAILED)
                store.events.say(migrations["db"], "done", "Done.")
                store.migrations.update(migrations["db"], status=Status.DONE)
    text = "\n".join(got)
    assert told(text) == [("app", "Looking at app."), ("db", "Done.")]
    assert f'"migration":"{migrations["db"]}"' in text
    (states,) = re.findall(r"^event: ended\ndata: (.*)$", text, re.M)
    assert json.loads(states) == {"states": {"failed": 1, "done": 1, "planned": 1}}


def test_others_have_none(served):
    assert get(served, token="bob").status_code == 404
    assert get(served, token="ann-nothing").status_code == 403
    refused = get(served, "?after=x")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-input")


def test_who_comes_back_is_told_what_came_meanwhile(served, monkeypatch):
    _, store, migrations = served
    for migration in migrations.values():
        store.migrations.update(migration, status=Status.DONE)
    for number in range(3):
        store.events.say(migrations["app"], "copying", f"part {number}")
    monkeypatch.setattr(stream, "_COMMITS_WITHIN", 0.0)
    whole = get(served).text
    assert [text for _machine, text in told(whole)] == ["part 0", "part 1", "part 2"]
    known = re.findall(r"^id: (\d+)$", whole, re.M)[-1]
    store.events.say(migrations["db"], "copying", "meanwhile")
    assert told(get(served, headers={"Last-Event-ID": known}).text) == [("db", "meanwhile")]
    assert told(get(served, f"?after={known}").text) == [("db", "meanwhile")]


@pytest.fixture
def there(served):
    """Puts an event of db's that has this number where it is read."""
    _, store, migrations = served

    def put(number):
        with store.database.session() as session:
            new = {"level": "information", "phase": "copying", "text": f"number {number}"}
            session.add(EventRow(id=number, migration_id=migrations["db"], **new))

    return put


def followed(of, served, after=0):
    """What tells of the plan, or of db's migration alone."""
    _, store, migrations = served
    if of == "plan":
        return stream._OfPlan(store, store.plans.get("moved").id, after)
    return stream._OfMigration(store, migrations["db"], after)


def said(looker):
    lines, ended = looker.look()
    return re.findall(r'"text":"([^"]+)"', "".join(lines)), ended


@pytest.mark.parametrize("of", ["plan", "migration"])
def test_an_event_that_was_numbered_before_others_and_is_there_after_them_is_told(served, there, of):
    there(8)
    looker = followed(of, served)
    assert said(looker) == (["number 8"], None)
    there(7)
    assert said(looker) == (["number 7"], None)
    assert said(looker) == ([], None)


@pytest.mark.parametrize("of", ["plan", "migration"])
def test_who_comes_back_at_once_is_told_of_such_an_event_too(served, there, of):
    there(8)
    known = re.findall(r"^id: (\d+)$", "".join(followed(of, served).look()[0]), re.M)[-1]
    there(7)
    assert "number 7" in said(followed(of, served, int(known)))[0]
