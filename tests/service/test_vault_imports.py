"""The database is gone and the vault is there: its policies come back, and judge the points that they have made."""

from datetime import UTC, datetime, timedelta

import pytest
from asking import asking

from longshore.store import StateDirectory, Store
from longshore.vault.directory import Directory
from longshore.vault.vault import Vault
from point_in_vault import with_point

NIGHTLY, WEEKLY = "9b2f3a52-7d0c-4c8e-9a65-0f5f0c4c8a01", "9b2f3a52-7d0c-4c8e-9a65-0f5f0c4c8a02"
RULES = {
    "name": "nightly",
    "source": "images",
    "machines": [],
    "filter": {"folder": None, "cluster": None, "tag": None, "power": None, "name": "web*"},
    "schedule": "daily 02:00 Europe/Berlin",
    "retention": "last 2, zone UTC",
    "verify": "every 7d",
}
IMPORT, POLICIES = "/v1/vaults/offsite/import", "/v1/backup-policies"


@pytest.fixture
def vault(tmp_path):
    """With three points of a policy, whose rules have been changed before the newest, and one made by hand."""
    vault = Vault.create(Directory(tmp_path / "vault"), None)
    now = datetime.now(UTC)
    for age, rules in ((1, RULES), (3, {**RULES, "retention": "last 9, zone UTC"}), (2, RULES)):
        with_point(vault, tmp_path, "web", now - timedelta(days=age), policy=NIGHTLY, rules=rules)
    with_point(vault, tmp_path, "web", now - timedelta(days=4), policy=None, rules=None)
    return vault


@pytest.fixture
def store(tmp_path, vault):
    store = Store(StateDirectory(tmp_path / "state"))
    (tmp_path / "images").mkdir()
    store.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, {})
    store.providers.add("elsewhere", "files", {"url": f"file://{tmp_path}/images"}, {})
    yield store
    store.close()


@pytest.fixture
def ask(store, monkeypatch):
    with asking(store, monkeypatch) as ask:
        yield ask


def test_a_policy_comes_back_as_its_newest_point_tells_of_it_and_judges_its_old_points(ask, store):
    (made,) = ask("POST", IMPORT, {"sources": {"images": "elsewhere"}}).json()
    assert made == {"id": NIGHTLY, "name": "nightly", "points": 3, "playbooks": [], "outcome": "made", "error": None}
    shown = ask("GET", f"{POLICIES}/nightly").json()
    assert {name: shown[name] for name in RULES} == {**RULES, "source": "elsewhere"}
    assert (shown["id"], shown["paused"]) == (NIGHTLY, True)
    assert [bool(point["reasons"]) for point in shown["points"]] == [True, True, False], "the third isn't kept any more"
    (again,) = ask("POST", IMPORT, {}).json()
    assert again["outcome"] == "there already"
    assert len(store.backup_policies.all()) == 1


def test_playbooks_of_a_policy_come_back_with_it_and_are_named_or_it_is_refused_where_they_are_not_there(
    ask, vault, tmp_path
):
    freeze = tmp_path / "freeze.yml"
    rules = {**RULES, "name": "weekly", "before": str(freeze), "after": None}
    with_point(vault, tmp_path, "db", policy=WEEKLY, rules=rules)
    wanted = {"sources": {"images": "elsewhere"}}
    said = {one["id"]: one for one in ask("POST", IMPORT, wanted).json()}[WEEKLY]
    assert (said["outcome"], f"The playbook {freeze} can't be read" in said["error"]) == ("refused", True)
    freeze.write_text("[]")
    said = {one["id"]: one for one in ask("POST", IMPORT, wanted).json()}[WEEKLY]
    assert (said["outcome"], said["playbooks"]) == ("made", [str(freeze)])
    shown = ask("GET", f"{POLICIES}/weekly").json()
    assert (shown["before"], shown["after"], shown["paused"]) == (str(freeze), None, True)


@pytest.mark.parametrize(
    ("here", "copied_to"), [({"away": "offsite"}, None), ({"away": "other"}, "other"), ({}, "refused")]
)
def test_a_second_vault_is_had_again_where_it_is_here_and_one_that_is_left_alone_is_enough(
    ask, store, vault, tmp_path, here, copied_to
):
    Vault.create(Directory(tmp_path / "other"), None)
    store.providers.add("other", "vault", {"directory": str(tmp_path / "other")}, {})
    rules = {**RULES, "name": "weekly", "copy_to": "away"}
    with_point(vault, tmp_path, "db", policy=WEEKLY, rules=rules)
    said = {one["id"]: one for one in ask("POST", IMPORT, {"sources": {"images": "elsewhere", **here}}).json()}
    if copied_to == "refused":
        assert (said[WEEKLY]["outcome"], "away" in said[WEEKLY]["error"]) == ("refused", True)
    else:
        shown = ask("GET", f"{POLICIES}/weekly").json()
        assert (shown["vault"], shown["copy_to"]) == ("offsite", copied_to)


def test_what_a_point_of_a_moment_to_come_tells_is_not_the_newest(ask, vault, tmp_path):
    rules = {**RULES, "retention": "last 7, zone UTC"}
    with_point(vault, tmp_path, "web", datetime.now(UTC) + timedelta(days=300), policy=NIGHTLY, rules=rules)
    ask("POST", IMPORT, {"sources": {"images": "elsewhere"}})
    assert ask("GET", f"{POLICIES}/nightly").json()["retention"] == RULES["retention"]


def test_a_machine_that_is_gone_since_keeps_no_policy_from_coming_back(ask, vault, tmp_path):
    rules = {**RULES, "name": "weekly", "source": "elsewhere", "machines": ["gone", "web"], "filter": None}
    with_point(vault, tmp_path, "db", policy=WEEKLY, rules=rules)
    said = {one["id"]: one for one in ask("POST", IMPORT, {}).json()}
    assert said[WEEKLY]["outcome"] == "made", said[WEEKLY]["error"]
    assert ask("GET", f"{POLICIES}/weekly").json()["machines"] == ["gone", "web"]


def test_it_goes_on_at_once_when_that_is_wanted(ask):
    ask("POST", IMPORT, {"sources": {"images": "elsewhere"}, "paused": False})
    assert ask("GET", f"{POLICIES}/nightly").json()["due_at"]


def test_what_cannot_come_back_is_said_and_stands_in_no_others_way(ask, store, vault, tmp_path):
    rules = {**RULES, "name": "weekly", "source": "elsewhere", "schedule": "now and then"}
    with_point(vault, tmp_path, "db", policy=WEEKLY, rules=rules)
    with_point(vault, tmp_path, "db", policy="old", rules=None)
    with_point(vault, tmp_path, "db", policy="odd", rules={**RULES, "source": "elsewhere", "machines": 7})
    said = {one["id"]: one for one in ask("POST", IMPORT, {}).json()}
    assert {one["outcome"] for one in said.values()} == {"refused"}
    assert "images" in said[NIGHTLY]["error"]
    assert "now and then" in said[WEEKLY]["error"]
    assert "don't say what it asks for" in said["old"]["error"]
    assert "machines" in said["odd"]["error"]
    assert store.backup_policies.all() == []
    store.providers.add("images", "files", {"url": f"file://{tmp_path}/images"}, {})
    said = {one["id"]: one["outcome"] for one in ask("POST", IMPORT, {}).json()}
    assert said == {NIGHTLY: "made", WEEKLY: "refused", "old": "refused", "odd": "refused"}


def test_a_taken_name_and_a_deleted_policy_are_refused(ask, store):
    own = {**RULES, "source": "elsewhere", "vault": "offsite"}
    assert ask("POST", POLICIES, own).status_code == 201
    (refused,) = ask("POST", IMPORT, {"sources": {"images": "elsewhere"}}).json()
    assert "named nightly is there already" in refused["error"]
    ask("DELETE", f"{POLICIES}/nightly")
    ask("POST", IMPORT, {"sources": {"images": "elsewhere"}})
    ask("DELETE", f"{POLICIES}/{NIGHTLY}")
    (deleted,) = ask("POST", IMPORT, {"sources": {"images": "elsewhere"}}).json()
    assert f"longshore migration delete {NIGHTLY}" in deleted["error"]


def test_only_a_vault_has_policies_to_import(ask):
    assert ask("POST", "/v1/vaults/elsewhere/import", {}).status_code == 400
    assert ask("POST", "/v1/vaults/nobody/import", {}).status_code == 404
