"""Machines that nothing protects: told from replicas, policies and backups that ended well."""

import json
from datetime import timedelta

import pytest
from asking import asking
from cloud_stand_in import Cloud

from in_process import longshore
from longshore.model.selection import MachineFilter
from longshore.store import NewMigration, StateDirectory, Store
from longshore.store.backup_policies import NewBackupPolicy
from longshore.store.tables import utc_now
from longshore.vault.directory import Directory
from longshore.vault.vault import Vault

AT = "/v1/providers/images/unprotected"
NAMES = ("byhand", "copied", "mirrored", "new", "nightly", "paused")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """Yield a store whose source has a machine of each kind: with a replica, backed up by a policy, and so on."""
    monkeypatch.setattr("longshore.engine.embedded.ensure_running", lambda _state: None)
    store = Store(StateDirectory(tmp_path / "state"))
    (tmp_path / "images").mkdir()
    for name in NAMES:
        (tmp_path / "images" / f"{name}.raw").write_bytes(bytes(1 << 20))
    Vault.create(Directory(tmp_path / "vault"), None)
    images = store.providers.add("images", "files", {"url": f"file://{tmp_path}/images"}, {})
    vault = store.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, {})
    with asking(store, monkeypatch) as ask:
        page = ask("GET", "/v1/providers/images/inventory/machines").json()
        refs = {one["name"]: one["ref"] for one in page["machines"]}
        assert sorted(refs) == sorted(NAMES)

        def record(name, type_, **fields):
            asked = {"type": type_}
            (made,) = store.migrations.add_together([NewMigration(name, refs[name], images.id, vault.id, asked)])
            store.migrations.update(made.id, **fields)

        ended = utc_now() - timedelta(days=2)
        record("mirrored", "replica", status="running")
        record("copied", "replica", status="cancelled", finished_at=ended)
        for name in ("byhand", "nightly", "paused"):
            record(name, "backup", status="done", finished_at=ended)
        record("new", "backup", status="failed", finished_at=ended)
        common = {"source": "images", "vault": "offsite", "schedule": "daily 02:00 UTC", "retention": "last 3"}
        for policy, more in (
            ("nights", {"filter": {"name": "n*"}}),
            ("rests", {"machines": ["paused"]}),
        ):
            assert ask("POST", "/v1/backup-policies", {"name": policy, **common, **more}).status_code == 201
        assert ask("PATCH", "/v1/backup-policies/rests", {"paused": True}).status_code == 200
        yield store, ask
    store.close()


def test_those_are_told_that_neither_a_replica_nor_a_policy_protects(store):
    _store, ask = store
    page = ask("GET", AT).json()
    assert (page["total"], page["of"]) == (4, 6)
    found = {one["machine"]["name"]: one for one in page["machines"]}
    assert list(found) == ["byhand", "copied", "new", "paused"], "but one with a replica, and one backed up by policy"
    assert found["byhand"]["policies"] == []
    assert found["byhand"]["backed_up_at"] is not None
    assert (found["copied"]["policies"], found["copied"]["backed_up_at"]) == ([], None), "its replica has ended"
    assert (found["new"]["policies"], found["new"]["backed_up_at"]) == ([{"name": "nights", "paused": False}], None)
    assert found["paused"]["policies"] == [{"name": "rests", "paused": True}]
    assert [one["machine"]["name"] for one in ask("GET", f"{AT}?q=new").json()["machines"]] == ["new"]
    second = ask("GET", f"{AT}?limit=2&offset=2").json()
    assert ([one["machine"]["name"] for one in second["machines"]], second["total"]) == (["new", "paused"], 4)


def test_a_vaults_machines_are_backups_themselves(store):
    _store, ask = store
    refused = ask("GET", "/v1/providers/offsite/unprotected")
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid-input")


def test_the_command_lists_them_for_people_and_programs(store, tmp_path):
    done = longshore(tmp_path / "state", "machine", "unprotected", "images", "-f", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["Name"]: row for row in json.loads(done.stdout)}
    assert sorted(rows) == ["byhand", "copied", "new", "paused"]
    assert (rows["paused"]["Policies"], rows["copied"]["Backed up"]) == ("rests (paused)", None)
    csv = longshore(tmp_path / "state", "machine", "unprotected", "images", "--search", "new", "-f", "csv").stdout
    assert [line.partition(",")[0] for line in csv.splitlines()] == ['"Name"', '"new"']


def test_a_source_is_asked_for_a_tag_once_however_many_pages_are_looked_at(tmp_path, monkeypatch):
    asked = []

    class Tagged(Cloud):
        def machines(self, wanted):
            asked.append(wanted)
            return super().machines(wanted)

    monkeypatch.setattr("longshore.flows.clouds.connect", Tagged)
    monkeypatch.setattr("longshore.engine.embedded.ensure_running", lambda _state: None)
    store = Store(StateDirectory(tmp_path / "state"))
    vc = store.providers.add("vc", "vsphere", {}, {"password": "x"})
    vault = store.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, {})
    policy = NewBackupPolicy(
        "tagged", (), MachineFilter(tag="gold"), "daily 02:00 UTC", "last 3", None, utc_now(), None
    )
    new = NewMigration("tagged", "policy:1", vc.id, vault.id, {"type": "backup-policy"}, policy=policy)
    store.migrations.add_together([new])
    with asking(store, monkeypatch) as ask:
        for query in ("", "?q=web", "?offset=1", "?limit=1"):
            found = ask("GET", f"/v1/providers/vc/unprotected{query}")
            assert found.status_code == 200, found.text
        assert found.json()["machines"][0]["policies"] == [{"name": "tagged", "paused": False}]
        assert [one.tag for one in asked] == [None, "gold"]
        ask("GET", "/v1/providers/vc/unprotected?anew=true")
        assert [one.tag for one in asked[2:]] == [None, "gold"], "and again with the machines"
    store.close()
