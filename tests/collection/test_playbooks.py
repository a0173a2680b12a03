"""The collection, by ansible-playbook: what a second run changes, what check mode says, what the inventory finds."""

import os
import re

import pytest
from playbooks import BIN, SECRET, Playbooks, task
from stand import environment, stand

from ports import port_to_serve

REQUEST = {"type": "cold", "networks": {"VM Network": "private"}, "boot_timeout": 5, "shutdown_timeout": 5}
PLAN = {
    "source": "vc",
    "target": "cloud",
    "mappings": {"networks": {"VM Network": "private"}},
    "machines": [{"machine": "web"}],
}
VC = {"name": "vc", "kind": "vsphere", "settings": {"host": "vcenter.example", "username": "me"}}

TASKS = (
    task("provider", **VC, secrets={"password": SECRET}),
    task(
        "provider",
        name="cloud",
        kind="openstack",
        settings={"auth": {"auth_url": "{{ keystone }}", "username": "ann", "project_name": "red"}},
        secrets={"password": SECRET},
    ),
    task("plan", name="shop", plan=PLAN),
    task("migration", machine="web", source="vc", target="cloud", request=REQUEST),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    place = tmp_path_factory.mktemp("stand")
    known = {name: value for name, value in os.environ.items() if not name.startswith(("LONGSHORE_", "OS_"))}
    with stand(place, port_to_serve()) as (at, keystone):
        auth = {"auth_url": keystone, "username": "ann", "password": "ann's secret", "project_name": "red"}
        yield Playbooks(place, {"url": at, "auth": auth}, known), keystone


def test_check_mode_says_what_would_be_and_makes_nothing(server):
    playbooks, keystone = server
    told, said = playbooks.run(*TASKS, words=("-e", f"keystone={keystone}", "--check", "--diff"))
    assert told == ["changed"] * 4, "also what needs what an earlier task would have made"
    assert "vcenter.example" in said
    assert "private" in said
    assert playbooks.run(task("provider", name="vc", state="absent"))[0] == ["ok"]


@pytest.mark.parametrize("region", ["R", None])
def test_the_server_is_found_in_the_catalogue_too(server, region):
    """By openstacksdk, with a login as clouds.yaml has it."""
    playbooks, _ = server
    domains = dict.fromkeys(("user_domain_name", "project_domain_name"), "Default")
    said = {"url": "catalog", "auth": {**playbooks.reached["auth"], **domains}, "region_name": region}
    asked = playbooks.run(task("provider", name="nowhere", state="absent", **said))
    assert asked[0] == ["ok"], asked[1]
    wrong = task("provider", name="nowhere", state="absent", **{**said, "region_name": "elsewhere"})
    told, refused = playbooks.run(wrong, fails=True)
    assert told == ["fatal"]
    assert "Longshore can't be reached: public endpoint for migration service in elsewhere region not found" in refused


def test_a_machine_is_moved_once_and_found_by_the_inventory(server):
    playbooks, keystone = server
    at = ("-e", f"keystone={keystone}")
    assert playbooks.run(*TASKS, words=at)[0] == ["changed"] * 4
    assert playbooks.run(*TASKS, words=at)[0] == ["ok"] * 4
    found = playbooks.inventory(groups={"moved": "longshore.type == 'cold'"})
    assert found["moved"]["hosts"] == ["web"]
    host = found["_meta"]["hostvars"]["web"]
    assert (host["longshore"]["source"], host["longshore"]["target"]) == ("vc", "cloud")
    assert host["longshore"]["server_id"]
    assert [host["ansible_host"]] == host["longshore"]["addresses"][:1]


def test_what_is_asked_otherwise_is_changed_and_shown(server):
    playbooks, _ = server
    provider = {"name": "third", "kind": "vsphere", "secrets": {"password": SECRET}}
    first = task("provider", **provider, settings=VC["settings"])
    assert playbooks.run(first)[0] == ["changed"]
    other = task("provider", **provider, settings={"username": "you"})
    told, said = playbooks.run(other, words=("--check", "--diff"))
    assert told == ["changed"]
    assert re.search(r'^\+.*"username": "you"', said, re.MULTILINE), said
    assert playbooks.run(first)[0] == ["ok"], "check mode has changed nothing"
    assert playbooks.run(other)[0] == ["changed"]
    again = task("provider", **provider, settings={"username": "you"}, update_secrets="always")
    assert playbooks.run(again)[0] == ["ok"], "the same secret is no change"
    plan = task("plan", name="other", plan=PLAN)
    assert playbooks.run(plan)[0] == ["changed"]
    larger = {**PLAN, "description": "larger"}
    assert playbooks.run(task("plan", name="other", plan=larger), words=("--check",))[0] == ["changed"]
    assert playbooks.run(plan)[0] == ["ok"]
    gone = task("plan", name="other", state="absent"), task("provider", name="third", state="absent")
    assert playbooks.run(*gone)[0] == ["changed", "changed"]
    assert playbooks.run(*gone)[0] == ["ok", "ok"]


def test_a_refusal_is_the_services_own_sentence(server):
    playbooks, _ = server
    told, said = playbooks.run(task("plan", name="bad", plan={**PLAN, "machines": 3}), fails=True)
    assert told == ["fatal"]
    assert "machines" in said
    assert '"code": "plan-refused"' in said


def test_without_a_server_it_is_the_command_that_is_asked(tmp_path):
    known = environment(tmp_path)
    reached = {"state_dir": str(tmp_path / "state"), "command": str(BIN / "longshore")}
    playbooks = Playbooks(tmp_path, reached, known)
    tasks = task("provider", **VC, secrets={"password": SECRET}), task("plan", name="shop", plan=PLAN)
    assert playbooks.run(*tasks, words=("--check",))[0] == ["changed", "changed"]
    assert playbooks.run(*tasks)[0] == ["changed", "changed"]
    assert playbooks.run(*tasks)[0] == ["ok", "ok"]
