"""The table of `longshore volume migrate`, with a service that moves nothing."""

import json

import pytest
from cloud_stand_in import Cloud

from longshore.cli.app import main
from longshore.flows import engine
from longshore.store import StateDirectory, Store


@pytest.fixture
def migrate(tmp_path, monkeypatch, capsys):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    monkeypatch.setattr(engine, "ensure_running", lambda _state: None)
    store = Store(StateDirectory(tmp_path / "state"))
    for name in ("old", "new"):
        store.providers.add(name, "openstack", {"auth": {"auth_url": "https://cloud:5000/v3"}}, {"password": "x"})
    store.close()

    def run(*words):
        words = ["--state", str(tmp_path / "state"), "volume", "migrate", "--from", "old", "--to", "new", *words]
        code = main([*words, "-f", "json"])
        said = capsys.readouterr()
        return code, json.loads(said.out) if said.out else said.err

    yield run


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


def test_which_are_meant_has_to_be_said_in_one_way(migrate):
    assert migrate("--match", "a*")[1][0]["Volume"] == "archive"
    for words in ((), ("archive", "--all")):
        code, said = migrate(*words)
        assert code == 1
        assert "Which volumes?" in said
