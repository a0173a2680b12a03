"""A provider from a token alone, when Keystone refuses or the cloud doesn't let it in: nothing is left there."""

from dataclasses import replace
from datetime import timedelta

import pytest
import tokens
from cloud_stand_in import Cloud
from sqlalchemy import update
from test_tenants import VSPHERE, Api

from faulty_identity import faulty_identity
from longshore.configuration import Keystone
from longshore.errors import AccessDenied
from longshore.store import Outside, StateDirectory, Store
from longshore.store.tables import ProviderLedgerRow, utc_now

HERE = {"name": "here", "kind": "openstack", "settings": {}, "secrets": {}}


@pytest.fixture
def identity():
    with faulty_identity() as identity:
        yield identity


@pytest.fixture
def api(tmp_path, identity, monkeypatch):
    monkeypatch.setattr("longshore.service.providers.connect", Cloud)
    monkeypatch.setitem(tokens.CALLERS, "ann", replace(tokens.CALLERS["ann"], token="ann"))
    bound = replace(tokens.CALLERS["ann"], token="bound", restricted=True)
    monkeypatch.setitem(tokens.CALLERS, "bound", bound)
    grounds = replace(tokens.GROUNDS, clouds={f"{identity.url}/v3": tokens.CloudGround("/etc/ceph/own.conf")})
    monkeypatch.setattr(tokens, "GROUNDS", grounds)
    keystone = Keystone(auth_url=identity.url, password="service", region="R")
    store = Store(StateDirectory(tmp_path / "state", None, keystone, "database"))
    yield Api(store)
    store.close()


def test_the_credential_is_made_kept_and_deleted_with_its_provider(api, identity):
    shown = api.did("ann", "POST", "/v1/providers", HERE)["provider"]
    [(id_, made)] = identity.credentials.items()
    assert (made["name"], made["unrestricted"]) == (f"longshore-{shown['id']}", False)
    settings = shown["settings"]
    assert settings["auth"] == {"auth_url": f"{identity.url}/v3", "application_credential_id": id_}
    assert settings["auth_type"] == "v3applicationcredential"
    assert settings["ceph_conf"] == "/etc/ceph/own.conf"
    assert api.store.providers.secrets(shown["id"]) == {"application_credential_secret": "s"}
    api.did("ann", "DELETE", "/v1/providers/here")
    assert (identity.credentials, left(api)) == ({}, 0)


def test_a_token_of_a_restricted_credential_is_told_what_to_do(api, identity):
    answer = api("bound", "POST", "/v1/providers", HERE)
    assert (answer.status_code, answer.json()["code"]) == (403, "token-makes-no-credential")
    assert answer.json()["message"] == (
        "Your token is from an application credential, and Keystone makes no other from it. Log in with your password, "
        "or give the provider this credential: name its entry of clouds.yaml with --os-cloud."
    )
    assert (identity.credentials, left(api)) == ({}, 0)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [(403, 403, "token-makes-no-credential"), (503, 502, "unreachable"), ("lost", 502, "unreachable")],
)
def test_what_keystone_refuses_or_loses_leaves_nothing(api, identity, fault, status, code):
    identity.faults["POST application_credentials"] = fault
    answer = api("ann", "POST", "/v1/providers", HERE)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (identity.credentials, left(api), api.did("ann", "GET", "/v1/providers")) == ({}, 0, [])


def test_a_keystone_that_misses_the_users_roles_for_a_moment_is_asked_again(api, identity):
    identity.faults["POST application_credentials"] = [400, 400]
    api.did("ann", "POST", "/v1/providers", HERE)
    assert len(identity.credentials) == 1


def test_a_cloud_that_does_not_let_it_in_leaves_nothing(api, identity, monkeypatch):
    def refuse(_self):
        raise AccessDenied("The cloud refused the login.")

    monkeypatch.setattr(Cloud, "check", refuse)
    assert api("ann", "POST", "/v1/providers", HERE).status_code == 403
    assert (identity.credentials, left(api)) == ({}, 0)


def test_a_taken_name_makes_nothing(api, identity):
    api.did("ann", "POST", "/v1/providers", HERE)
    assert api("ann", "POST", "/v1/providers", HERE).status_code == 409
    assert len(identity.credentials) == 1


def test_what_a_dead_process_has_left_goes_with_the_next_provider(api, identity):
    for known in (True, False):  # it died before it knew the id, or after
        holding = api.store.provider_ledger.intend(f"never-{known}", Outside.APPLICATION_CREDENTIAL, "ann")
        identity.credentials[f"id-{known}"] = {"name": holding.name}
        if known:
            api.store.provider_ledger.made(holding, f"id-{known}")
    api.did("ann", "POST", "/v1/providers", HERE)
    assert len(identity.credentials) == 3  # whoever makes them may be at work still
    with api.store.database.session() as session:
        session.execute(update(ProviderLedgerRow).values(written_at=utc_now() - timedelta(hours=1)))
    api.did("ann", "POST", "/v1/providers", {**HERE, "name": "second"})
    assert sorted(c["name"] for c in identity.credentials.values()) == sorted(
        f"longshore-{p['id']}" for p in api.did("ann", "GET", "/v1/providers")
    )
    assert left(api) == 2


def test_credentials_that_were_given_are_taken_as_before(api, identity):
    given = {"settings": {"auth": {"auth_url": f"{identity.url}/v3", "username": "u"}}, "secrets": {"password": "x"}}
    api.did("ann", "POST", "/v1/providers", HERE | given)
    assert (identity.credentials, left(api)) == ({}, 0)


def left(api):
    return api.store.provider_ledger.count(Outside.APPLICATION_CREDENTIAL)


def test_a_provider_is_shared_with_a_project_that_is_there(api, identity, monkeypatch):
    """By its id or its name; what Keystone doesn't know would be shared with nobody."""
    monkeypatch.setitem(tokens.CALLERS, "admin", replace(tokens.CALLERS["admin"], token="admin"))
    identity.projects = {"3f1c": "shop", "77aa": "twice", "88bb": "twice"}
    api.did("admin", "POST", "/v1/providers", VSPHERE)
    shares = "/v1/providers/vc/shares"
    for project in ("shop", "3f1c", "*"):
        api.did("admin", "PUT", f"{shares}/{project}")
    assert api.did("admin", "GET", shares) == ["*", "3f1c"]
    for project, status, word in (("shpo", 404, "shpo"), ("twice", 409, "77aa, 88bb")):
        refused = api("admin", "PUT", f"{shares}/{project}")
        assert (refused.status_code, word in refused.json()["message"]) == (status, True)
    api.did("admin", "DELETE", f"{shares}/shop")
    identity.projects.clear()
    api.did("admin", "DELETE", f"{shares}/*")
    assert api.did("admin", "GET", shares) == []
