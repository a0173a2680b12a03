"""What a user sees of a vCenter's inventory, on a simulated one."""

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from in_process import longshore as command
from longshore.model.machine import Disk, Machine, OverSsh, PowerState, Unreadable
from longshore.model.platform import Platform
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


def test_what_matters_about_a_machine_stands_first_with_its_parts_in_tables_of_their_own(longshore):
    shown = longshore("machine", "show", "vc", "seen-web").stdout
    facts, disks, adapters, concerns, further = shown.split("\n\n")
    assert facts.count("\n") < 24, "it fits on a screen"
    assert re.search(r"\| tags +\| stage/production +\|", facts)
    assert "False" not in shown
    assert "[]" not in shown
    assert disks.startswith("Disks\n")
    assert re.search(r"\| Hard disk 1 +\| 3.0 GiB +\| datastore2 ", disks)
    assert adapters.startswith("Adapters\n")
    assert re.search(r"\| 00:50:56:[0-9a-f:]+ ", adapters)
    assert re.search(r"\| datacenter +\| DC0 ", further)
    assert "no way to read disks" in concerns, "the provider was added without a word on it"
    assert not re.search(r"\| +\|\n", further), "nothing is said of what there is nothing to say of"
    one = longshore("machine", "show", "vc", "seen-web", "-c", "power").stdout
    assert "Disks" not in one
    assert "power" in one


@pytest.fixture
def of_source(monkeypatch):
    """Have every source answer with one machine."""

    def answer(machine):
        source = SimpleNamespace(machine=lambda _word: machine, tags=lambda _refs: {})
        monkeypatch.setattr("longshore.flows.clouds.Clouds.source", lambda *_named: nullcontext(source))

    return answer


def test_what_stands_against_a_machine_is_a_table_of_its_own(tmp_path, of_source):
    disks, vsphere = (Disk("2000", "Hard disk 1", 0, 1 << 30, "[ds] web/web.vmdk", "ds"),), Platform("vsphere")
    web = Machine("vm-1", "web", PowerState.ON, 1, 256, disks, (), snapshots=("before",), platform=vsphere)
    of_source(web)
    shown = command(tmp_path, "machine", "show", "vc", "web").stdout
    (concerns,) = [part for part in shown.split("\n\n") if part.startswith("Concerns\n")]
    assert re.search(r"\| information +\| web has 1 snapshot.+ \| machine-has-snapshots +\|", concerns), concerns
    plain = json.loads(command(tmp_path, "machine", "show", "vc", "web", "-f", "json").stdout)
    assert plain["snapshots"] == ["before"]
    assert [(one["code"], one["only_warm"]) for one in plain["concerns"]] == [("machine-has-snapshots", False)]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (
            {"streamed": True},
            {"export-begins-anew": "warning", "export-copies-whole-disks": "blocker (warm)"},
        ),
        (
            {"over_ssh": OverSsh("esx1.lab", pinned=False, unreadable={"2000": Unreadable.LAYERS})},
            {
                "ssh-host-unknown": "blocker",
                "ssh-disk-has-layers": "blocker",
                "ssh-copies-whole-disks": "blocker (warm)",
            },
        ),
        ({"over_ssh": OverSsh("esx1.lab", pinned=True)}, {"ssh-copies-whole-disks": "blocker (warm)"}),
        ({}, {}),  # by the disk library, or through a proxy
    ],
)
def test_what_the_way_to_its_disks_costs_a_machine_stands_there_too(tmp_path, of_source, how, said):
    disks, vsphere = (Disk("2000", "Hard disk 1", 0, 1 << 30, "[ds] web/web.vmdk", "ds"),), Platform("vsphere")
    web = Machine("vm-1", "web", PowerState.ON, 1, 256, disks, (), change_tracking=True, platform=vsphere, **how)
    of_source(web)
    shown = command(tmp_path, "machine", "show", "vc", "web").stdout
    concerns = "".join(part for part in shown.split("\n\n") if part.startswith("Concerns\n"))
    assert {code: how for how, code in re.findall(r"\| ([a-z() ]+?) +\| .+ \| ([a-z-]+) +\|", concerns)} == said


def test_a_provider_says_how_its_machines_can_be_moved(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "old.raw").write_bytes(bytes(1 << 20))
    state = tmp_path / "state"
    assert command(state, "provider", "add", "files", "shelf", "--url", str(tmp_path / "images")).returncode == 0
    assert re.search(r"\| moves +\| dry-run, cold +\|", command(state, "provider", "show", "shelf").stdout)
    assert json.loads(command(state, "provider", "show", "shelf", "-f", "json").stdout)["moves"] == ["dry-run", "cold"]


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


def test_nothing_is_said_of_a_warm_move_of_what_never_runs(tmp_path, of_source):
    disks = (Disk("1", "Disk 1", 0, 1 << 30, "a.raw", "files"),)
    of_source(Machine("a.raw", "a", PowerState.OFF, 1, 256, disks, (), platform=Platform("files")))
    assert "Concerns" not in command(tmp_path, "machine", "show", "shelf", "a").stdout
