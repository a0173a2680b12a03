"""What codes mean; and two who change a plan don't overwrite each other."""

import asyncio
from importlib.metadata import entry_points

import httpx
import pytest
from cloud_stand_in import Cloud
from test_tenants import OPENSTACK, PLAN, VSPHERE, Api

from longshore.store import StateDirectory, Store


@pytest.fixture
def api(tmp_path, monkeypatch):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    store = Store(StateDirectory(tmp_path / "state"))
    api = Api(store)
    for provider in (VSPHERE, OPENSTACK):
        api.did("ann", "POST", "/v1/providers", provider)
    yield api
    store.close()


def put_matching(api, path, body, tag):
    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://test") as http:
            return await http.put(path, json=body, headers={"X-Auth-Token": "ann", "If-Match": tag})

    return asyncio.run(go())


def test_who_has_seen_an_older_plan_changes_nothing(api):
    at = "/v1/plans/shop"
    first = api("ann", "PUT", at, PLAN)
    seen = api("ann", "GET", at)
    etag = seen.headers["etag"]
    assert first.status_code == 201
    assert api("ann", "GET", at).headers["etag"] == etag

    def put(tag, **changed):
        return put_matching(api, at, PLAN | changed, tag)

    done = put(etag, description="mine")
    assert done.status_code == 200
    late = put(etag, description="another's")
    assert (late.status_code, late.json()["code"]) == (412, "changed-meanwhile")
    assert api.did("ann", "GET", at)["plan"]["description"] == "mine"
    assert put(done.headers["etag"], description="after that").status_code == 200
    assert put("*", description="whatever it is").status_code == 200
    assert put_matching(api, "/v1/plans/new", PLAN | {"name": "new"}, "*").status_code == 412
    assert api("ann", "PUT", at, PLAN).status_code == 200, "who says nothing of it overwrites"


def test_the_catalogue_says_what_codes_mean(api):
    told = api.did("ann-reader", "GET", "/v1/catalogue")
    kinds = {kind["code"]: kind for kind in told["concerns"]}
    assert kinds["network-unmapped"]["severity"] == "blocker"
    assert kinds["network-unmapped"]["about"] == "Networks and addresses"
    assert all(kind["meaning"] for kind in kinds.values())
    assert (told["statuses"]["failed"], told["statuses"]["parked"]) == (True, False)
    assert "failed-over" in told["stages"]


def test_oslos_generators_find_the_rules():
    (point,) = entry_points(group="oslo.policy.policies", name="longshore")
    names = [rule.name for rule in point.load()()]
    assert {"migration:admin", "migration:plan:start", "migration:all_projects"} <= set(names)
