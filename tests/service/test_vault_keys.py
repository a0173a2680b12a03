"""Keys of a vault over REST: none is told twice, and none of a vault that is only shared."""

import json

import pytest
from asking import asking

from longshore.providers.vault.declaration import VAULT
from longshore.store import StateDirectory, Store
from longshore.vault import sealing
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


def test_who_opens_it_later_need_not_stretch_its_pass_phrase_again(ask, store, tmp_path, monkeypatch):
    """That takes a fifth of a second, of each command: what it gives is kept with it, as secret as it is."""

    def no_more(**_how):
        raise AssertionError("stretched once more")

    def listed(name):
        """As in a process that has opened nothing yet."""
        with monkeypatch.context() as patch:
            patch.setattr(sealing, "_found", type(sealing._found)())
            patch.setattr(sealing, "Scrypt", no_more)
            return ask("GET", f"{KEYS.replace('offsite', name)}")

    where = {"directory": str(tmp_path / "vault")}
    body = {"name": "again", "kind": "vault", "settings": where, "secrets": {"pass_phrase": PHRASE + "\n"}}
    assert ask("POST", "/v1/providers", body).status_code == 201
    assert listed("again").status_code == 200
    assert ask("POST", KEYS, {"name": "2027", "pass_phrase": "another one"}).status_code == 201
    wrong = ask("PATCH", "/v1/providers/again", {"secrets": {"pass_phrase": "a wrong one"}})
    assert (wrong.status_code, "opens none of its keys" in wrong.json()["message"]) == (403, True)
    changed = ask("PATCH", "/v1/providers/again", {"secrets": {"pass_phrase": "another one"}})
    assert changed.status_code == 200, changed.text
    assert [key["opens"] for key in listed("again").json()] == [False, True]
    made = {"name": "new", "directory": str(tmp_path / "new"), "pass_phrase": PHRASE}
    assert ask("POST", "/v1/vaults", made).status_code == 201
    assert listed("new").status_code == 200
    kept = store.providers.secrets(store.providers.get("again").id)["stretched_pass_phrase"]
    for path in (tmp_path / "state").glob("*"):
        assert json.loads(kept)["key"].encode() not in path.read_bytes()
    assert json.loads(kept)["key"] not in ask("GET", "/v1/providers").text


def test_a_vault_that_barbican_opens_from_now_on_keeps_nothing_of_its_pass_phrase(store):
    assert VAULT.unneeded({"barbican": "cloud"}) == {"pass_phrase", "stretched_pass_phrase"}
