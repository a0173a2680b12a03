"""Plans that playbooks run: two machines, broken off in the middle, and again."""

import os
import signal

import pytest
from playbooks import BIN, SECRET, Playbooks, task
from small_fleet import Fleet
from stand import environment
from waiting import wait_for

NAMES = ("app01", "app02")
PLAN = {
    "source": "vc",
    "target": "cloud",
    "mappings": {"networks": {"VM Network": "private"}},
    "defaults": {"boot_timeout": 20, "shutdown_timeout": 5},
    "machines": [{"machine": "app01"}, {"machine": "app02", "wave": 2}],
}
KNOWN = (
    task(
        "provider", name="vc", kind="vsphere", settings={"host": "vc", "username": "me"}, secrets={"password": SECRET}
    ),
    task(
        "provider",
        name="cloud",
        kind="openstack",
        settings={"auth": {"auth_url": "http://cloud", "username": "ann", "project_name": "red"}},
        secrets={"password": SECRET},
    ),
    task("plan", name="pair", plan=PLAN),
)
RUN = task("plan_run", name="pair")


@pytest.fixture
def playbooks(tmp_path):
    return Playbooks(
        tmp_path,
        {"state_dir": str(tmp_path / "state"), "command": str(BIN / "longshore")},
        environment(tmp_path, NAMES),
    )


def servers_made(playbooks):
    fleet = Fleet(playbooks.place / "fleet")
    return {name: fleet.world(name).calls().count("create_server") for name in NAMES}


def test_a_playbook_that_is_killed_in_the_middle_and_run_again_ends_the_same(playbooks):
    told, said = playbooks.run(*KNOWN, RUN, words=("--check", "--diff"))
    assert told == ["changed"] * 4, said
    assert servers_made(playbooks) == dict.fromkeys(NAMES, 0)
    assert playbooks.run(*KNOWN)[0] == ["changed"] * 3
    holds = playbooks.place / "world" / "takes-long"
    holds.touch()
    fleet = Fleet(playbooks.place / "fleet")
    with playbooks.under_way(*KNOWN, RUN) as play:
        wait_for(lambda: any("create_volume" in calls for calls in fleet.calls().values()), play, 600)
    os.kill(int((playbooks.place / "state" / "engine.pid").read_text()), signal.SIGKILL)  # as the host's end would
    holds.unlink()
    told, said = playbooks.run(*KNOWN, RUN)
    assert told == ["ok"] * 4, "it goes on as it was begun"
    assert playbooks.run(*KNOWN, RUN, words=("--check",))[0] == ["ok"] * 4
    assert servers_made(playbooks) == dict.fromkeys(NAMES, 1)
    found = playbooks.inventory(keyed_groups=[{"key": "longshore.plan", "prefix": "plan"}])
    assert sorted(found["plan_pair"]["hosts"]) == list(NAMES)
    hosts = found["_meta"]["hostvars"]
    assert [hosts[name]["longshore"]["wave"] for name in NAMES] == [1, 2]


def test_a_machine_is_copied_warm_and_cut_over_when_that_is_asked_for(playbooks):
    (playbooks.place / "fleet" / "app02" / "one-moment").touch()  # it runs on while its copy is tried
    plan = task("plan", name="pair", plan={**PLAN, "machines": [{"machine": name} for name in NAMES]})
    warm = task("plan_run", name="pair", machines=["app01"], type="warm")
    cut_over = task("plan_run", name="pair", machines=["app01"], state="cut_over")
    tried = task("plan_run", name="pair", machines=["app02"], type="dry-run")
    assert playbooks.run(*KNOWN[:2], plan, warm, tried)[0] == ["changed"] * 5
    told, said = playbooks.run(warm, tried, cut_over, words=("--check", "--diff"))
    assert told == ["ok", "ok", "changed"]
    assert "cut_over" in said
    info = task("plan_info", name="pair") | {"register": "found"}
    shown = {"ansible.builtin.debug": {"msg": "{{ found.plans[0].machines | map(attribute='status') | join(' ') }}"}}
    told, said = playbooks.run(cut_over, warm, info, shown)
    assert told == ["changed", "ok", "ok", "ok"]
    assert "done rehearsed" in said, "nothing of the other machine was moved"
    told, said = playbooks.run(task("plan_run", name="pair", machines=["app02"], state="cut_over"), fails=True)
    assert "Nothing of app02 is under way to be cut over." in said


def test_what_has_failed_is_told_and_tried_again(playbooks):
    world = Fleet(playbooks.place / "fleet").world("app01")
    world.plan_fault("create_server", 1, "before", "error", stays=True)
    told, said = playbooks.run(*KNOWN, RUN, fails=True)
    assert told == ["changed"] * 3 + ["fatal"]
    assert "Plan pair: 1 of 2 aren't moved. app01: " in said
    world.lift_faults()
    assert playbooks.run(RUN)[0] == ["changed"]
    assert playbooks.run(RUN, task("plan_run", name="pair", state="cancelled"))[0] == ["ok", "ok"]
