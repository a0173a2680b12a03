"""Plans proposed without being kept: again and again, until they are kept or started, or nobody wants them any more."""

from datetime import timedelta

import pytest
from cloud_stand_in import Cloud
from sqlalchemy import update
from test_tenants import OPENSTACK, VSPHERE, Api

from longshore.store import StateDirectory, Store
from longshore.store.tables import PlanRow, utc_now

WORD = "b1c1a1f0-0000-4000-8000-000000000001"
AT = "/v1/plans"


@pytest.fixture
def api(tmp_path, monkeypatch):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    monkeypatch.setattr("longshore.engine.embedded.ensure_running", lambda _state: None)
    store = Store(StateDirectory(tmp_path / "state"))
    api = Api(store)
    for who in ("ann", "bob"):
        for provider in (VSPHERE, OPENSTACK):
            api.did(who, "POST", "/v1/providers", provider)
    yield api
    store.close()


def wanted(name="shop", word=WORD, **more):
    machines = {"source": VSPHERE["name"], "target": OPENSTACK["name"], "machines": ["vm-1"]}
    return {"name": name, "draft": word, **machines, **more}


def test_a_draft_is_proposed_again_and_keeps_what_was_decided(api):
    api.did("ann", "POST", AT, wanted(defaults={"type": "warm"}))
    seen = api.did("ann", "GET", f"{AT}/shop")
    assert seen["draft"] == WORD
    machine = seen["plan"]["machines"][0]["machine"]
    network = "VM Network"
    api.did("ann", "PATCH", f"{AT}/shop/machines/{machine}", {"wave": 4})
    api.did("ann", "PATCH", f"{AT}/shop", {"mappings": {"networks": {network: "other"}, "storage": {"gone": "gold"}}})
    api.did("ann", "POST", AT, wanted("market", description="renamed"))
    (plan,) = api.did("ann", "GET", AT)
    assert (plan["name"], plan["draft"], plan["description"]) == ("market", WORD, "renamed")
    after = api.did("ann", "GET", f"{AT}/market")["plan"]
    assert after["mappings"]["networks"] == {network: "other"}
    assert "storage" not in after["mappings"], "no machine is on that"
    assert after["machines"][0]["wave"] == 4
    assert after["defaults"] == {"type": "warm"}
    assert api("ann", "GET", f"{AT}/shop").status_code == 404


def test_neither_anothers_draft_nor_a_plan_is_proposed_over(api):
    api.did("ann", "POST", AT, wanted())
    other = api("ann", "POST", AT, wanted(word="another-word"))
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    assert api("ann", "POST", AT, wanted(word=None)).status_code == 409
    api.did("bob", "POST", AT, wanted(description="bob's"))
    assert api.did("ann", "GET", f"{AT}/shop")["plan"].get("description") is None, "a word is of one project"
    kept = api.did("ann", "POST", f"{AT}/shop/keep")
    assert (kept["changed"], api.did("ann", "POST", f"{AT}/shop/keep")["changed"]) == (True, False)
    assert api("ann", "POST", AT, wanted()).status_code == 409, "kept meanwhile"
    assert api("ann-reader", "POST", f"{AT}/shop/keep").status_code == 403
    assert api("ann", "POST", AT, wanted("x", word="short")).status_code == 400
    assert api("ann", "POST", AT, wanted("x", word="another-word", create_flavors=True)).status_code == 400


def test_one_that_cannot_be_started_for_what_this_machine_lacks_stays_a_draft(api, monkeypatch):
    api.did("ann", "POST", AT, wanted())
    api.did("ann", "PATCH", f"{AT}/shop", {"mappings": {"networks": {"VM Network": "private"}}})
    with monkeypatch.context() as bare:
        bare.setenv("PATH", "/nowhere")
        refused = api("ann", "POST", f"{AT}/shop/start", {})
    assert (refused.status_code, refused.json()["code"]) == (503, "not-installed")
    assert api.did("ann", "GET", f"{AT}/shop")["draft"] == WORD


def test_what_starts_or_is_applied_as_a_file_is_no_draft_any_more(api):
    api.did("ann", "POST", AT, wanted())
    plan = api.did("ann", "GET", f"{AT}/shop")["plan"]
    assert api.did("ann", "PUT", f"{AT}/shop", plan)["changed"] is True
    assert api.did("ann", "GET", f"{AT}/shop")["draft"] is None
    api.did("ann", "POST", AT, wanted("started", word="another-word"))
    api.did("ann", "PATCH", f"{AT}/started", {"mappings": {"networks": {"VM Network": "private"}}})
    assert api.did("ann", "GET", f"{AT}/started")["draft"] == "another-word", "a change isn't a decision for it"
    api.did("ann", "POST", f"{AT}/started/start", {})
    assert api.did("ann", "GET", f"{AT}/started")["draft"] is None


def test_a_draft_that_nobody_touches_for_a_month_goes_when_another_is_made(api):
    api.did("ann", "POST", AT, wanted("old"))
    api.did("ann", "POST", AT, wanted("kept", word="another-word"))
    api.did("ann", "POST", f"{AT}/kept/keep")
    with api.store.database.session() as session:
        session.execute(update(PlanRow).values(changed_at=utc_now() - timedelta(days=31)))
    api.did("bob", "POST", AT, wanted("bobs"))
    assert {p["name"] for p in api.did("ann", "GET", AT)} == {"kept", "old"}, "another project's"
    api.did("ann", "POST", AT, wanted("new", word="a-third-word"))
    assert {p["name"] for p in api.did("ann", "GET", AT)} == {"kept", "new"}
