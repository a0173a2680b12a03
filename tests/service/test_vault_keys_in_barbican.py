"""Vaults that a secret in a project's Barbican opens: made, shared with another installation, away, refused, removed.

Keystone and Barbican are stand-ins that can be told to fail; the real ones are asked in tests/lab."""

import json
from datetime import timedelta

import pytest
from asking import asking
from sqlalchemy import update

from faulty_identity import faulty_identity
from longshore.store import Outside, StateDirectory, Store
from longshore.store.tables import Base, ProviderLedgerRow, utc_now
from longshore.vault.directory import Directory
from longshore.vault.sealing import with_own_sum
from longshore.vault.vault import Vault

VAULT, KEYS = "/v1/vaults/offsite", "/v1/vaults/offsite/keys"


@pytest.fixture
def identity():
    with faulty_identity() as identity:
        yield identity


@pytest.fixture
def installation(tmp_path, identity, monkeypatch):
    """Of a name: its API. Each has the same OpenStack."""
    opened = []

    def installation(name):
        store = Store(StateDirectory(tmp_path / name))
        auth = {"auth_url": f"{identity.url}/v3", "username": "backup", "project_name": "backups"}
        settings = {"auth": auth | {"user_domain_id": "default", "project_domain_id": "default"}, "region": "R"}
        store.providers.add("cloud", "openstack", settings | {"interface": "internal"}, {"password": "of the user"})
        asked = asking(store, monkeypatch)
        ask = asked.__enter__()
        ask.store = store
        opened.append((asked, store))
        return ask

    yield installation
    for asked, store in opened:
        asked.__exit__(None, None, None)
        store.close()


@pytest.fixture
def ask(installation):
    return installation("one")


@pytest.fixture
def made(ask, tmp_path):
    """The vault's directory; a secret opens it."""
    told = ask("POST", "/v1/vaults", {"name": "offsite", "directory": str(tmp_path / "vault"), "barbican": "cloud"})
    assert told.status_code == 201, told.text
    return tmp_path / "vault"


def refused(answer, status, *words):
    message = answer.json()["message"]
    assert answer.status_code == status, answer.text
    assert not [word for word in words if word not in message], message
    return message


def secret_named(name):
    return {"name": name, "payload": "x", "payload_content_type": "text/plain"}


def left(ask):
    return ask.store.provider_ledger.count(Outside.VAULT_KEY)


def forget_what_is_remembered(ask):
    """As another process, which hasn't asked for the secret yet."""
    from longshore.flows import kept_secrets

    kept_secrets._open.clear()


def test_the_secret_is_in_barbican_alone_and_any_installation_that_may_read_it_opens_the_vault(
    ask, made, identity, installation
):
    [(id_, secret)] = identity.secrets.items()
    (key,) = ask("GET", KEYS).json()
    assert (key["opens"], key["kept"]["secret"], key["kept"]["project"]) == (True, id_, "p")
    assert secret["name"] == f"longshore-vault-key-{key['id']}"
    phrase = identity.opened(id_)
    with ask.store.database.session() as session:
        for table in Base.metadata.sorted_tables:
            assert phrase not in str(session.execute(table.select()).all())
    assert not [path for path in made.rglob("*") if path.is_file() and phrase.encode() in path.read_bytes()]
    told = json.loads((made / "keys" / f"{key['id']}.json").read_bytes())
    assert told["barbican"] == {"secret": id_, "auth_url": f"{identity.url}/v3", "region": "R", "project": "p"}
    assert ask("POST", f"{VAULT}/check").json()["encrypted"] is True

    other = installation("two")
    settings = {"directory": str(made), "barbican": "cloud"}
    added = other("POST", "/v1/providers", {"name": "offsite", "kind": "vault", "settings": settings, "secrets": {}})
    assert added.status_code == 201, added.text
    assert other("POST", f"{VAULT}/import", {"sources": {}, "paused": True}).json() == []
    without = {"name": "again", "kind": "vault", "settings": {"directory": str(made)}, "secrets": {}}
    refused(other("POST", "/v1/providers", without), 400, "is encrypted", "Barbican", identity.url)
    # Whoever knows the payload, as of a Barbican that is gone, needs no Barbican
    assert Vault.open(Directory(made), "read", phrase).encrypted


@pytest.mark.parametrize(
    ("fault", "status", "words"),
    [
        (None, 403, ["can't be opened", "isn't in Barbican any more", "--pass-phrase-file"]),
        (403, 403, ["can't be opened", "The user of provider cloud may not open a secret in Barbican", "role"]),
        (503, 502, ["Barbican couldn't open a secret", "Try again"]),
        ("lost", 502, ["Barbican, or Keystone before it, didn't answer"]),
    ],
)
def test_what_stands_against_opening_is_a_sentence_of_its_own(ask, made, identity, fault, status, words):
    forget_what_is_remembered(ask)
    if fault is None:
        identity.secrets.clear()
    else:
        identity.faults["GET secrets"] = fault
    for method, path in (("POST", f"{VAULT}/check"), ("GET", f"{VAULT}/points"), ("GET", KEYS)):
        refused(ask(method, path), status, *words)


def test_a_secret_that_is_another_one_opens_nothing(ask, made, identity):
    forget_what_is_remembered(ask)
    for secret in identity.secrets.values():
        secret["payload"] = "something else"
    refused(ask("POST", f"{VAULT}/check"), 403, "isn't what it was wrapped by")


@pytest.mark.parametrize(("fault", "status"), [(503, 502), (403, 403), ("lost", 502)])
def test_a_vault_that_has_no_secret_is_not_made(ask, tmp_path, identity, fault, status):
    identity.faults["POST secrets"] = fault
    body = {"name": "offsite", "directory": str(tmp_path / "vault"), "barbican": "cloud"}
    refused(ask("POST", "/v1/vaults", body), status, "Barbican")
    assert (identity.secrets, left(ask), (tmp_path / "vault").exists()) == ({}, 0, False)
    identity.faults.clear()
    (tmp_path / "vault").mkdir()
    (tmp_path / "vault" / "something").touch()
    assert ask("POST", "/v1/vaults", body).status_code == 409
    assert (identity.secrets, left(ask)) == ({}, 0), "one whose place is taken leaves none either"


def test_what_is_asked_for_wrongly_makes_nothing(ask, tmp_path, identity):
    ask.store.providers.add("vc", "vsphere", {}, {})
    wrong = [
        ({"barbican": "nobody"}, 404, "nobody"),
        ({"barbican": "vc"}, 400, "has no key manager"),
        ({"barbican": "cloud", "pass_phrase": "words"}, 400, "Name one of them"),
    ]
    for more, status, word in wrong:
        refused(ask("POST", "/v1/vaults", {"name": "v", "directory": str(tmp_path / "v"), **more}), status, word)
    identity.key_manager = False
    body = {"name": "v", "directory": str(tmp_path / "v"), "barbican": "cloud"}
    refused(ask("POST", "/v1/vaults", body), 400, "no key manager")
    assert (identity.secrets, left(ask), (tmp_path / "v").exists()) == ({}, 0, False)


def test_a_key_is_added_opens_and_takes_its_secret_with_it(ask, made, identity, tmp_path):
    recovery = ask("POST", KEYS, {"name": "recovery"}).json()["recovery_key"]
    added = ask("POST", KEYS, {"name": "second", "barbican": "cloud"})
    assert (added.status_code, added.json()["recovery_key"], len(identity.secrets)) == (201, None, 2)
    assert identity.opened(added.json()["kept"]["secret"]) not in added.text
    refused(ask("POST", KEYS, {"name": "second", "barbican": "cloud"}), 409, "already")
    first = ask("GET", KEYS).json()[0]
    refused(ask("DELETE", f"{KEYS}/{first['id']}"), 409, "opened here")

    # While Barbican is away a key stays, whole
    identity.faults["DELETE secrets"] = 503
    refused(ask("DELETE", f"{KEYS}/second"), 502, "Barbican couldn't remove a secret")
    assert sorted(key["name"] for key in ask("GET", KEYS).json()) == ["", "recovery", "second"]
    identity.faults.clear()
    assert ask("DELETE", f"{KEYS}/second").status_code == 204
    assert ([key["name"] for key in ask("GET", KEYS).json()], len(identity.secrets)) == (["", "recovery"], 1)

    # By the recovery key, when the secret is lost; the key of the lost secret can go then
    identity.secrets.clear()
    forget_what_is_remembered(ask)
    change = {"settings": {"barbican": ""}, "secrets": {"pass_phrase": recovery}}
    assert ask("PATCH", "/v1/providers/offsite", change).status_code == 200
    assert ask("DELETE", f"{KEYS}/{first['id']}").status_code == 204
    assert ([key["name"] for key in ask("GET", KEYS).json()], left(ask)) == (["recovery"], 0)
    assert ask("DELETE", "/v1/providers/cloud").status_code == 204


def test_the_pass_phrase_is_not_kept_once_a_secret_opens_the_vault(ask, tmp_path, identity):
    where = {"name": "offsite", "directory": str(tmp_path / "vault"), "pass_phrase": "words of ours"}
    assert ask("POST", "/v1/vaults", where).status_code == 201
    assert ask("POST", KEYS, {"name": "cloud", "barbican": "cloud"}).status_code == 201
    assert ask("PATCH", "/v1/providers/offsite", {"settings": {"barbican": "cloud"}, "secrets": {}}).status_code == 200
    assert ask.store.providers.secrets(ask.store.providers.get("offsite").id) == {}
    assert [(key["name"], key["opens"]) for key in ask("GET", KEYS).json()] == [("", False), ("cloud", True)]
    both = {"settings": {}, "secrets": {"pass_phrase": "words of ours"}}
    refused(ask("PATCH", "/v1/providers/offsite", both), 400, "Name one of them")
    refused(ask("DELETE", "/v1/providers/cloud"), 409, "offsite", "provider set")


def test_another_installations_key_is_removed_by_the_provider_that_is_named_or_its_secret_stays(
    ask, made, identity, installation
):
    added = [ask("POST", KEYS, {"name": name, "barbican": "cloud"}).json() for name in ("gone", "kept")]
    recovery = ask("POST", KEYS, {"name": "recovery"}).json()["recovery_key"]
    other = installation("two")
    body = {"name": "offsite", "kind": "vault", "settings": {"directory": str(made)}}
    assert other("POST", "/v1/providers", body | {"secrets": {"pass_phrase": recovery}}).status_code == 201
    refused(other("DELETE", f"{KEYS}/gone"), 400, "--barbican", "--keep-secret")
    assert other("DELETE", f"{KEYS}/gone?barbican=cloud").status_code == 204
    assert other("DELETE", f"{KEYS}/kept?keep_secret=true").status_code == 204
    assert added[0]["kept"]["secret"] not in identity.secrets
    assert added[1]["kept"]["secret"] in identity.secrets
    assert [key["name"] for key in other("GET", KEYS).json()] == ["", "recovery"]


def test_a_vault_cannot_have_other_secrets_of_the_project_removed_or_asked_for_by_path(ask, made, identity):
    """Its bytes may be somebody else's: they name what is opened, never what is removed, and only by an id."""
    identity.secrets["00000000-0000-4000-8000-0000000000aa"] = secret_named("of somebody")
    ask("POST", KEYS, {"name": "second", "barbican": "cloud"})
    second = ask("GET", KEYS).json()[1]
    path = made / "keys" / f"{second['id']}.json"
    told = json.loads(path.read_bytes())
    told["barbican"]["secret"] = "00000000-0000-4000-8000-0000000000aa"
    path.write_bytes(with_own_sum(told))
    assert ask("DELETE", f"{KEYS}/second").status_code == 204
    assert [one["name"] for one in identity.secrets.values() if one["name"] == "of somebody"]
    (first,) = ask("GET", KEYS).json()
    path = made / "keys" / f"{first['id']}.json"
    told = json.loads(path.read_bytes())
    told["barbican"]["secret"] = "../../v1/secrets/x"
    path.write_bytes(with_own_sum(told))
    refused(ask("POST", f"{VAULT}/check"), 403, "is no secret in Barbican")


def test_what_a_dead_process_has_made_for_a_key_goes_and_what_is_in_the_vault_stays(ask, made, identity):
    vault_id = ask.store.providers.get("offsite").id
    keeper_id = ask.store.providers.get("cloud").id
    settled = ask("POST", KEYS, {"name": "settled", "barbican": "cloud"}).json()
    lost = ask.store.provider_ledger.intend_key(vault_id, keeper_id, "11111111-1111-4111-8111-111111111111")
    never = ask.store.provider_ledger.intend_key("no-vault", keeper_id, "22222222-2222-4222-8222-222222222222")
    for number, holding in enumerate((lost, never)):
        identity.secrets[f"00000000-0000-4000-8000-0000000000b{number}"] = secret_named(holding.name)
    with ask.store.database.session() as session:  # and one that died right after its key was in the vault
        session.execute(update(ProviderLedgerRow).values(written_at=utc_now() - timedelta(hours=1)))
        session.execute(update(ProviderLedgerRow).where(ProviderLedgerRow.key_id == settled["id"]).values(ref=None))
    assert ask("POST", KEYS, {"name": "next", "barbican": "cloud"}).status_code == 201
    assert (
        ask("POST", "/v1/vaults", {"name": "other", "directory": f"{made}-2", "barbican": "cloud"}).status_code == 201
    )
    names = {one["name"] for one in identity.secrets.values()}
    assert not {lost.name, never.name} & names
    assert settled["kept"]["secret"] in identity.secrets
    assert ask.store.provider_ledger.keys(vault_id)[settled["id"]].ref == settled["kept"]["secret"]
