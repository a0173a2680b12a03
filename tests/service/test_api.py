"""The REST API over a store of its own, asked as any program would."""

import asyncio

import httpx
import pytest
from cloud_stand_in import Cloud
from fastapi.testclient import TestClient

from longshore.engine import embedded
from longshore.model.machine import Disk
from longshore.model.target import Owner
from longshore.service import create_app
from longshore.store import EntryState, StateDirectory, Store, ThingKind


@pytest.fixture
def ask(tmp_path, monkeypatch):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)  # nothing here needs a migration to run
    store = Store(StateDirectory(tmp_path / "state"))
    transport = httpx.ASGITransport(create_app(store))

    def ask(method, path, body=None):
        async def go():
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                return await http.request(method, path, json=body)

        return asyncio.run(go())

    ask.store = store
    yield ask
    store.close()


def provider(name="vc", kind="vsphere", password="right", **settings):
    return {"name": name, "kind": kind, "settings": settings, "secrets": {"password": password}}


@pytest.fixture
def both(ask):
    assert ask("POST", "/v1/providers", provider()).status_code == 201
    assert ask("POST", "/v1/providers", provider("cloud", "openstack")).status_code == 201


def migration(**request):
    return {"machine": "web", "source": "vc", "target": "cloud", "request": request}


@pytest.mark.usefixtures("both")
def test_a_machine_is_looked_into_and_not_moved(ask):
    wanted = {"machine": "web", "source": "vc"}
    begun = ask("POST", "/v1/inspections", wanted)
    assert begun.status_code == 202
    shown = begun.json()
    assert (shown["request"]["type"], shown["source"], shown["target"]) == ("inspection", "vc", "vc")
    assert shown["disks"] == []  # none is copied
    twice = ask("POST", "/v1/inspections", wanted)
    assert (twice.status_code, twice.json()["code"]) == (409, "conflict")
    asked_otherwise = ask("POST", "/v1/migrations", migration(type="inspection"))
    assert asked_otherwise.status_code == 400
    assert "Use: longshore machine inspect PROVIDER MACHINE." in asked_otherwise.json()["message"]


@pytest.mark.usefixtures("both")
def test_machines_are_found_by_what_they_have(ask):
    assert [m["name"] for m in ask("GET", "/v1/providers/vc/machines?name=w*").json()] == ["web"]
    assert ask("GET", "/v1/providers/vc/machines?name=db*").json() == []
    assert ask("GET", "/v1/providers/vc/references").json() == ["vm-1"]
    described = ask("POST", "/v1/providers/vc/machines", {"refs": ["vm-1", "vm-2"]}).json()
    assert [(m["name"], m["tags"]) for m in described] == [("web", [])]
    assert ask("GET", "/v1/providers/vc/machines/web").json()["tags"] == ["stage/production"]
    refused = ask("GET", "/v1/providers/vc/machines?power=sleeping")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-input")


def test_versions_are_discovered_at_the_root(ask):
    assert ask("GET", "/").json()["versions"][0]["id"] == "v1.0"


def test_a_provider_that_lets_us_in_is_kept_and_its_secret_never_shown(ask):
    answer = ask("POST", "/v1/providers", provider(password="s3cret-word", host="h"))
    assert answer.status_code == 201
    assert answer.json()["found"] == {"version": "8"}
    for path in ("/v1/providers", "/v1/providers/vc"):
        shown = ask("GET", path)
        assert shown.status_code == 200
        assert "s3cret-word" not in shown.text
    assert "s3cret-word" not in answer.text


def test_a_provider_that_refuses_us_is_not_kept(ask):
    answer = ask("POST", "/v1/providers", provider(password="wrong"))
    assert answer.status_code == 403
    said = {"message": "The vCenter refuses this password. Check it.", "advice": "Check it."}
    assert answer.json() == {"code": "access-denied", **said}
    assert ask("GET", "/v1/providers").json() == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {**provider(), "kind": "hyperv"},
        {**provider(), "unknown": 1},
        {**provider(), "name": "../etc"},
        {**provider(), "secrets": {"password": ["s3cret-word"]}},
        [],
    ],
)
def test_a_malformed_body_is_refused_in_one_sentence_without_echoing_it(ask, body):
    answer = ask("POST", "/v1/providers", body)
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid-input"
    assert "s3cret-word" not in answer.text


def test_what_is_not_there_is_404(ask):
    for path in ("/v1/providers/nobody", "/v1/migrations/nobody", "/v1/nothing", "/v1/migrations/nobody/events"):
        answer = ask("GET", path)
        assert answer.status_code == 404
        assert set(answer.json()) - {"advice"} == {"code", "message"}


@pytest.mark.usefixtures("both")
def test_a_migration_is_accepted_and_waits_for_an_engine(ask):
    answer = ask("POST", "/v1/migrations", migration(networks={"VM Network": "private"}))
    assert answer.status_code == 202
    shown = ask("GET", f"/v1/migrations/{answer.json()['id']}").json()
    assert (shown["status"], shown["interrupted"]) == ("queued", True)
    assert [d["label"] for d in shown["disks"]] == ["Hard disk 1"]
    again = ask("POST", "/v1/migrations", migration(networks={"VM Network": "private"}))
    assert again.status_code == 409


@pytest.mark.usefixtures("both")
def test_what_moves_disks_is_refused_on_a_machine_without_what_that_takes_and_nothing_is_queued(ask, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    for path, body in (
        ("/v1/migrations", migration(networks={"VM Network": "private"})),
        ("/v1/inspections", {"machine": "web", "source": "vc"}),
    ):
        refused = ask("POST", path, body)
        assert (refused.status_code, refused.json()["code"]) == (503, "not-installed")
        assert refused.json()["message"] == (
            "nbdkit, qemu-nbd and bwrap aren't installed on this machine. Install the packages nbdkit qemu-utils "
            "bubblewrap, or have a server do it (LONGSHORE_URL)."
        )
    assert ask("GET", "/v1/migrations").json() == []
    assert [m["name"] for m in ask("GET", "/v1/providers/vc/machines").json()] == ["web"]


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"networks": {"VM Network": "nowhere"}},
        {"type": "hot"},
        {"boot_timeout": "soon"},
        {"flavour": "small"},
        {"networks": {"VM Network": "private"}, "accept": ["quota-instance"]},
    ],
)
def test_a_migration_that_cannot_work_is_refused_and_nothing_is_queued(ask, request_):
    assert ask("POST", "/v1/migrations", migration(**request_)).status_code == 400
    assert ask("GET", "/v1/migrations").json() == []


@pytest.mark.usefixtures("both")
def test_machines_go_to_openstack_alone(ask):
    body = {"machine": "web", "source": "vc", "target": "vc", "request": {}}
    answer = ask("POST", "/v1/migrations", body)
    assert answer.status_code == 400
    assert "Provider vc is vsphere: machines can't be moved to it yet." in answer.json()["message"]


@pytest.mark.usefixtures("both")
def test_a_running_migration_can_be_cancelled_once_and_not_deleted(ask):
    id_ = ask("POST", "/v1/migrations", migration(networks={"VM Network": "private"})).json()["id"]
    assert ask("DELETE", f"/v1/migrations/{id_}").status_code == 409
    assert ask("POST", f"/v1/migrations/{id_}/cleanup").status_code == 409
    assert ask("POST", f"/v1/migrations/{id_}/cancel").json()["cancel_requested"] is True
    ask.store.migrations.update(id_, status="cancelled")
    assert ask("POST", f"/v1/migrations/{id_}/cancel").status_code == 409
    assert ask("POST", f"/v1/migrations/{id_}/resume").status_code == 409
    assert ask("DELETE", f"/v1/migrations/{id_}").status_code == 204


@pytest.mark.usefixtures("both")
def test_what_is_deleted_leaves_no_files_and_its_report_was_all_that_is_to_be_kept(ask):
    id_ = ask("POST", "/v1/migrations", migration(networks={"VM Network": "private"})).json()["id"]
    ask.store.disks.keep(id_, (Disk("2000", "Hard disk 1", 0, 1 << 20, "[ds] web", "ds"),))
    ask.store.disks.update(id_, "2000", state="done", root_digest="5e3d")
    ask.store.migrations.update(id_, status="done")
    files = ask.store.state.migration(id_)
    files.mkdir(parents=True)
    (files / "copy-2000.manifest").touch()
    assert "5e3d" in ask("GET", f"/v1/migrations/{id_}/report").text
    assert ask("DELETE", f"/v1/migrations/{id_}").status_code == 204
    assert not files.exists()
    assert ask("GET", f"/v1/migrations/{id_}").status_code == 404


def test_the_openapi_document_is_served(ask):
    paths = ask("GET", "/v1/openapi.json").json()["paths"]
    assert "/v1/migrations/{migration}/cancel" in paths


@pytest.mark.usefixtures("both")
def test_volumes_that_no_machine_has_are_moved_by_migrations_of_their_own(ask):
    def move(volume):
        body = {"machine": volume, "source": "vc", "target": "cloud", "request": {"type": "volume"}}
        return ask("POST", "/v1/migrations", body)

    made = move("archive").json()
    assert (made["machine_ref"], made["request"]["type"]) == ("volume:id-archive", "volume")
    assert [disk["label"] for disk in made["disks"]] == ["volume archive"]
    assert move("id-archive").json()["message"].startswith("archive is being migrated already")
    assert move("broken").json()["code"] == "volume-state"
    assert move("nothing").status_code == 404
    # what a migration is making there is nobody's to be moved
    entry = ask.store.ledger.intend(
        Owner(made["id"], "volume-1"), ask.store.providers.get("cloud").id, ThingKind.VOLUME
    )
    ask.store.ledger.settle(entry.id, EntryState.MADE, ref="id-under-way")
    assert [v["name"] for v in ask("GET", "/v1/providers/vc/volumes").json()] == ["archive", "broken", "under-way"]
    assert [v["name"] for v in ask("GET", "/v1/providers/cloud/volumes").json()] == ["archive", "broken"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/migrations/resume", '{"ids": ["%s"]}'),
        ("/v1/replicas/adopt", '{"target": "%s"}'),
        ("/v1/replica-groups", '{"name": "rack", "members": {"%s": 1}}'),
    ],
)
@pytest.mark.parametrize("letter", ["\\ud800", "\\u0000"])
def test_what_no_database_can_hold_is_refused_wherever_it_stands(each_state, path, body, letter):
    store = Store(each_state)
    app = create_app(store, local_files=True)
    with TestClient(app, raise_server_exceptions=False, headers={"Content-Type": "application/json"}) as client:
        answer = client.post(path, content=body % letter)
    store.close()
    assert answer.status_code < 500, answer.text
