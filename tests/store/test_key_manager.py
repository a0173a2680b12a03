"""Secrets in Barbican when it, or Keystone before it, has a bad day: nothing is kept by halves, and it is said why."""

import base64
import json
import logging

import pytest
from sqlalchemy import select

from faulty_identity import faulty_identity
from longshore.configuration import Keystone
from longshore.errors import AccessDenied, Conflict, NotFound, ProviderError, Unreachable
from longshore.store import Outside, StateDirectory, Store
from longshore.store.secrets import SecretsError
from longshore.store.tables import Base, SecretRow

SECRETS = {"password": "correct horse"}


@pytest.fixture
def identity():
    with faulty_identity() as identity:
        yield identity


@pytest.fixture
def opened(tmp_path, identity):
    stores = []

    def opened(secrets="auto", *, knows_keystone=True):
        keystone = Keystone(auth_url=f"{identity.url}/v3", password="service", region="R")
        state = StateDirectory(tmp_path / "state", None, keystone if knows_keystone else None, secrets)
        stores.append(Store(state))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


def sealed(store):
    with store.database.session() as session:
        return len(session.scalars(select(SecretRow)).all())


def test_they_are_in_barbican_alone_and_gone_with_their_provider(opened, identity):
    store = opened()
    record = store.providers.add("vc", "vsphere", {}, SECRETS)
    [kept] = identity.secrets.values()
    assert kept["name"] == f"longshore-{record.id}"
    assert json.loads(base64.b64decode(kept["payload"])) == SECRETS
    assert kept["acl"] == {"read": {"project-access": False, "users": ["u"]}}  # other services' users share the project
    with store.database.session() as session:
        for table in Base.metadata.sorted_tables:
            assert SECRETS["password"] not in str(session.execute(select(table)).all())
    assert (sealed(store), store.provider_ledger.count(Outside.SECRET)) == (0, 1)
    assert store.providers.change_key() == 0
    store.providers.remove("vc")
    assert (identity.secrets, store.provider_ledger.count(Outside.SECRET)) == ({}, 0)


def test_a_change_replaces_them_there_and_leaves_the_earlier_ones_until_it_is_kept(opened, identity):
    store = opened()
    record = store.providers.add("vc", "vsphere", {}, SECRETS)
    identity.faults["POST secrets"] = 503
    with pytest.raises(Unreachable):
        store.providers.change(record.id, {"host": "h"}, {"password": "newer"})
    assert store.providers.secrets(record.id) == SECRETS
    assert store.providers.get("vc").settings == {}
    identity.faults.clear()
    store.providers.change(record.id, {"host": "h"}, {"password": "newer"})
    assert (store.providers.secrets(record.id), len(identity.secrets)) == ({"password": "newer"}, 1)
    assert (sealed(store), store.provider_ledger.count(Outside.SECRET)) == (0, 1)
    store.providers.remove("vc")
    assert identity.secrets == {}


@pytest.mark.parametrize(("choice", "offered"), [("auto", False), ("database", True)])
def test_without_a_key_manager_or_by_choice_they_are_in_the_database(opened, identity, choice, offered):
    identity.key_manager = offered
    store = opened(choice)
    record = store.providers.add("vc", "vsphere", {}, SECRETS)
    assert (sealed(store), identity.secrets) == (1, {})
    assert store.providers.secrets(record.id) == SECRETS


def test_a_key_manager_that_was_chosen_and_is_not_there_is_said(opened, identity):
    identity.key_manager = False
    with pytest.raises(ProviderError, match=r"no key manager.*secrets = \"database\""):
        opened("barbican").providers.add("vc", "vsphere", {}, SECRETS)


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        (503, Unreachable, r"Barbican couldn't keep a secret: .*Try again"),
        (403, AccessDenied, r"user longshore may not keep a secret in Barbican.* role creator in project service"),
        (413, ProviderError, r"Barbican couldn't keep a secret"),
        ("lost", Unreachable, r"Barbican, or Keystone before it, didn't answer while trying to keep a secret"),
    ],
)
def test_what_it_refuses_is_a_sentence_and_leaves_nothing(opened, identity, fault, error, said):
    store = opened()
    identity.faults["POST secrets"] = fault
    with pytest.raises(error, match=said) as caught:
        store.providers.add("vc", "vsphere", {}, SECRETS)
    assert SECRETS["password"] not in str(caught.value)
    assert (identity.secrets, store.provider_ledger.count(Outside.SECRET), store.providers.all()) == ({}, 0, [])


def test_a_secret_that_cannot_be_made_private_is_not_kept(opened, identity):
    store = opened()
    identity.faults["PUT secrets"] = 503
    with pytest.raises(Unreachable):
        store.providers.add("vc", "vsphere", {}, SECRETS)
    assert (identity.secrets, store.provider_ledger.count(Outside.SECRET), store.providers.all()) == ({}, 0, [])


def test_a_taken_name_makes_nothing_outside(opened, identity):
    store = opened()
    store.providers.add("vc", "vsphere", {}, SECRETS)
    with pytest.raises(Conflict):
        store.providers.add("vc", "vsphere", {}, SECRETS)
    assert len(identity.secrets) == 1


def test_what_could_not_be_taken_back_is_still_written_down(opened, identity):
    store = opened()
    identity.faults |= {"POST secrets": "lost", "DELETE secrets": 503}
    with pytest.raises(Unreachable):
        store.providers.add("vc", "vsphere", {}, SECRETS)
    assert len(identity.secrets) == 1
    assert store.provider_ledger.count(Outside.SECRET) == 1
    identity.faults.clear()
    with store.database.session() as session:
        [row] = session.scalars(select(Base.metadata.tables["provider_ledger"].c.provider_id)).all()
    store.key_manager.remove(store.provider_ledger.find(row, Outside.SECRET))
    assert (identity.secrets, store.provider_ledger.count(Outside.SECRET)) == ({}, 0)


def test_a_provider_stays_while_its_secret_cannot_be_removed(opened, identity):
    store = opened()
    store.providers.add("vc", "vsphere", {}, SECRETS)
    identity.faults["DELETE secrets"] = 503
    with pytest.raises(Unreachable):
        store.providers.remove("vc")
    assert [p.name for p in store.providers.all()] == ["vc"]
    identity.faults.clear()
    store.providers.remove("vc")
    assert (identity.secrets, store.providers.all()) == ({}, [])


def test_what_was_opened_is_known_while_barbican_is_away(opened, identity):
    store = opened()
    record = store.providers.add("vc", "vsphere", {}, SECRETS)
    identity.faults["GET secrets"] = 503
    with pytest.raises(Unreachable):
        store.providers.secrets(record.id)
    identity.faults.clear()
    assert store.providers.secrets(record.id) == SECRETS
    identity.faults["GET secrets"] = 503
    assert store.providers.secrets(record.id) == SECRETS


def test_a_secret_that_somebody_removed_and_a_machine_that_may_not_ask_are_said(opened, identity):
    record = opened().providers.add("vc", "vsphere", {}, SECRETS)
    with pytest.raises(SecretsError, match=r"in Barbican.*server\.keystone"):
        opened(knows_keystone=False).providers.secrets(record.id)
    identity.secrets.clear()
    with pytest.raises(NotFound, match="isn't in Barbican any more"):
        opened().providers.secrets(record.id)


def test_barbican_without_its_version_in_the_catalogue_and_with_it_is_the_same(opened, identity):
    store = opened()
    store.providers.add("vc", "vsphere", {}, SECRETS)
    of_catalogue = identity.answer

    def versioned(*asked):
        status, told = of_catalogue(*asked)
        for service in told.get("token", {}).get("catalog", []) if isinstance(told, dict) else ():
            for endpoint in service["endpoints"]:
                endpoint["url"] = f"{identity.url}/v1/" if service["type"] == "key-manager" else endpoint["url"]
        return status, told

    identity.answer = versioned
    assert opened().providers.secrets(store.providers.get("vc").id) == SECRETS


def test_nothing_of_a_secret_is_logged_or_told(opened, identity, caplog):
    caplog.set_level(logging.DEBUG)
    coded = base64.b64encode(json.dumps(SECRETS).encode()).decode()
    store = opened()
    record = store.providers.add("vc", "vsphere", {}, SECRETS)
    identity.answer = lambda *_: (400, {"title": "Bad Request", "description": f"{coded!r} is not of type 'integer'"})
    with pytest.raises(ProviderError, match=r"couldn't keep a secret: Bad Request\.") as refused:
        store.providers.change(record.id, {}, {"password": SECRETS["password"]})
    for told in (caplog.text, str(refused.value)):
        assert coded not in told
        assert SECRETS["password"] not in told
    assert "X-Auth-Token" not in caplog.text
