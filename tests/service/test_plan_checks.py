"""A check of many machines is told as it becomes known, by whichever server is asked, until somebody ends it."""

import time
from dataclasses import replace
from datetime import timedelta
from threading import Event

import pytest
from anns_api import anns_api
from cloud_stand_in import MACHINE, Cloud

from answered import answer
from longshore.engine.stranded import NOBODY
from longshore.errors import NotFound, Unreachable
from longshore.flows.plans.check import AT_ONCE
from longshore.store import Scope
from longshore.store.tables import utc_now
from queued import queue_migration

pytestmark = pytest.mark.long

COUNT = 2 * AT_ONCE + 20
AT = "/v1/plans/shop/checks"
MACHINES = {f"vm-{n}": n for n in range(COUNT)}


class Many(Cloud):
    """Has more machines than are looked at together. When it is asked for more of them it waits for a word."""

    may_go_on: Event
    asked: Event
    fails = False
    portions = 0

    def describe(self, refs):
        Many.portions += 1
        if Many.portions > 1:
            Many.asked.set()
            assert Many.may_go_on.wait(60)
            if Many.fails:
                raise Unreachable("The vCenter doesn't answer.", advice="Is it on?")
        return [_machine(ref) for ref in refs if ref in MACHINES]

    def machine(self, name):
        raise NotFound(f"There is no machine {name}.")


def _machine(ref):
    return replace(MACHINE, ref=ref, name=f"web{MACHINES[ref]}", nics=())


@pytest.fixture
def api(tmp_path, monkeypatch):
    monkeypatch.setattr(Many, "may_go_on", Event(), raising=False)
    monkeypatch.setattr(Many, "asked", Event(), raising=False)
    monkeypatch.setattr(Many, "fails", False)
    monkeypatch.setattr(Many, "portions", 0)
    with anns_api(tmp_path, monkeypatch, Many) as api:
        answer(monkeypatch, api.store)
        machines = [{"machine": f"web{n}", "ref": ref} for ref, n in MACHINES.items()]
        machines[3]["ref"] = "gone"  # in the first portion
        machines[-1]["ref"] = "gone-too"  # in the last one
        api.did(
            "ann", "PUT", "/v1/plans/shop", {"name": "shop", "source": "vc", "target": "cloud", "machines": machines}
        )
        yield api
        Many.may_go_on.set()


def until(found):
    """Something, once there is."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if (something := found()) is not None:
            return something
        time.sleep(0.02)
    pytest.fail("it didn't come")


def ended(api, begun, who="ann"):
    return until(lambda: _if_ended(api.did(who, "GET", f"{AT}/{begun['id']}")))


def _if_ended(check):
    return check if check["state"] != "running" else None


def names(check):
    return [one["machine"] or one["subject"] for one in check["concerns"] if one["code"] == "machine-not-found"]


def test_what_is_known_of_some_is_told_before_the_others_were_looked_at(api):
    begun = api.did("ann", "POST", AT, {})
    assert (begun["state"], begun["done"], begun["total"]) == ("running", 0, COUNT)
    assert Many.asked.wait(60)
    first = until(lambda: _if_some(api.did("ann-reader", "GET", f"{AT}/{begun['id']}")))
    assert (first["state"], first["done"]) == ("running", AT_ONCE)
    assert names(first) == ["web3"]
    Many.may_go_on.set()
    whole = ended(api, begun)
    assert (whole["state"], whole["done"], whole["error"]) == ("done", COUNT, None)
    assert names(whole) == ["web3", f"web{COUNT - 1}"]
    since = api.did("ann", "GET", f"{AT}/{begun['id']}?after={first['until']}")
    assert names(since) == [f"web{COUNT - 1}"]
    assert since["until"] == whole["until"]
    assert api.did("ann", "GET", f"{AT}/{begun['id']}?after={whole['until']}")["concerns"] == []
    Many.portions = 2
    at_once = api.did("ann", "POST", "/v1/plans/shop/check", {})
    assert at_once == whole["concerns"]


def _if_some(check):
    return check if check["done"] else None


def test_it_ends_when_the_plan_is_changed_or_somebody_ends_it(api):
    changed, ended_by_hand = (api.did("ann", "POST", AT, {}) for _ in range(2))
    api.did("ann", "DELETE", f"{AT}/{ended_by_hand['id']}")
    assert api.did("ann", "GET", f"{AT}/{ended_by_hand['id']}")["state"] == "cancelled"
    api.did("ann", "PATCH", "/v1/plans/shop", {"description": "another"})
    Many.may_go_on.set()
    found = ended(api, changed)
    assert (found["state"], found["error"]["code"]) == ("cancelled", "changed-meanwhile")
    assert found["done"] < COUNT
    assert found["version"] != api.did("ann", "GET", "/v1/plans/shop")["version"]
    again = api.did("ann", "POST", AT, {"machines": ["web1", "web3"]})
    assert (again["total"], names(ended(api, again))) == (2, ["web3"])
    api.did("ann", "DELETE", "/v1/plans/shop")
    assert api("ann", "GET", f"{AT}/{again['id']}").status_code == 404


def test_why_it_fails_is_said_and_what_was_found_before_stays(api):
    Many.fails = True
    begun = api.did("ann", "POST", AT, {})
    Many.may_go_on.set()
    found = ended(api, begun)
    assert (found["state"], found["error"]["code"]) == ("failed", "unreachable")
    assert found["error"]["message"] == "The vCenter doesn't answer. Is it on?"
    assert names(found) == ["web3"]
    assert api.store.figures.migrations() == {}, "nobody watches for what somebody has heard of"


def test_it_is_a_job_among_the_others_and_in_the_way_of_nothing(api):
    begun = api.did("ann", "POST", AT, {})
    [listed] = api.did("ann-reader", "GET", "/v1/jobs")
    assert (listed["id"], listed["type"], listed["machine_name"]) == (begun["id"], "plan-check", "shop")
    assert api.did("ann", "GET", "/v1/migrations") == []
    assert api("ann", "DELETE", "/v1/providers/vc").status_code == 409, "it asks there"
    Many.may_go_on.set()
    ended(api, begun)
    shown = api.did("ann", "GET", f"/v1/jobs/{begun['id']}")
    assert (shown["status"], shown["phase"], shown["result"]) == ("done", "done", {"done": COUNT, "total": COUNT})
    api.did("ann", "DELETE", "/v1/plans/shop")
    api.did("ann", "DELETE", "/v1/providers/vc")
    assert api.did("ann", "GET", "/v1/jobs") == []


def test_it_goes_after_a_day(api):
    Many.may_go_on.set()
    begun = api.did("ann", "POST", AT, {})
    ended(api, begun)
    api.store.migrations.update(begun["id"], finished_at=utc_now() - timedelta(hours=25))
    other = api.did("ann", "POST", AT, {})
    assert [job["id"] for job in api.did("ann", "GET", "/v1/jobs")] == [other["id"]]
    assert api("ann", "GET", f"{AT}/{begun['id']}").status_code == 404


def test_why_nobody_takes_it_is_said(api, monkeypatch):
    monkeypatch.setattr("longshore.service.plan_checks.crew_of", lambda _store: NOBODY)
    assert "No worker is alive" in api.did("ann", "POST", AT, {})["stranded"]


def test_a_machine_that_is_under_way_otherwise_is_told_of_by_its_migration(api):
    Many.may_go_on.set()
    own = api.store.scoped(Scope("project-a"))
    vc, cloud = (own.providers.get(name).id for name in ("vc", "cloud"))
    under_way = queue_migration(
        own.migrations, machine_name="web1", machine_ref="vm-1", source_id=vc, target_id=cloud, request={"type": "cold"}
    )
    found = [one for one in ended(api, api.did("ann", "POST", AT, {}))["concerns"] if one["machine"] == "web1"]
    assert [(one["code"], one["subject"]) for one in found] == [("already-migrating", under_way.id)]


def test_others_find_none_and_what_makes_no_sense_is_refused(api):
    begun = api.did("ann", "POST", AT, {})
    for who, status in (("bob", 404), ("ann-nothing", 403)):
        for method, path, body in (("POST", AT, {}), ("GET", f"{AT}/{begun['id']}", None)):
            assert api(who, method, path, body).status_code == status
        assert api(who, "DELETE", f"{AT}/{begun['id']}").status_code == status
    assert api.did("admin", "GET", f"{AT}/{begun['id']}?all_projects=true")["id"] == begun["id"]
    assert api("ann", "GET", f"{AT}/none").status_code == 404
    api.did("ann", "PUT", "/v1/plans/other", {"name": "other", "source": "vc", "target": "cloud", "machines": []})
    assert api("ann", "GET", f"/v1/plans/other/checks/{begun['id']}").status_code == 404, "it is of another plan"
    for body in ({"wave": 7}, {"machines": ["none"]}, {"accept": ["no-such-code"]}, {"typ": "cold"}):
        refused = api("ann", "POST", AT, body)
        assert (refused.status_code, refused.json()["message"].count("\n")) == (400, 0)
    assert api("ann", "GET", f"{AT}/{begun['id']}?after=-1").status_code == 400


def test_a_project_has_some_at_once(api):
    for _ in range(6):
        api.did("ann", "POST", AT, {})
    assert api("ann", "POST", AT, {}).status_code == 429
    Many.may_go_on.set()
