"""What codes mean; and two who change a plan don't overwrite each other."""

import asyncio
from importlib.metadata import entry_points

import httpx
import pytest
from anns_api import anns_api
from cloud_stand_in import Cloud
from test_tenants import PLAN


@pytest.fixture
def api(tmp_path, monkeypatch):
    with anns_api(tmp_path, monkeypatch, Cloud) as api:
        yield api


def matching(api, method, path, body, tag):
    async def go():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api.app), base_url="http://test") as http:
            return await http.request(method, path, json=body, headers={"X-Auth-Token": "ann", "If-Match": tag})

    return asyncio.run(go())


def test_who_has_seen_an_older_plan_changes_nothing(api):
    at = "/v1/plans/shop"
    first = api("ann", "PUT", at, PLAN)
    seen = api("ann", "GET", at)
    etag = seen.headers["etag"]
    assert first.status_code == 201
    assert api("ann", "GET", at).headers["etag"] == etag

    def put(tag, **changed):
        return matching(api, "PUT", at, PLAN | changed, tag)

    done = put(etag, description="mine")
    assert done.status_code == 200
    late = put(etag, description="another's")
    assert (late.status_code, late.json()["code"]) == (412, "changed-meanwhile")
    assert api.did("ann", "GET", at)["plan"]["description"] == "mine"
    assert put(done.headers["etag"], description="after that").status_code == 200
    assert put("*", description="whatever it is").status_code == 200
    assert matching(api, "PUT", "/v1/plans/new", PLAN | {"name": "new"}, "*").status_code == 412
    assert api("ann", "PUT", at, PLAN).status_code == 200, "who says nothing of it overwrites"


def test_parts_of_a_plan_are_changed_and_the_rest_stays(api):
    at = "/v1/plans/shop"
    api.did("ann", "PUT", at, PLAN | {"defaults": {"type": "warm", "boot_timeout": 300}, "description": "shop"})
    before = api.did("ann", "GET", at)
    done = api.did(
        "ann", "PATCH", at, {"defaults": {"type": None, "landing": "as-is"}, "mappings": {"networks": {"DMZ": "x"}}}
    )
    after = api.did("ann", "GET", at)
    assert (done["changed"], done["version"]) == (True, after["version"])
    assert after["plan"]["defaults"] == {"boot_timeout": 300, "landing": "as-is"}
    assert after["plan"]["mappings"]["networks"]["DMZ"] == "x"
    assert after["plan"]["description"] == "shop"
    assert after["plan"]["machines"] == before["plan"]["machines"]
    assert api.did("ann", "PATCH", at, {"description": "shop"})["changed"] is False
    late = matching(api, "PATCH", at, {"description": "late"}, f'"{before["version"]}"')
    assert (late.status_code, late.json()["code"]) == (412, "changed-meanwhile")
    for wrong in ({"name": "other"}, {"colour": "blue"}, {"source": None}, {"limits": {"at_once": 0}}):
        assert api("ann", "PATCH", at, wrong).status_code == 400, wrong
    assert api("ann-reader", "PATCH", at, {"description": "x"}).status_code == 403
    assert api("bob", "PATCH", at, {"description": "x"}).status_code == 404
    assert api("ann", "PATCH", at, {"defaults": {"before": "/x.yml"}}).json()["code"] == "not-on-a-server"
    assert api.did("ann", "GET", at)["version"] == after["version"]


def test_one_machine_of_a_plan_is_changed(api):
    at = "/v1/plans/shop"
    api.did("ann", "PUT", at, PLAN | {"machines": [{"machine": "a/web", "ref": "vm-1"}, "db"]})
    api.did("ann", "PATCH", f"{at}/machines/a/web", {"wave": 3, "flavor": "small"})
    api.did("ann", "PATCH", f"{at}/machines/db", {"wave": 2})
    api.did("ann", "PATCH", f"{at}/machines/vm-1", {"flavor": None})
    machines = api.did("ann", "GET", at)["plan"]["machines"]
    assert machines == [{"machine": "a/web", "ref": "vm-1", "wave": 3}, {"machine": "db", "wave": 2}]
    assert api("ann", "PATCH", f"{at}/machines/nobody", {"wave": 2}).status_code == 404
    assert api("ann", "PATCH", f"{at}/machines/db", {"wave": "soon"}).status_code == 400


def test_a_plan_is_duplicated_with_its_texts_and_neither_changes_the_other(api):
    secret = "#cloud-config: a secret"
    api.did("ann", "PUT", "/v1/plans/shop", PLAN | {"defaults": {"user_data": secret}})
    made = api("ann", "POST", "/v1/plans/shop/duplicate", {"name": "shop-2", "description": "again"})
    assert (made.status_code, secret in made.text) == (201, False)
    first, second = (api.did("ann", "GET", f"/v1/plans/{name}")["plan"] for name in ("shop", "shop-2"))
    marks = [plan["defaults"].pop("user_data") for plan in (first, second)]
    assert marks[0] != marks[1]
    assert second == first | {"name": "shop-2", "description": "again"}
    api.did("ann", "DELETE", "/v1/plans/shop")
    store = api.store
    assert store.plans.with_texts("shop-2")["defaults"]["user_data"] == secret
    taken = api("ann", "POST", "/v1/plans/shop-2/duplicate", {"name": "shop-2"})
    assert (taken.status_code, taken.json()["code"]) == (409, "conflict")
    assert api("ann", "POST", "/v1/plans/shop-2/duplicate", {"name": "no name"}).status_code == 400


def test_the_catalogue_says_what_codes_mean(api):
    told = api.did("ann-reader", "GET", "/v1/catalogue")
    kinds = {kind["code"]: kind for kind in told["concerns"]}
    assert kinds["network-unmapped"]["severity"] == "blocker"
    assert kinds["network-unmapped"]["about"] == "Networks and addresses"
    assert all(kind["meaning"] for kind in kinds.values())
    assert (told["statuses"]["failed"], told["statuses"]["parked"]) == (True, False)
    assert "failed-over" in told["stages"]
    phases = {one["phase"]: one for one in told["phases"]}
    assert {phase for course in told["courses"].values() for phase in course} == set(phases)
    assert all(one["meaning"] for one in phases.values())
    assert [name for name in told["courses"]["cold"] if phases[name]["lands"]] == [
        *("safeguarding", "converting", "booting", "checking")
    ]
    course = told["courses"]["warm"]
    assert course.index("queued") < course.index("syncing") < course.index("last-sync") < course.index("done")


def test_oslos_generators_find_the_rules():
    (point,) = entry_points(group="oslo.policy.policies", name="longshore")
    names = [rule.name for rule in point.load()()]
    assert {"migration:admin", "migration:plan:start", "migration:all_projects"} <= set(names)
