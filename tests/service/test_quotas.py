"""How much a project of a server may have: more is refused in a sentence, and keeps nobody else from working."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from cloud_stand_in import Cloud
from test_tenants import MIGRATION, OPENSTACK, PLAN, VSPHERE
from tokens import access

from longshore.configuration import read_configuration
from longshore.engine import embedded
from longshore.errors import Conflict, InvalidInput
from longshore.service import create_app
from longshore.store import NewMigration, Scope, StateDirectory, Store
from queued import queue_migration

QUOTAS = {"migrations": 2, "plans": 2, "providers": 3, "plan_machines": 4, "plan_bytes": 1024}


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    yield store
    store.close()


@pytest.fixture
def ask(store, monkeypatch):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    app = create_app(store, access=access(**QUOTAS))

    def ask(token, method, path, body):
        async def go():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as http:
                return await http.request(method, path, json=body, headers={"X-Auth-Token": token})

        return asyncio.run(go())

    for token in ("ann", "bob"):
        for provider in (VSPHERE, OPENSTACK):
            assert ask(token, "POST", "/v1/providers", provider).status_code == 201
    return ask


def refused(answer, status, said):
    assert (answer.status_code, answer.json()["code"]) == (status, "over-quota")
    assert said in answer.json()["message"]


def test_a_project_has_so_many_providers_and_another_project_its_own(ask, store, monkeypatch):
    assert ask("ann", "POST", "/v1/providers", VSPHERE | {"name": "third"}).status_code == 201
    logged_in = []
    monkeypatch.setattr(Cloud, "check", lambda self: logged_in.append(self) or {"version": "8"})
    refused(ask("ann", "POST", "/v1/providers", VSPHERE | {"name": "4th"}), 409, "has 3 providers, and may have 3")
    assert not logged_in, "the cloud isn't even asked"
    assert ask("bob", "POST", "/v1/providers", VSPHERE | {"name": "third"}).status_code == 201


def test_a_project_has_so_many_plans_and_may_change_those_that_it_has(ask):
    for name in ("one", "two"):
        assert ask("ann", "PUT", f"/v1/plans/{name}", PLAN | {"name": name}).status_code == 201
    refused(ask("ann", "PUT", "/v1/plans/three", PLAN | {"name": "three"}), 409, "has 2 plans")
    assert ask("ann", "PUT", "/v1/plans/two", PLAN | {"name": "two", "description": "changed"}).status_code == 200
    assert ask("bob", "PUT", "/v1/plans/one", PLAN | {"name": "one"}).status_code == 201


def test_a_plan_is_so_large_when_it_is_made_and_when_it_is_changed(ask):
    many = PLAN | {"machines": [{"machine": f"web{n}"} for n in range(5)]}
    long = PLAN | {"description": "x" * 1024}
    for before in (None, PLAN):
        if before:
            assert ask("ann", "PUT", "/v1/plans/shop", before).status_code == 201
        refused(ask("ann", "PUT", "/v1/plans/shop", many), 400, "this one has 5")
        refused(ask("ann", "PUT", "/v1/plans/shop", long), 400, "may have 1024 bytes")


def test_a_project_has_so_many_migrations_that_have_not_ended(ask, store):
    anns = store.scoped(Scope("project-a"))
    source, target = (anns.providers.get(name).id for name in ("vc", "cloud"))
    for n in range(2):
        queue_migration(
            anns.migrations, machine_name="x", machine_ref=f"x{n}", source_id=source, target_id=target, request={}
        )
    answer = ask("ann", "POST", "/v1/migrations", MIGRATION)
    refused(answer, 409, "it has 2, and 1 are asked for")
    plan = PLAN | {"mappings": {"networks": {"VM Network": "private"}}}
    assert ask("ann", "PUT", "/v1/plans/shop", plan).status_code == 201
    refused(ask("ann", "POST", "/v1/plans/shop/start", {}), 409, "may have 2 migrations")
    assert len(anns.migrations.all()) == 2
    anns.migrations.update(anns.migrations.all()[0].id, status="done")
    assert ask("ann", "POST", "/v1/migrations", MIGRATION).status_code == 202
    assert ask("bob", "POST", "/v1/migrations", MIGRATION).status_code == 202


def test_who_asks_twice_at_once_has_no_more(store):
    of_server = store.scoped(Scope("p", quotas=access(**QUOTAS).quotas))
    cloud = of_server.providers.add("cloud", "openstack", {}, {}).id

    def ask_for(n):
        try:
            of_server.migrations.add_together([NewMigration("x", f"vm-{n}", cloud, cloud, {})])
        except Conflict as error:
            assert error.code == "over-quota"

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask_for, range(6)))
    assert len(of_server.migrations.all()) == 2


def test_a_users_own_command_has_no_quotas(store):
    for n in range(60):
        store.providers.add(f"p{n}", "vsphere", {}, {})
    store.plans.add("large", {"machines": [{"machine": f"web{n}"} for n in range(6000)]})


def test_a_quota_that_cannot_be_is_refused_in_a_sentence():
    keystone = {"auth_url": "https://cloud:5000/v3", "password": "x"}
    with pytest.raises(InvalidInput, match=r"server\.quotas\.plans"):
        read_configuration(server={"keystone": keystone, "quotas": {"plans": 0}})
