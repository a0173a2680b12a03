"""What a user sees of a vCenter's inventory, on a simulated one."""

import json
import os
import pty
import subprocess
import sys

import pytest

from in_process import longshore as command
from longshore.providers.vsphere.certificate import fetch_fingerprint


@pytest.fixture(scope="module")
def longshore(paper, tmp_path_factory):
    directory = tmp_path_factory.mktemp("machines")
    password = directory / "password"
    password.write_text(paper.password)

    def run(*words):
        return command(directory / "state", *words)

    place = {"datacenter": "DC0", "cluster": "cluster1", "folder": "web"}
    disks = [{"datastore": "datastore2", "capacity": 3 << 30}]
    paper.sidedoor.add_paper_machines(3, prefix="seen")
    paper.sidedoor.add_machine("seen00001", "seen-web", **place, disks=disks, tags=["stage/production"], attributes={})
    address = ["--host", paper.host, "--port", str(paper.port), "--username", paper.user]
    pinned = ["--fingerprint", fetch_fingerprint(paper.host, paper.port), "--password-file", str(password)]
    added = run("provider", "add", "vsphere", "vc", *address, *pinned)
    assert added.returncode == 0, added.stderr
    yield run
    paper.sidedoor.remove_machines("seen-web")  # the vCenter is everybody's


def listed(done):
    assert (done.returncode, done.stderr) == (0, "")  # nobody watches, so nothing is said of how far it is
    return [row["Name"] for row in json.loads(done.stdout)]


def test_machines_are_listed_by_folder_tag_and_pattern(longshore):
    assert listed(longshore("machine", "list", "vc", "--name", "seen*", "-f", "json")) == [
        "seen00001",
        "seen00002",
        "seen00003",
        "seen-web",
    ]
    assert listed(longshore("machine", "list", "vc", "--tag", "production", "--name", "seen*", "-f", "json")) == [
        "seen-web"
    ]


def test_somebody_who_waits_sees_how_far_it_is(longshore, monkeypatch):
    """On a terminal, and only there; what is done sooner than two seconds shows nothing."""
    master, slave = pty.openpty()
    code = (
        "from longshore.cli import counting; counting.PATIENCE = 0.2\n"
        "with counting.counting('Reading') as told: told(1000, 3000); input()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=slave) as reading:
        os.close(slave)
        said = ""
        while "1000/3000" not in said:
            said += os.read(master, 1 << 16).decode()  # an error once it has ended without
        reading.communicate(b"\n", timeout=60)
    os.close(master)


def test_a_machine_is_shown_with_its_tags(longshore):
    shown = json.loads(longshore("machine", "show", "vc", "seen-web", "-f", "json").stdout)
    assert shown["tags"] == ["stage/production"]
    assert shown["datacenter"] == "DC0"
    assert "power: " in longshore("machine", "show", "vc", "seen-web", "-f", "yaml").stdout


def test_the_inventory_is_listed(longshore):
    done = longshore("inventory", "list", "vc", "-f", "json")
    assert done.returncode == 0, done.stderr
    everything = json.loads(done.stdout)
    assert {row["Name"]: row["About"] for row in everything}["Backend"] == "distributed, VLAN 30, DSwitch1"
    assert {row["Kind"] for row in everything} == {
        "datacenter",
        "cluster",
        "host",
        "folder",
        "pool",
        "datastore",
        "network",
    }


def test_what_is_not_there_is_one_sentence(longshore):
    done = longshore("machine", "list", "vc", "--tag", "gold")
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert 'has no tag "gold"' in line
