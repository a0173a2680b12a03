"""Policies of backups over REST, as commands ask for them: made, shown, changed, refused, deleted."""

from datetime import UTC, datetime, timedelta

import pytest
from asking import asking
from sqlalchemy import text

from longshore.model.status import Status
from longshore.store import NewMigration, StateDirectory, Store
from longshore.store.tables import utc_now
from longshore.vault.directory import Directory
from longshore.vault.vault import Vault
from point_in_vault import with_point

POLICIES = "/v1/backup-policies"
WANTED = {
    "name": "nightly",
    "source": "images",
    "vault": "offsite",
    "filter": {"name": "web*"},
    "schedule": "daily 02:00 Europe/Berlin",
    "retention": "last 3, daily 7",
    "verify": "every 7d",
}


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    (tmp_path / "images").mkdir()
    Vault.create(Directory(tmp_path / "vault"), None)
    store.providers.add("images", "files", {"url": f"file://{tmp_path}/images"}, {})
    store.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, {})
    yield store
    store.close()


@pytest.fixture
def ask(store, monkeypatch):
    with asking(store, monkeypatch) as ask:
        yield ask


def test_a_policy_is_made_shown_changed_and_deleted(ask, store):
    made = ask("POST", POLICIES, WANTED)
    assert made.status_code == 201, made.text
    assert (made.json()["run"], made.json()["retention"]) == (None, "last 3, daily 7, zone UTC")
    (listed,) = ask("GET", POLICIES).json()
    assert listed == made.json()
    shown = ask("GET", f"{POLICIES}/nightly").json()
    assert (shown["points"], shown["points_error"], shown["filter"]["name"]) == ([], None, "web*")
    changed = ask("PATCH", f"{POLICIES}/nightly", {"retention": "last 9", "paused": True, "verify": "never"}).json()
    assert (changed["retention"], changed["verify"], changed["due_at"]) == ("last 9, zone UTC", None, None)
    assert changed["schedule"] == WANTED["schedule"], "what isn't said stays"
    assert ask("PATCH", f"{POLICIES}/nightly", {"paused": False}).json()["due_at"] == shown["due_at"]
    assert ask("POST", f"{POLICIES}/nightly/run").status_code == 202
    assert store.backup_policies.get("nightly").asked
    assert ask("DELETE", f"{POLICIES}/nightly").status_code == 204
    assert ask("GET", f"{POLICIES}/nightly").status_code == 404
    assert ask("POST", POLICIES, WANTED).status_code == 201, "its name is free again"


@pytest.mark.parametrize(
    ("said", "status", "field"),
    [
        ({"schedule": "continuous"}, 400, "schedule"),
        ({"schedule": "now and then"}, 400, "schedule"),
        ({"retention": "daily 0"}, 400, "retention"),
        ({"verify": "sometimes"}, 400, "verify"),
        ({"filter": None}, 400, "machines"),
        ({"machines": ["web"]}, 400, "machines"),
        ({"filter": None, "machines": ["nobody"]}, 404, "machines"),
        ({"vault": "images"}, 400, "vault"),
        ({"source": "offsite"}, 400, "source"),
        ({"source": "nobody"}, 404, "source"),
        ({"name": "../x"}, 400, "name"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_kept(ask, store, said, status, field):
    answer = ask("POST", POLICIES, {**WANTED, **said})
    assert answer.status_code == status, answer.text
    assert answer.json()["message"]
    assert answer.json()["field"] == field
    assert (ask("GET", POLICIES).json(), store.migrations.all()) == ([], [])


def test_a_policy_has_playbooks_that_are_there_until_it_has_none_any_more(ask, tmp_path):
    freeze, thaw = tmp_path / "freeze.yml", tmp_path / "thaw.yml"
    freeze.write_text("[]")
    missing = ask("POST", POLICIES, {**WANTED, "before": str(freeze), "after": str(thaw)})
    assert (missing.status_code, f"The playbook {thaw} can't be read" in missing.text) == (400, True)
    assert ask("GET", POLICIES).json() == []
    thaw.write_text("[]")
    made = ask("POST", POLICIES, {**WANTED, "before": str(freeze), "after": str(thaw)})
    assert (made.status_code, made.json()["before"], made.json()["after"]) == (201, str(freeze), str(thaw))
    assert ask("PATCH", f"{POLICIES}/nightly", {"before": "freeze.yml"}).status_code == 400
    changed = ask("PATCH", f"{POLICIES}/nightly", {"before": "never"}).json()
    assert (changed["before"], changed["after"]) == (None, str(thaw))


def test_a_name_is_taken_once_and_a_refused_change_changes_nothing(ask, store):
    assert ask("POST", POLICIES, WANTED).status_code == 201
    assert ask("POST", POLICIES, WANTED).status_code == 409
    assert len(store.migrations.all()) == 1
    before = ask("GET", POLICIES).json()
    for change in ({}, {"retention": "last 2", "schedule": "continuous"}, {"machines": ["nobody"]}):
        assert ask("PATCH", f"{POLICIES}/nightly", change).status_code in (400, 404)
    assert ask("GET", POLICIES).json() == before


def test_a_schedule_that_is_said_again_forgets_no_run_that_is_due(ask, store):
    id_ = ask("POST", POLICIES, WANTED).json()["id"]
    due = utc_now() - timedelta(hours=1)
    store.backup_policies.change(id_, due_at=due, verify_due_at=due)
    again = {"schedule": WANTED["schedule"], "verify": WANTED["verify"], "retention": "last 5"}
    assert ask("PATCH", f"{POLICIES}/nightly", again).status_code == 200
    found = store.backup_policies.get(id_)
    assert (found.due_at, found.verify_due_at, found.retention) == (due, due, "last 5, zone UTC")
    assert ask("PATCH", f"{POLICIES}/nightly", {"schedule": "daily 05:00 UTC"}).status_code == 200
    assert store.backup_policies.get(id_).due_at > utc_now()
    assert ask("PATCH", f"{POLICIES}/nightly", {"schedule": None}).status_code == 400


def test_its_record_is_neither_cancelled_nor_interrupted_while_it_rests(ask, store):
    id_ = ask("POST", POLICIES, WANTED).json()["id"]
    refused = ask("POST", f"/v1/migrations/{id_}/cancel")
    assert (refused.status_code, "longshore backup policy delete nightly" in refused.json()["message"]) == (409, True)
    assert store.backup_policies.get(id_)
    ask("PATCH", f"{POLICIES}/nightly", {"paused": True})
    job = store.migrations.get(id_).job
    assert ask("GET", f"/v1/migrations/{id_}").json()["interrupted"], "it is to look at what being paused means"
    store.backup_policies.go_on(id_, job.id)
    assert not ask("GET", f"/v1/migrations/{id_}").json()["interrupted"]


@pytest.fixture
def second(store, tmp_path):
    """Vaults that points could be copied to: another one, the same one by another name, an encrypted one."""
    Vault.create(Directory(tmp_path / "second"), None)
    Vault.create(Directory(tmp_path / "locked"), "of the locked one")
    for name, directory in (("second", "second"), ("again", "vault"), ("locked", "locked")):
        secrets = {"pass_phrase": "of the locked one"} if name == "locked" else {}
        store.providers.add(name, "vault", {"directory": str(tmp_path / directory)}, secrets)


def test_a_policy_says_where_its_points_are_copied_to(ask, store, second):
    made = ask("POST", POLICIES, {**WANTED, "copy_to": "second"})
    assert made.status_code == 201, made.text
    assert (made.json()["copy_to"], made.json()["copied"]) == ("second", None)
    id_ = made.json()["id"]
    at = "2026-01-01T00:00:00Z"
    done = {"id": "c", "begun_at": at, "stand": "done", "error": None, "points": 3, "deleted": ["web/1"]}
    store.backup_policies.change(id_, copy=done)
    told = ask("GET", f"{POLICIES}/nightly").json()["copied"]
    assert (told["migration"], told["state"], told["points"], told["deleted"]) == ("c", "done", 3, ["web/1"])
    assert ask("PATCH", f"{POLICIES}/nightly", {"copy_to": "second"}).json()["copied"], "said again, it is as it was"
    changed = ask("PATCH", f"{POLICIES}/nightly", {"copy_to": "locked"}).json()
    assert (changed["copy_to"], changed["copied"]) == ("locked", None), "nothing is there yet"
    assert ask("PATCH", f"{POLICIES}/nightly", {"copy_to": "never"}).json()["copy_to"] is None


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"copy_to": "offsite"}, 400),
        ({"copy_to": "again"}, 400),
        ({"copy_to": "images"}, 400),
        ({"copy_to": "nobody"}, 404),
        ({"copy_to": "second", "vault": "locked"}, 400),
    ],
)
def test_a_second_vault_that_cannot_be_one_is_refused(ask, store, second, said, status):
    answer = ask("POST", POLICIES, {**WANTED, **said})
    assert (answer.status_code, answer.json().get("field")) == (status, "copy_to"), answer.text
    assert store.migrations.all() == []


def test_the_second_vault_says_whose_points_it_has_and_why_they_stay(ask, store, second, tmp_path):
    id_ = ask("POST", POLICIES, {**WANTED, "copy_to": "second"}).json()["id"]
    vault = Vault.open(Directory(tmp_path / "second"), "write", None)
    with_point(vault, tmp_path, "web", datetime.now(UTC), policy=id_)
    (point,) = ask("GET", "/v1/vaults/second/contents").json()["points"]
    assert (point["policy"], point["kept"][0]) == ("nightly", "newest usable point")


PROVED = {**WANTED, "prove": "weekly saturday 03:00 Europe/Berlin", "prove_on": "cloud"}


@pytest.fixture
def cloud(store):
    return store.providers.add("cloud", "openstack", {"auth_url": "https://cloud.example/v3"}, {})


def test_a_policy_says_when_and_where_its_points_are_proved(ask, store, cloud):
    made = ask("POST", POLICIES, {**PROVED, "prove_networks": {"VM Network": "private"}})
    assert made.status_code == 201, made.text
    told = made.json()
    assert (told["prove"], told["prove_on"], told["proof"]) == (PROVED["prove"], "cloud", None)
    assert (told["prove_networks"], told["prove_due_at"] is None) == ({"VM Network": "private"}, False)
    changed = ask("PATCH", f"{POLICIES}/nightly", {"prove": "every 1d"}).json()
    assert (changed["prove"], changed["prove_on"]) == ("every 1d", "cloud")
    assert changed["prove_networks"] == told["prove_networks"], "what isn't said stays"
    changed = ask("PATCH", f"{POLICIES}/nightly", {"prove": "never"}).json()
    assert (changed["prove"], changed["prove_on"], changed["prove_due_at"]) == (None, None, None)
    assert store.backup_policies.get("nightly").prove_due_at is None
    assert ask("PATCH", f"{POLICIES}/nightly", {"prove_on": "cloud"}).status_code == 400, "when isn't said"


@pytest.mark.parametrize(
    ("said", "status", "field"),
    [
        ({"prove_on": None}, 400, "prove_on"),
        ({"prove": None}, 400, "prove"),
        ({"prove": "sometimes"}, 400, "prove"),
        ({"prove_on": "nobody"}, 404, "prove_on"),
        ({"prove_on": "images"}, 400, "prove_on"),
        ({"prove_on": "offsite"}, 400, "prove_on"),
    ],
)
def test_a_proof_that_cannot_be_is_refused(ask, store, cloud, said, status, field):
    answer = ask("POST", POLICIES, {**PROVED, **said})
    assert (answer.status_code, answer.json().get("field")) == (status, field), answer.text
    assert store.migrations.all() == []


def test_a_point_says_how_its_last_trial_ended_and_whose_clock_it_was_does_not_matter(ask, store, cloud, tmp_path):
    vault, place = Vault.open(Directory(tmp_path / "vault"), "write", None), store.providers.get("offsite")
    good, bad, unsaid = (with_point(vault, tmp_path, name, datetime.now(UTC)) for name in ("web", "db", "mail"))

    def tried(point, **ended):
        new = NewMigration("x", point, place.id, cloud.id, {"type": "dry-run"})
        (record,) = store.migrations.add_together([new])
        store.migrations.end_job(record.id, record.job.id, **ended)

    tried(good, status=Status.FAILED, error="The quota is short.")
    tried(good, status=Status.DONE, result={"proof": "console"})
    tried(bad, status=Status.FAILED, error="Its guest wasn't seen up.")
    tried(unsaid, status=Status.DONE, result={"proof": "none"})
    listed = {point["name"]: point["trial"] for point in ask("GET", "/v1/vaults/offsite/points").json()}
    assert (listed[good]["shown_by"], listed[good]["error"]) == ("console", None)
    assert (listed[bad]["shown_by"], listed[bad]["error"]) == (None, "Its guest wasn't seen up.")
    assert listed[unsaid] is None, "nothing had to show that it was up"
    assert ask("GET", f"/v1/vaults/offsite/points/{good}").json()["trial"] == listed[good]


def test_a_restore_that_somebody_asks_for_is_no_policys(ask, store, cloud):
    asked = {"vault": "offsite", "point": "web", "target": "cloud", "request": {"type": "dry-run", "of": "nightly"}}
    assert ask("POST", "/v1/restores", asked).status_code == 400


def test_one_that_cant_be_read_is_left_out_of_lists_told_and_deleted(ask, store, caplog):
    """One record of many that somebody, or another version, has left so."""
    for name in ("nightly", "weekly"):
        assert ask("POST", POLICIES, {**WANTED, "name": name}).status_code == 201
    with store.database.session() as session:
        session.execute(text("UPDATE backup_policies SET wanted = '{\"power\": \"asleep\"}' WHERE name = 'nightly'"))
    assert [one["name"] for one in ask("GET", POLICIES).json()] == ["weekly"]
    assert "a backup policy can't be read and is left out of a list" in caplog.text
    assert ask("DELETE", f"{POLICIES}/nightly").status_code == 204
