"""Ansible's collection: a playbook adds both clouds and moves two machines, is killed in the middle, and run again."""

import os
import sys

import pytest
from lanes import PROJECT
from moves import READY, assert_moved, kill_engine

from conftest import LONGSHORE, USER, Cli, end_engine, wait_for

sys.path.append(str(PROJECT / "tests" / "collection"))

from playbooks import Playbooks, task

pytestmark = pytest.mark.lab


def tasks(lab, pair):
    """What a team has in its repository: where the machines are, where they go to, and which they are."""
    login = {name: value for name, value in lab.cloud["auth"].items() if name != "password"}
    of_cloud = {"auth": login, "region": lab.cloud.get("region_name"), "cacert": lab.cloud.get("cacert")}
    source = {
        "host": lab.vcenter,
        "username": USER,
        "fingerprint": lab.fingerprint(),
        "vddk_libdir": str(lab.vddk),
    }
    plan = {
        "source": "vc",
        "target": "cloud",
        "mappings": {"networks": {"VM Network": "private"}},
        "defaults": {"landing": "unchanged", "boot_mark": READY},
        "machines": [{"machine": guest.name, "wave": number} for number, guest in enumerate(pair, 1)],
    }
    return (
        task("provider", name="vc", kind="vsphere", settings=source, secrets={"password": lab.vcenter_password}),
        task(
            "provider",
            name="cloud",
            kind="openstack",
            settings={name: value for name, value in of_cloud.items() if value is not None},
            secrets={"password": lab.tenant_password},
        ),
        task("plan", name="pair", plan=plan),
        task("plan_run", name="pair", timeout=1),
    )


@pytest.fixture
def cli(tmp_path):
    """Yield a command that knows no cloud yet."""
    cli = Cli(tmp_path / "state")
    yield cli
    end_engine(cli)


@pytest.mark.turns("others' programs")
def test_two_machines_are_moved_by_a_playbook_that_is_killed_once_and_changes_nothing_then(
    cli, lab, pair, sidedoor, cloud, tidy, tmp_path
):
    reached = {"state_dir": str(cli.state), "command": str(LONGSHORE)}
    known = {name: value for name, value in os.environ.items() if not name.startswith(("LONGSHORE_", "OS_"))}
    playbooks = Playbooks(tmp_path, reached, known, secrets=(lab.vcenter_password, lab.tenant_password))
    asked = tasks(lab, pair)
    told, said = playbooks.run(*asked, words=("--check", "--diff"))
    assert told == ["changed"] * 4, said
    assert cli.json("provider", "list") == []
    with playbooks.under_way(*asked) as play:
        wait_for(lambda: play.poll() is not None or (cli.state / "engine.pid").exists(), 900, "an engine")
        assert play.poll() is None, (tmp_path / "killed.log").read_text()
    kill_engine(cli)
    told, said = playbooks.run(*asked)
    assert told == ["ok"] * 4, said
    assert playbooks.run(*asked)[0] == ["ok"] * 4
    report = cli.json("plan", "report", "pair")
    shown = {machine["machine"]: machine["report"] for machine in report["machines"]}
    for guest in pair:
        assert_moved(sidedoor, cloud, guest, shown[guest.name])
    assert len(cli.json("migration", "list")) == len(pair), "nothing was begun twice"
    hosts = playbooks.inventory(floating=True)["_meta"]["hostvars"]
    assert sorted(hosts) == sorted(guest.name for guest in pair)
    for guest in pair:
        server = cloud.compute.get_server(hosts[guest.name]["longshore"]["server_id"])
        (port,) = cloud.network.ports(device_id=server.id)
        assert hosts[guest.name]["ansible_host"] == port.fixed_ips[0]["ip_address"]
