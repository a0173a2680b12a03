"""Limits over REST: set, listed and deleted by those who may, and refused in a sentence."""

import json

import pytest
from cloud_stand_in import Cloud
from test_tenants import OPENSTACK, PLAN, VSPHERE, Api

from longshore.store import StateDirectory, Store

LIMITS = "/v1/limits"
SOURCE = {"of": "source", "provider": "vc"}


@pytest.fixture(scope="module")
def anns(tmp_path_factory):
    """Ann has two providers and a plan."""
    with pytest.MonkeyPatch.context() as patch:
        for module in ("longshore.flows.clouds", "longshore.service.providers"):
            patch.setattr(f"{module}.connect", Cloud)
        store = Store(StateDirectory(tmp_path_factory.mktemp("state")))
        api = Api(store)
        for provider in (VSPHERE, OPENSTACK):
            api.did("ann", "POST", "/v1/providers", provider)
        api.did("ann", "PUT", "/v1/plans/shop", PLAN)
    yield api
    store.close()


@pytest.fixture
def here(anns):
    """Without limits."""
    yield anns
    for record in anns.store.limits.all():
        anns.store.limits.remove(record.limit.id)
    for path in anns.store.state.limits_directory.glob("*.json"):
        path.unlink()


def rates(store):
    """Of all files that copies look at."""
    return [json.loads(path.read_text()) for path in store.state.limits_directory.glob("*.json")]


def test_a_member_sets_changes_and_deletes_limits_of_its_own_jobs(here):
    first = here.did("ann", "PUT", LIMITS, SOURCE | {"at_once": 2})
    said = {"of": "source", "provider": "vc", "name": None, "plan": None, "project_id": "project-a"}
    assert first | said == first
    assert (first["at_once"], first["bytes_per_second"]) == (2, None)
    again = here.did("ann", "PUT", LIMITS, SOURCE | {"bytes_per_second": 1 << 20})
    assert again == first | {"bytes_per_second": 1 << 20}
    assert rates(here.store) == [{"bytes_per_second": 1 << 20}], "copies that run follow"
    for other in ({"of": "plan", "plan": "shop"}, {"of": "project"}, {"of": "target", "provider": "cloud"}):
        here.did("ann", "PUT", LIMITS, other | {"at_once": 1})
    for of in ("host", "datastore"):
        here.did(
            "ann", "PUT", LIMITS, {"of": of, "provider": first["provider_id"], "name": "of/any name", "at_once": 1}
        )
    listed = here.did("ann-reader", "GET", LIMITS)
    assert [limit["of"] for limit in listed] == ["datastore", "host", "plan", "project", "source", "target"]
    assert len(here.did("ann", "GET", f"{LIMITS}?limit=4&marker={listed[1]['id']}")) == 4
    assert here.did("bob", "GET", LIMITS) == []
    assert here("bob", "DELETE", f"{LIMITS}/{first['id']}").status_code == 404
    here.did("ann", "DELETE", f"{LIMITS}/{first['id']}")
    assert first["id"] not in [limit["id"] for limit in here.did("ann", "GET", LIMITS)]
    assert {} in rates(here.store)
    assert {"bytes_per_second": 1 << 20} not in rates(here.store)


def test_only_an_administrator_sets_what_counts_the_jobs_of_all(here):
    vc = here.did("ann", "GET", "/v1/providers/vc")["id"]
    everybodys = f"{LIMITS}?all_projects=true"
    for token in ("ann", "ann-reader"):
        assert here(token, "PUT", everybodys, SOURCE | {"at_once": 9}).status_code == 403
    assert here("ann-reader", "PUT", LIMITS, SOURCE | {"at_once": 9}).status_code == 403
    made = here.did("admin", "PUT", everybodys, {"of": "source", "provider": vc, "at_once": 9})
    assert made["project_id"] is None
    here.did("ann", "PUT", LIMITS, SOURCE | {"at_once": 2})
    assert [limit["project_id"] for limit in here.did("ann", "GET", LIMITS)] == [None, "project-a"]
    refused = here("ann", "DELETE", f"{LIMITS}/{made['id']}")
    assert (refused.status_code, refused.json()["code"]) == (403, "access-denied")
    assert here("ann", "DELETE", f"{LIMITS}/{made['id']}?all_projects=true").status_code == 403
    assert here.did("admin", "GET", LIMITS) == [], "the provider is none that its project sees"
    here.did("admin", "DELETE", f"{LIMITS}/{made['id']}?all_projects=true")
    [left] = here.did("admin", "GET", everybodys)
    assert left["project_id"] == "project-a"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (SOURCE, 400, "would limit nothing"),
        ({"of": "host", "provider": "vc", "at_once": 1}, 400, "A limit of a host is said with provider and name."),
        ({"of": "project", "plan": "shop", "at_once": 1}, 400, "with neither provider, name nor plan"),
        ({"of": "target", "provider": "vc", "at_once": 1}, 400, "Provider vc can't be a target"),
        ({"of": "source", "provider": "gone", "at_once": 1}, 404, "There is no provider named gone"),
        ({"of": "plan", "plan": "gone", "at_once": 1}, 404, "There is no plan named gone"),
        (SOURCE | {"at_once": 0}, 400, "at_once: "),
        (SOURCE | {"bytes_per_second": 1000}, 400, "bytes_per_second: "),
        (SOURCE | {"per_hour": 1}, 400, "per_hour: "),
        ({"of": "rack", "at_once": 1}, 400, "of: "),
        ({"of": "host", "provider": "vc", "name": "a\0b", "at_once": 1}, 400, "name: "),
    ],
)
def test_what_is_no_limit_is_refused_in_a_sentence_and_changes_nothing(here, body, status, said):
    answer = here("ann", "PUT", LIMITS, body)
    assert (answer.status_code, said in answer.json()["message"]) == (status, True), answer.text
    assert here.did("ann", "GET", LIMITS) == []


def test_a_limit_of_a_project_is_that_projects_alone(here):
    answer = here("admin", "PUT", f"{LIMITS}?all_projects=true", {"of": "project", "at_once": 1})
    assert (answer.status_code, "leave all_projects out" in answer.json()["message"]) == (400, True)


def test_a_plans_limit_counts_its_own_project_whoever_sets_it(here):
    made = here.did("admin", "PUT", f"{LIMITS}?all_projects=true", {"of": "plan", "plan": "shop", "at_once": 1})
    assert made["project_id"] == "project-a"
