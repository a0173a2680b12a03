"""Keys of a vault over REST: none is told twice, and none of a vault that is only shared."""

import pytest
from asking import asking

from longshore.store import StateDirectory, Store
from longshore.vault.directory import Directory
from longshore.vault.errors import WrongKey
from longshore.vault.vault import Vault

PHRASE = "the first pass phrase"
KEYS = "/v1/vaults/offsite/keys"


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    Vault.create(Directory(tmp_path / "vault"), PHRASE)
    store.providers.add("offsite", "vault", {"directory": str(tmp_path / "vault")}, {"pass_phrase": PHRASE})
    yield store
    store.close()


@pytest.fixture
def ask(store, monkeypatch):
    with asking(store, monkeypatch) as ask:
        yield ask


def opens(tmp_path, phrase):
    try:
        return bool(Vault.open(Directory(tmp_path / "vault"), "read", phrase))
    except WrongKey:
        return False


def test_a_recovery_key_is_told_once_and_opens_the_vault(ask, tmp_path):
    made = ask("POST", KEYS, {"name": "recovery"})
    assert made.status_code == 201, made.text
    recovery = made.json()["recovery_key"]
    assert opens(tmp_path, recovery)
    listed = ask("GET", KEYS)
    assert [(key["name"], key["opens"]) for key in listed.json()] == [("", True), ("recovery", False)]
    assert recovery not in listed.text
    assert ask("DELETE", f"{KEYS}/recovery").status_code == 204
    assert not opens(tmp_path, recovery)


def test_a_pass_phrase_is_never_told_and_the_one_in_use_stays(ask, tmp_path):
    made = ask("POST", KEYS, {"name": "2027", "pass_phrase": "another one\n"})
    assert (made.status_code, made.json()["recovery_key"], "another one" in made.text) == (201, None, False)
    assert opens(tmp_path, "another one")
    first, _ = ask("GET", KEYS).json()
    refused = ask("DELETE", f"{KEYS}/{first['id']}")
    assert (refused.status_code, "opened here" in refused.json()["message"]) == (409, True)
    for wrong in ({"name": "2027"}, {"name": "two words"}, {"name": "x", "pass_phrase": ""}, {}):
        assert ask("POST", KEYS, wrong).status_code in (400, 409), wrong
    assert ask("DELETE", f"{KEYS}/nobody").status_code == 404
    assert len(ask("GET", KEYS).json()) == 2


def test_a_vault_that_another_project_shares_keeps_its_keys(ask, store, monkeypatch):
    monkeypatch.setattr(type(store.providers), "is_own", lambda _self, _record: False)
    for method, path in (("GET", KEYS), ("POST", KEYS), ("DELETE", f"{KEYS}/x")):
        answer = ask(method, path, {"name": "mine"} if method == "POST" else None)
        assert (answer.status_code, "another project's" in answer.json()["message"]) == (403, True)
