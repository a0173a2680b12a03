"""A plan that can't be read, as another version may leave it, stops no other one, nor its own end."""

import json

import pytest

from in_process import longshore
from longshore.store import StateDirectory, Store

TWICE = [{"machine": "web/app01", "ref": "vm-1"}, {"machine": "web/app01", "ref": "vm-2"}]


@pytest.fixture
def state(tmp_path):
    """With a plan that is well, and one that isn't."""
    directory = tmp_path / "state"
    store = Store(StateDirectory(directory))
    for name, kind in (("vc", "vsphere"), ("cloud", "openstack")):
        store.providers.add(name, kind, {}, {})
    clouds = {"source": "vc", "target": "cloud"}
    store.plans.add("well", {"name": "well", **clouds, "machines": [{"machine": "app01"}]})
    store.plans.add("twins", {"name": "twins", **clouds, "machines": TWICE})
    store.plans.add("odd", {"name": "odd", "source": 7, "machines": [{}]})
    store.close()
    return directory


def test_the_others_are_listed_and_found_and_why_it_cant_be_read_is_said(state):
    done = longshore(state, "plan", "list", "-f", "json")
    assert done.returncode == 0
    listed = {plan["Name"]: plan for plan in json.loads(done.stdout)}
    assert listed["well"]["State"] == "1 planned"
    assert listed["twins"]["State"] == "can't be read: machines.1: web/app01 is in the plan twice."
    assert listed["odd"]["State"].startswith("can't be read: ")
    found = longshore(state, "plan", "find", "--machine", "app01", "-f", "json")
    assert [plan["Name"] for plan in json.loads(found.stdout)] == ["well"]


def test_it_is_shown_exported_mended_and_applied_again(state, tmp_path):
    assert "is in the plan twice" in longshore(state, "plan", "show", "twins").stdout
    done = longshore(state, "plan", "check", "twins")
    assert done.returncode != 0
    assert "Plan twins can't be read: machines.1: web/app01 is in the plan twice." in done.stderr
    assert "longshore plan export twins" in done.stderr
    file = tmp_path / "twins.yaml"
    done = longshore(state, "plan", "export", "twins", file)
    assert done.returncode == 0
    assert "This can't be applied as it is: machines.1: web/app01 is in the plan twice." in done.stderr
    file.write_text(file.read_text().replace("machine: web/app01\n  ref: vm-2", "machine: vm-2\n  ref: vm-2"))
    assert longshore(state, "plan", "apply", file).returncode == 0
    (listed,) = [p for p in json.loads(longshore(state, "plan", "list", "-f", "json").stdout) if p["Name"] == "twins"]
    assert listed["State"] == "2 planned"


@pytest.mark.parametrize("plan", ["twins", "odd"])
def test_it_is_deleted(state, plan):
    done = longshore(state, "plan", "delete", plan)
    assert done.returncode == 0, done.stderr
    assert plan not in longshore(state, "plan", "list").stdout
