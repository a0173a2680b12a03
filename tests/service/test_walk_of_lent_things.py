"""A walk of all routes by somebody whose project may use what another one has: with others' things in it, and once it
was taken back. Nothing of others' is read, changed or held."""

import hashlib
import os
import random
import time
from collections import Counter
from dataclasses import replace
from typing import ClassVar

import pytest
from cloud_stand_in import Cloud
from sqlalchemy import update
from test_tenants import Api
from walk import walk

from filled import encrypted_vault, fill
from longshore.engine import embedded
from longshore.flows.clouds import Clouds
from longshore.model.point import Hold
from longshore.providers.registry import connect as really
from longshore.store import Scope, StateDirectory, Store
from longshore.store.tables import BackupPolicyRow, GroupRow, JobRow, MigrationRow, PlanRow, ProviderRow
from longshore.vault.directory import Directory
from longshore.vault.holds import hold_point
from longshore.vault.vault import Vault
from point_in_vault import with_point

pytestmark = pytest.mark.long

SEED = int(os.environ.get("LONGSHORE_SEED", "46"))
SECRETS = ("SECRETPW", "svc-secret-user", "vcenter.secret.example")
PUTTING_BACK = ("/cleanup", "/points/")  # what one's own has left there may go
EACH = [
    pytest.param(400, id="some"),
    pytest.param(5000, marks=[pytest.mark.soak, pytest.mark.timeout(3600)], id="many"),
]


class Recording(Cloud):
    opened: ClassVar[list[str]] = []

    def __init__(self, kind, settings, given, *rest):
        super().__init__(kind, settings, given, *rest)
        Recording.opened.append(kind)


def connect(kind, settings, given, *rest, **kept):
    if kind != "vault":
        return Recording(kind, settings, given, *rest)
    Recording.opened.append(kind)
    return really(kind, settings, given, *rest, **kept)


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    yield store
    store.close()


@pytest.fixture
def ids(store, tmp_path):
    """Of a day's work of project-a, with providers and vaults that are the operator's, and shared with it."""
    anns = store.scoped(Scope("project-a"))
    login = {"auth": {"auth_url": "https://cloud:5000/v3", "username": "svc-secret-user"}}
    vcenter = {"host": "vcenter.secret.example", "username": "svc-secret-user"}
    anns.providers.add("vc", "vsphere", vcenter, {"password": "SECRETPW"})
    anns.providers.add("cloud", "openstack", login, {"password": "SECRETPW"})
    ids = fill(anns)
    ids["key"] = encrypted_vault(anns)
    with store.database.session() as session:
        session.execute(update(ProviderRow).values(project_id="operator"))
    lend(store, "project-a")
    with Clouds(store, project_id="project-a").vault(store.providers.get("offsite").id, "write") as vault:
        ids["anns"] = with_point(vault, tmp_path, "anns-payroll", policy=ids["policy"])
        hold_point(vault, ids["anns"], Hold("anns-audit", None))
    ids |= {name: store.providers.get(name).id for name in ("vc", "cloud", "offsite", "safe")}
    ids |= {"plan": anns.plans.get("shop").id, "group": anns.groups.get("rack").id}
    return ids


def lend(store, project):
    for provider in store.providers.all():
        if provider.project_id == "operator":
            store.scoped(Scope("operator")).providers.share(provider.id, project)


@pytest.fixture
def api(store, ids, monkeypatch):
    monkeypatch.setattr("longshore.flows.clouds.connect", connect)
    monkeypatch.setattr("longshore.service.providers.connect", connect)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    return Api(store)


def things(ids):
    return {
        "provider": ["vc", "cloud", "offsite", "safe", *(ids[name] for name in ("vc", "cloud", "offsite", "safe"))],
        "vault": ["offsite", "safe", ids["offsite"], ids["safe"]],
        "point": [ids["point"], ids["anns"], ids["anns"].rpartition("/")[2], "anns-payroll", "app01"],
        "name": ["shop", ids["plan"]],
        "plan": ["shop", ids["plan"]],
        "migration": ["web01", ids["app01"], ids["web01"], ids["db01"], ids["replica"]],
        "replica": ["mail01", ids["replica"], ids["fresh"]],
        "group": ["rack", ids["group"]],
        "policy": ["nightly", ids["policy"]],
        "machine": ["vm-1", "app01", ids["anns"]],
        "project": ["project-b", "project-c"],
        "key": [ids["key"]],
        "number": ["1", "3"],
        "check": ["1"],
    }


def fields(ids):
    request = {"networks": {"VM Network": "private"}}
    where = {"source": ["vc", ids["vc"], "offsite", ids["offsite"]], "target": ["cloud", ids["cloud"]]}
    vaults = ["offsite", ids["offsite"], "safe", "bobs"]
    change = {"replicas": [{"machine": "app01", "source": "vc", "target": "cloud", "schedule": "daily"}], "groups": []}
    return where | {
        "provider": ["vc", "cloud", "offsite"],
        "vault": vaults,
        "to": vaults,
        "copy_to": vaults,
        "prove_on": ["cloud"],
        "plan": [ids["plan"]],
        "machine": ["vm-1", "app01", ids["anns"], ids["point"]],
        "machines": [["vm-1"], ["app01"], [ids["anns"]]],
        "refs": [["vm-1"], [ids["anns"], ids["point"]]],
        "point": [ids["anns"], ids["point"], "anns-payroll", 3],
        "replica": [ids["replica"]],
        "replicas": [[ids["replica"]]],
        "migrations": [[ids["app01"], ids["db01"]]],
        "members": [{ids["replica"]: 1}],
        "seed": [{"vault": ids["offsite"], "point": ids["anns"]}],
        "name": ["anns-audit", "ransom", "shop", "nightly", "x"],
        "schedule": ["every 15m", "daily"],
        "retention": ["last 2"],
        "filter": [{"name": "*"}, {}],
        "in_clear": [True],
        "request": [request, request | {"type": "dry-run"}, request | {"type": "in-place"}],
        "paused": [False],
        "of_anything": [change, {"mappings": {}}, {"name": "shop", "source": "vc", "target": "cloud"}],
    }


def files(tmp_path):
    """All that is in the vaults, but for what who writes or looks makes of itself."""
    roots = [tmp_path / "vault", tmp_path / "safe"]
    found = (path for root in roots for path in root.rglob("*") if path.is_file() and "probe" not in path.parts)
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}


def belongings(store, *projects):
    told = []
    for project in projects:
        scoped = store.scoped(Scope(project))
        told.append(
            (
                [replace(one, last_check=None) for one in scoped.providers.all()],
                scoped.limits.all(),
                scoped.plans.all(),
                scoped.migrations.all(),
                scoped.replicas.all(),
                scoped.groups.all(),
                scoped.backup_policies.all(),
            )
        )
    return told


def said_back(text, asked):
    """Without what he has said himself."""
    for said in sorted({asked.path, *map(str, _words(asked.body))}, key=len, reverse=True):
        text = text.replace(said, "")
    return text


def _words(body):
    if isinstance(body, dict):
        return [*body, *(word for value in body.values() for word in _words(value))]
    return [word for value in body for word in _words(value)] if isinstance(body, list) else [body]


@pytest.mark.parametrize("number", EACH)
def test_lent_with_somebody_elses_things_in_it(api, store, ids, tmp_path, number):
    lend(store, "project-b")
    Vault.create(Directory(tmp_path / "bobs"), None)
    store.scoped(Scope("project-b")).providers.add("bobs", "vault", {"directory": str(tmp_path / "bobs")}, {})
    before, there = belongings(store, "project-a", "operator"), files(tmp_path)
    folder = ids["anns"].partition("/")[0]
    marks = ["anns-payroll", folder, "mail01", "files01", "project-a", *SECRETS]
    marks += [ids[name] for name in ("app01", "web01", "db01", "replica", "fresh", "policy", "plan", "group", "point")]
    codes, began = Counter(), time.monotonic()
    for asked in walk(api.app.openapi(), things(ids), fields(ids), number, SEED):
        who = random.Random(asked.path).choice([*["bob"] * 9, "ann-nothing"])
        answer = api(who, asked.method, asked.path, asked.body)
        codes[answer.status_code] += 1
        text = said_back(answer.text, asked)
        assert answer.status_code != 500, (asked, answer.text)
        assert not [mark for mark in marks if mark in text and mark not in asked.path], (asked, answer.text)
    assert files(tmp_path) == there
    assert belongings(store, "project-a", "operator") == before
    print(f"{number} requests in {time.monotonic() - began:.0f} s: {dict(codes)}")
    assert codes[200] > number / 20, "he may use what is lent, and has been told what that is"


@pytest.mark.parametrize("number", EACH)
def test_lent_and_taken_back(api, store, ids, tmp_path, number):
    """All that project-a has is bob's own from now on, and all of it uses what isn't shared with him any more."""
    with store.database.session() as session:
        for rows in (MigrationRow, JobRow, PlanRow, GroupRow, BackupPolicyRow):
            session.execute(update(rows).values(project_id="project-b"))
    for provider in store.providers.all():
        store.scoped(Scope("operator")).providers.unshare(provider.id, "project-a")
    before, there, own = belongings(store, "operator"), files(tmp_path), len(store.migrations.all())
    codes, began = Counter(), time.monotonic()
    for asked in walk(api.app.openapi(), things(ids), fields(ids), number, SEED):
        Recording.opened.clear()
        answer = api("bob", asked.method, asked.path, asked.body)
        codes[answer.status_code] += 1
        assert answer.status_code != 500, (asked, answer.text)
        assert not [mark for mark in SECRETS if mark in answer.text], (asked, answer.text)
        if not any(part in asked.path for part in PUTTING_BACK):
            assert Recording.opened == [], (asked, answer.text)
    assert files(tmp_path) == there
    assert belongings(store, "operator") == before
    assert len(store.migrations.all()) <= own, "something new has begun"
    print(f"{number} requests in {time.monotonic() - began:.0f} s: {dict(codes)}")
    assert codes[403] > number / 20
