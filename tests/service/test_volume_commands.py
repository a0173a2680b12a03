"""The table of `longshore volume migrate`, with a service that moves nothing."""

import json

import pytest
import yaml
from cloud_stand_in import Cloud

from in_process import longshore
from longshore.engine import embedded
from longshore.store import StateDirectory, Store


@pytest.fixture
def migrate(tmp_path, monkeypatch):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    store = Store(StateDirectory(tmp_path / "state"))
    for name in ("old", "new"):
        store.providers.add(name, "openstack", {"auth": {"auth_url": "https://cloud:5000/v3"}}, {"password": "x"})
    store.close()

    def run(*words):
        done = longshore(tmp_path / "state", "volume", "migrate", "--from", "old", "--to", "new", *words, "-f", "json")
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    run.state = tmp_path / "state"
    yield run


def described(called, **params):
    info = {"id": f"id-{called}", "attachments": [], "is_bootable": False, "size": 1}
    params = {"name": called, "volume_type": "ceph"} | params
    return {"_info": info, "_migration_params": {}, "params": params, "type": "openstack.network.ServerVolume"}


def results(rows):
    return {row["Volume"]: row["Result"] for row in rows}


def test_what_cannot_be_moved_stops_only_itself(migrate):
    code, rows = migrate("--all")
    assert (code, results(rows)) == (0, {"archive": "begun", "broken": "skipped", "under-way": "begun"})
    (broken,) = [row for row in rows if row["Result"] == "skipped"]
    assert broken["What"].startswith("broken is in state error.")


def test_what_was_asked_for_by_name_and_cannot_be_moved_is_a_failure(migrate):
    code, rows = migrate("broken", "archive", "nothing")
    assert (code, results(rows)) == (1, {"broken": "failed", "archive": "begun", "nothing": "failed"})


def test_a_file_of_os_migrate_says_which_and_how_they_are_to_become(migrate, tmp_path):
    file = tmp_path / "detached_volumes.yml"
    volumes = [described("archive", name="store", description="moved"), described("gone"), described("under-way")]
    file.write_text(yaml.safe_dump({"os_migrate_version": "1.0.5", "resources": volumes}))
    code, rows = migrate("--file", str(file), "--storage", "ceph=gold")
    assert (code, results(rows)) == (1, {"archive": "failed", "gone": "failed", "under-way": "failed"})
    assert 'no volume type "gold"' in rows[0]["What"]  # the command line's word counts more than the file's
    code, rows = migrate("--file", str(file), "--verify", "none")
    assert (code, results(rows)) == (1, {"archive": "begun", "gone": "failed", "under-way": "begun"})
    store = Store(StateDirectory(migrate.state))
    asked = {m.machine_name: m.request for m in store.migrations.all()}
    store.close()
    assert asked["archive"]["volume"] == {"name": "store", "description": "moved", "image_properties": None}
    assert asked["archive"]["storage"] == {"ceph": "ceph"}
    assert {each["verify"] for each in asked.values()} == {"none"}


def test_a_broken_file_is_one_sentence_and_moves_nothing(migrate, tmp_path):
    file = tmp_path / "detached_volumes.yml"
    listed = [described("archive"), described("under-way", size=7)]
    file.write_text(yaml.safe_dump({"os_migrate_version": "1.0.5", "resources": listed}))
    code, said = migrate("--file", str(file))
    assert code == 1
    assert f"longshore: {file}:" in said
    assert "params.size isn't a field of a volume" in said
    assert "detached_volumes.yml" in migrate("--file", str(tmp_path / "no" / "detached_volumes.yml"))[1]
    store = Store(StateDirectory(migrate.state))
    assert store.migrations.all() == []
    store.close()


def test_which_are_meant_has_to_be_said_in_one_way(migrate):
    assert migrate("--match", "a*")[1][0]["Volume"] == "archive"
    for words in ((), ("archive", "--all")):
        code, said = migrate(*words)
        assert code == 1
        assert "Which volumes?" in said
