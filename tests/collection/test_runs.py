"""Plans that playbooks run: two machines, broken off in the middle, and again."""

import os
import signal

import pytest
from modules import Modules
from playbooks import SECRET, Playbooks, task
from small_fleet import Fleet
from stand import command, environment
from waiting import wait_for

pytestmark = pytest.mark.long

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
def known(tmp_path):
    return environment(tmp_path, NAMES)


@pytest.fixture
def modules(tmp_path, known):
    with Modules(tmp_path, command(tmp_path), known) as modules:
        yield modules


def servers_made(place):
    fleet = Fleet(place / "fleet")
    return {name: fleet.world(name).calls().count("create_server") for name in NAMES}


@pytest.mark.turns("playbooks")
def test_a_playbook_that_is_killed_in_the_middle_and_run_again_ends_the_same(known, tmp_path):
    playbooks = Playbooks(tmp_path, {"state_dir": known["LONGSHORE_STATE"], "command": str(command(tmp_path))}, known)
    told, said = playbooks.run(*KNOWN, RUN, words=("--check", "--diff"))
    assert told == ["changed"] * 4, said
    assert servers_made(tmp_path) == dict.fromkeys(NAMES, 0)
    holds = tmp_path / "world" / "takes-long"
    holds.touch()
    fleet = Fleet(tmp_path / "fleet")
    with playbooks.under_way(*KNOWN, RUN) as play:
        wait_for(lambda: any("create_volume" in calls for calls in fleet.calls().values()), play, 600)
    os.kill(int((tmp_path / "state" / "engine.pid").read_text()), signal.SIGKILL)  # as the host's end would
    holds.unlink()
    told, said = playbooks.run(*KNOWN, RUN, {**RUN, "check_mode": True})
    assert told == ["ok"] * 5, "it goes on as it was begun"
    assert servers_made(tmp_path) == dict.fromkeys(NAMES, 1)
    found = playbooks.inventory(keyed_groups=[{"key": "longshore.plan", "prefix": "plan"}])
    assert sorted(found["plan_pair"]["hosts"]) == list(NAMES)
    hosts = found["_meta"]["hostvars"]
    assert [hosts[name]["longshore"]["wave"] for name in NAMES] == [1, 2]


@pytest.mark.turns("playbooks")
def test_a_machine_is_copied_warm_and_cut_over_when_that_is_asked_for(modules):
    (modules.place / "fleet" / "app02" / "one-moment").touch()  # it runs on while its copy is tried
    plan = task("plan", name="pair", plan={**PLAN, "machines": [{"machine": name} for name in NAMES]})
    warm = task("plan_run", name="pair", machines=["app01"], type="warm")
    cut_over = task("plan_run", name="pair", machines=["app01"], state="cut_over")
    tried = task("plan_run", name="pair", machines=["app02"], type="dry-run")
    told, said = modules.run(*KNOWN[:2], plan, warm, tried)
    assert told == ["changed"] * 5, said
    told, said = modules.run(warm, tried, cut_over, check=True)
    assert told == ["ok", "ok", "changed"]
    assert said[2]["diff"]["after"] == {"app01": "cut_over"}
    told, said = modules.run(cut_over, warm, task("plan_info", name="pair"))
    assert told == ["changed", "ok", "ok"]
    stand = [machine["status"] for machine in said[2]["plans"][0]["machines"]]
    assert stand == ["done", "rehearsed"], "nothing of the other machine was moved"
    told, (said,) = modules.run(task("plan_run", name="pair", machines=["app02"], state="cut_over"))
    assert told == ["fatal"]
    assert said["msg"] == "Nothing of app02 is under way to be cut over."


@pytest.mark.turns("playbooks")
def test_what_has_failed_is_told_and_tried_again(modules):
    world = Fleet(modules.place / "fleet").world("app01")
    world.plan_fault("create_server", 1, "before", "error", stays=True)
    told, said = modules.run(*KNOWN, RUN)
    assert told == ["changed"] * 3 + ["fatal"]
    assert said[3]["msg"].startswith("Plan pair: 1 of 2 aren't moved. app01: ")
    world.lift_faults()
    assert modules.run(RUN, RUN, task("plan_run", name="pair", state="cancelled"))[0] == ["changed", "ok", "ok"]
