"""Lists of migrations have what moves; lists of jobs have everything that is done."""

import json
import os
import signal
import time

import pytest
from cloud_stand_in import Cloud
from test_tenants import OPENSTACK, VSPHERE, Api

from in_process import longshore
from longshore.store import Scope, StateDirectory, Store
from queued import queue_migration

MOVES = ["cold", "dry-run", "warm", "volume"]
OTHERS = ["verification", "prune", "backup", "replica", "inspection"]


@pytest.fixture
def api(tmp_path, monkeypatch):
    """Ann's project has one job of each kind, oldest first as above; the prune has failed."""
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: True)
    store = Store(StateDirectory(tmp_path / "state"))
    api = Api(store)
    vc, cloud = (api.did("ann", "POST", "/v1/providers", one)["provider"]["id"] for one in (VSPHERE, OPENSTACK))
    anns = store.scoped(Scope("project-a"))
    for kind in (*MOVES, *OTHERS):
        queue_migration(
            anns.migrations,
            machine_name=f"of-{kind}",
            machine_ref=f"r-{kind}",
            source_id=vc,
            target_id=cloud,
            request={"type": kind},
        )
    store.migrations.update(ids_of(store)["prune"], status="failed")
    yield api
    store.close()


def ids_of(store):
    return {m.type.value: m.id for m in store.migrations.all()}


def types(found):
    return [one["type"] for one in found]


@pytest.mark.parametrize("more", ["", "&short=true"])
def test_migrations_are_what_moves_and_jobs_are_everything(api, more):
    assert types(api.did("ann", "GET", f"/v1/migrations?limit=100{more}")) == MOVES
    assert types(api.did("ann", "GET", f"/v1/jobs?limit=100{more}")) == [*MOVES, *OTHERS]
    assert types(api.did("ann", "GET", f"/v1/jobs?newest=true&limit=2{more}")) == OTHERS[:-3:-1]
    assert api.did("bob", "GET", f"/v1/jobs?limit=100{more}") == []
    assert types(api.did("admin", "GET", f"/v1/jobs?all_projects=true{more}")) == [*MOVES, *OTHERS]


def test_what_was_done_for_one_is_found_by_it_and_another_projects_is_nobodys(api, tmp_path):
    ids = ids_of(api.store)
    asked = {"type": "inspection", "of": ids["replica"]}
    one = api.store.migrations.get(ids["volume"])
    names = {"machine_name": "later", "machine_ref": "r-later", "source_id": one.source_id, "target_id": one.target_id}
    queue_migration(api.store.scoped(Scope("project-a")).migrations, **names, request=asked)
    found = api.did("ann", "GET", f"/v1/jobs?of={ids['replica']}")
    assert [job["machine_name"] for job in found] == ["later"]
    assert api.did("ann", "GET", f"/v1/job-counts?of={ids['replica']}")["total"] == 1
    assert api("bob", "GET", f"/v1/jobs?of={ids['replica']}").status_code == 404
    done = longshore(tmp_path / "state", "job", "list", "--for", ids["replica"], "-f", "json")
    assert [row["Machine"] for row in json.loads(done.stdout)] == ["later"], done.stderr


def test_they_are_chosen_by_type_state_and_machine(api):
    assert types(api.did("ann", "GET", "/v1/jobs?type=prune")) == ["prune"]
    assert types(api.did("ann", "GET", "/v1/jobs?status=failed")) == ["prune"]
    assert types(api.did("ann", "GET", "/v1/jobs?type=backup&status=failed")) == []
    assert types(api.did("ann", "GET", "/v1/jobs?machine=r-backup")) == ["backup"]
    assert types(api.did("ann", "GET", "/v1/migrations?type=volume")) == ["volume"]
    assert types(api.did("ann", "GET", "/v1/migrations?status=failed")) == []
    refused = api("ann", "GET", "/v1/migrations?type=prune")
    assert refused.status_code == 400
    assert "prune is no type of migration. Take dry-run, cold, warm, volume, or ask /v1/jobs." in refused.text
    assert api("ann", "GET", "/v1/jobs?type=tour").status_code == 400


def test_pages_of_either_join_to_the_whole(api):
    for what, whole in (("migrations", MOVES), ("jobs", [*MOVES, *OTHERS])):
        found, marker = [], ""
        while page := api.did("ann", "GET", f"/v1/{what}?limit=3{marker}"):
            found += types(page)
            marker = f"&marker={page[-1]['id']}"
        assert found == whole


def test_they_are_counted_alike(api):
    assert api.did("ann", "GET", "/v1/migration-counts")["statuses"] == {"queued": len(MOVES)}
    counts = api.did("ann", "GET", "/v1/job-counts")
    assert (counts["total"], counts["statuses"]["failed"]) == (len(MOVES) + len(OTHERS), 1)
    assert api.did("ann", "GET", "/v1/job-counts?type=prune") == {"total": 1, "statuses": {"failed": 1}}
    assert api.did("ann", "GET", "/v1/job-counts?status=failed") == {"total": 1, "statuses": {"failed": 1}}


def test_a_job_of_any_kind_is_shown_by_its_id_to_its_project_alone(api):
    for kind, id_ in ids_of(api.store).items():
        assert api.did("ann", "GET", f"/v1/jobs/{id_}")["request"]["type"] == kind
        assert api.did("ann", "GET", f"/v1/jobs/{id_[:13]}") == api.did("ann", "GET", f"/v1/migrations/{id_}")
        assert api("bob", "GET", f"/v1/jobs/{id_}").status_code == 404
    missing = api("ann", "GET", "/v1/jobs/nobody")
    assert "There is no migration or other job nobody. See: longshore job list." in missing.text


def test_what_becomes_a_replica_leaves_the_migrations(api):
    """The list goes by what a record is now."""
    warm = ids_of(api.store)["warm"]
    asked = api.store.migrations.get(warm).request
    api.store.migrations.update(warm, request={**asked, "type": "replica"})
    assert warm not in [one["id"] for one in api.did("ann", "GET", "/v1/migrations")]
    assert warm in [one["id"] for one in api.did("ann", "GET", "/v1/jobs?type=replica")]


def test_commands_list_the_same(api, tmp_path):
    def ran(*words):
        done = longshore(tmp_path / "state", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def listed(*words):
        return json.loads(ran(*words, "-f", "json"))

    assert [row["Type"] for row in listed("migration", "list")] == MOVES
    assert [row["Type"] for row in listed("job", "list")] == [*MOVES, *OTHERS]
    newest = listed("job", "list", "--limit", "2", "--long")
    assert ([row["Type"] for row in newest], newest[0]["Plan"]) == (OTHERS[-2:], None)
    before = listed("job", "list", "--limit", "2", "--marker", newest[0]["ID"])
    assert [row["Type"] for row in before] == OTHERS[-4:-2], "those that are older than that list"
    assert [row["Type"] for row in listed("migration", "list", "--marker", newest[0]["ID"])] == MOVES
    both = listed("job", "list", "--status", "failed", "--status", "queued")
    failed, queued = (listed("job", "list", "--status", one) for one in ("failed", "queued"))
    assert len(both) == len(failed) + len(queued)
    (prune,) = listed("job", "list", "--type", "prune", "--status", "failed", "--all-projects")
    assert (prune["Machine"], prune["Project"]) == ("of-prune", "project-a")
    assert listed("migration", "count")[-1] == {"Status": "all", "Migrations": len(MOVES)}
    assert listed("job", "count")[-1] == {"Status": "all", "Jobs": len(MOVES) + len(OTHERS)}
    shown = listed("job", "show", prune["ID"])
    assert (shown["type"], shown["status"]) == ("prune", "failed")
    assert shown == listed("migration", "show", prune["ID"]), "what was written down goes on working"
    refused = longshore(tmp_path / "state", "migration", "list", "--type", "prune")
    assert refused.returncode == 2
    assert "invalid choice: 'prune'" in refused.stderr


@pytest.fixture
def engine(tmp_path):
    """End the engine that commands have begun: these clouds never answer."""
    yield
    pid = tmp_path / "state" / "engine.pid"
    for _ in range(600):  # it is only just starting
        if pid.exists() and pid.read_text():
            break
        time.sleep(0.1)
    os.kill(int(pid.read_text()), signal.SIGKILL)


@pytest.mark.usefixtures("engine")
def test_a_job_is_cancelled_and_said_by_what_it_is(api, tmp_path):
    ids = ids_of(api.store)
    for words, said in (
        (("job", "cancel", ids["verification"]), f"Job {ids['verification']} goes on in the background."),
        (("migration", "cancel", ids["backup"]), f"Watch it: longshore job wait {ids['backup']}"),
        (("job", "cancel", ids["cold"]), f"Watch it: longshore migration wait {ids['cold']}"),
    ):
        done = longshore(tmp_path / "state", *words)
        assert said in done.stderr, done.stderr
        assert api.store.migrations.get(words[-1]).cancel_requested


def test_the_last_try_of_each_machine_is_told_by_itself(api):
    again = {"machine_name": "of-cold", "machine_ref": "r-cold"}
    first = api.store.migrations.get(ids_of(api.store)["cold"])
    api.store.migrations.update(first.id, status="failed")
    anns, sides = api.store.scoped(Scope("project-a")), {"source_id": first.source_id, "target_id": first.target_id}
    assert types(api.did("ann", "GET", "/v1/migrations?status=failed&last=true")) == ["cold"]
    dry = queue_migration(anns.migrations, **again, **sides, request={"type": "dry-run"})
    api.store.migrations.update(dry.id, status="done")
    assert types(api.did("ann", "GET", "/v1/migrations?status=failed&last=true")) == ["cold"], "it isn't moved by that"
    queue_migration(anns.migrations, **again, **sides, request={"type": "warm"})
    assert api.did("ann", "GET", "/v1/migrations?status=failed&last=true") == []
    assert types(api.did("ann", "GET", "/v1/migrations?status=failed")) == ["cold"]
    last = api.did("ann", "GET", "/v1/migration-counts?last=true")["statuses"]
    assert ("failed" in last, "rehearsed" in last) == (False, False)


def test_several_states_and_types_are_asked_for_at_once_and_what_nobody_runs_by_itself(api, monkeypatch):
    api.store.migrations.update(ids_of(api.store)["warm"], status="running", phase="waiting")
    found = api.did("ann", "GET", "/v1/jobs?status=waits-for-cutover&status=failed")
    assert [(one["type"], one["status"]) for one in found] == [("warm", "waits-for-cutover"), ("prune", "failed")]
    assert types(api.did("ann", "GET", "/v1/jobs?type=prune&type=volume")) == ["volume", "prune"]
    assert api.did("ann", "GET", "/v1/job-counts?astray=true") == {"total": 0, "statuses": {}}
    monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: False)
    astray = api.did("ann", "GET", "/v1/migrations?astray=true")
    assert types(astray) == MOVES
    assert all(one["interrupted"] for one in astray)


def test_a_job_shows_what_its_kind_can_be_asked_for(api):
    """A prune moves nothing, so it has no networks, nor has a backup; and neither can be asked for as a migration."""
    jobs = {one["type"]: one for one in api.did("ann", "GET", "/v1/jobs?limit=100")}
    assert jobs["prune"]["request"] == {"type": "prune", "of": None}
    assert {"quiesce", "verify"} <= jobs["backup"]["request"].keys() < jobs["cold"]["request"].keys()
    for kind in ("prune", "backup"):
        body = {"machine": "web", "source": "vc", "target": "cloud", "request": {"type": kind}}
        refused = api("ann", "POST", "/v1/migrations", body)
        assert refused.status_code in (400, 422)
        assert "request.type" in refused.text, refused.text
    report = api.did("ann", "GET", f"/v1/migrations/{jobs['prune']['id']}/report")
    assert (report["type"], report["landing"], report["verify"]) == ("prune", None, None)
