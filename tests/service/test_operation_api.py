"""What those see who operate an installation, over REST and by commands."""

import json

import pytest
from cloud_stand_in import Cloud
from sqlalchemy import update
from test_tenants import OPENSTACK, VSPHERE, Api

from in_process import longshore
from longshore.model.target import Owner
from longshore.store import NewMigration, Scope, StateDirectory, Store
from longshore.store.ledger import EntryState, ThingKind
from longshore.store.tables import JobRow
from longshore.store.workers import Leases, WorkerRecord


@pytest.fixture
def api(tmp_path, monkeypatch):
    """A worker that knows nothing of the one job there is, and a volume that a failed migration has left."""
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: True)
    store = Store(StateDirectory(tmp_path / "state"))
    api = Api(store)
    vc, cloud = (api.did("ann", "POST", "/v1/providers", one)["provider"]["id"] for one in (VSPHERE, OPENSTACK))
    anns = store.scoped(Scope("project-a"))
    _, failed = anns.migrations.add_together(
        [NewMigration(name, f"vm-{name}", vc, cloud, {"type": "cold"}) for name in ("web01", "db01")]
    )
    store.migrations.update(failed.id, status="failed", phase="copying")
    with store.database.session() as session:
        session.execute(update(JobRow).where(JobRow.record_id == failed.id).values(status="failed"))
    entry = store.ledger.intend(Owner(failed.id, "volume-1"), cloud, ThingKind.VOLUME)
    store.ledger.settle(entry.id, EntryState.LEFT, ref="vol-77", note="In use.")
    Leases(store.database, WorkerRecord("w1", "node1", 7, "0", 4, ("north",)), 20.0).take()
    yield api
    store.close()


def test_only_an_administrator_sees_it_and_all_projects_at_once(api):
    for path in ("", "/workers", "/queue", "/left-overs"):
        assert api("ann", "GET", f"/v1/operation{path}").status_code == 403, path
    stands = api.did("admin", "GET", "/v1/operation")
    assert (stands["workers"], stands["capacity"], stands["left"], stands["queue"]["waits"]) == (1, 4, 1, 1)
    of_the_database = ("database_primary", "database_servers", "database_standbys", "database_waits")
    assert [stands[name] for name in of_the_database] == [None, 1, 0, False]
    (worker,) = api.did("admin", "GET", "/v1/operation/workers")
    assert (worker["id"], worker["alive"], worker["labels"], worker["jobs"]) == ("w1", True, ["north"], 0)
    assert 0 < worker["lease_ends_in"] <= 20
    (job,) = api.did("admin", "GET", "/v1/operation/queue")
    assert (job["machine_name"], job["source"], job["worker"]) == ("web01", "vc", None)
    assert api.did("admin", "GET", "/v1/operation/queue?worker=w1") == []
    assert api.did("admin", "GET", "/v1/operation/queue?stranded=true") == []
    (left,) = api.did("admin", "GET", "/v1/operation/left-overs")
    assert (left["machine_name"], left["kind"], left["ref"], left["note"]) == ("db01", "volume", "vol-77", "In use.")


def test_commands_say_the_same(api, tmp_path):
    def listed(*words):
        done = longshore(tmp_path / "state", "operation", *words, "-f", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    assert listed("show")["waits"] == 1
    assert [row["ID"] for row in listed("worker", "list")] == ["w1"]
    assert [row["Machine"] for row in listed("queue", "list")] == ["web01"]
    assert [row["Ref"] for row in listed("left-over", "list")] == ["vol-77"]
