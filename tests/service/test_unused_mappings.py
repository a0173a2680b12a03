"""A mapping that nothing uses is said to be one, with the name that may have been meant."""

import asyncio

import httpx
import pytest
from cloud_stand_in import Cloud

from longshore.engine import embedded
from longshore.service import create_app
from longshore.store import StateDirectory, Store


@pytest.fixture
def api(tmp_path, monkeypatch):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    store = Store(StateDirectory(tmp_path / "state"))
    transport = httpx.ASGITransport(create_app(store))

    def ask(method, path, body=None):
        async def go():
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                return (await http.request(method, path, json=body)).json()

        return asyncio.run(go())

    for name, kind in (("vc", "vsphere"), ("cloud", "openstack")):
        ask("POST", "/v1/providers", {"name": name, "kind": kind, "settings": {}, "secrets": {"password": "right"}})
    yield ask
    store.close()


RIGHT = {"VM Network": "private"}


def test_of_one_machine_it_is_in_the_refusal_or_among_the_events(api):
    body = {"machine": "web", "source": "vc", "target": "cloud"}
    refused = api("POST", "/v1/migrations", {**body, "request": {"networks": {"VM netwrk": "private"}}})
    assert 'web isn\'t in or on a network "VM netwrk"' in refused["message"]
    assert 'Did you mean "VM Network"?' in refused["message"]
    asked = {"networks": RIGHT, "storage": {"elsewhere": "ceph"}}
    migration = api("POST", "/v1/migrations", {**body, "request": asked})
    (event,) = api("GET", f"/v1/migrations/{migration['id']}/events")
    assert event["level"] == "warning"
    assert event["text"].startswith('web isn\'t in or on a datastore or volume type "elsewhere", which is mapped to')


def test_of_a_plan_it_is_a_concern_and_what_is_used_is_none(api):
    mappings = {"networks": {**RIGHT, "DMZ": "private"}, "zones": {"cluster9": "nova"}}
    machine = {"machine": "web", "storage": {"ds": "ceph", "sd": "ceph"}}
    plan = {"name": "shop", "source": "vc", "target": "cloud", "mappings": mappings, "machines": [machine]}
    api("PUT", "/v1/plans/shop", plan)
    found = [c for c in api("POST", "/v1/plans/shop/check", {}) if c["code"] == "mapping-unused"]
    assert [c["subject"] for c in found] == ["sd", "DMZ", "cluster9"]
    assert {c["severity"] for c in found} == {"warning"}
    asked = {"name": "other", "source": "vc", "target": "cloud", "machines": ["web"], "networks": {**RIGHT, "DNZ": "x"}}
    opened = api("POST", "/v1/plans", asked)["open"]
    assert [c["subject"] for c in opened if c["code"] == "mapping-unused"] == ["DNZ"]
