"""Machines that write all the time move from the lab's vCenter into its OpenStack, and prove that nothing is lost."""

import re
import shutil
import socket
import subprocess
import time
import uuid

import pytest
from look_around import ADDRESSES, FOUND, plant
from moves import READY, assert_moved, events, has_copied, kill_engine, only_migration, state_of, wait_until
from secrecy import watch_processes

from conftest import Guest, last_acknowledged, power_on, running_tiny, wait_for

pytestmark = pytest.mark.lab

DEBIAN = ("root.raw", "data.raw")
KEYSTONE = 5000  # its port in the lab
TO_TINY = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--landing=unchanged"]
TO_TINY += ["--boot-mark", READY, "--plain"]


@pytest.fixture(scope="module")
def machine(sidedoor, lab):
    """A tiny machine that is moved by one test after another cancelled."""
    with running_tiny(sidedoor, lab) as guest:
        yield guest


@pytest.fixture
def hostile(sidedoor, lab):
    """The Debian machine, running and writing, whose initramfs is made by a program of an attacker's."""
    name, mac = f"hostile-{uuid.uuid4().hex[:8]}", f"00:50:56:3f:{uuid.uuid4().hex[:2]}:{uuid.uuid4().hex[:2]}"
    guests = lab.root / "cache" / "guests"
    (guests / name).mkdir()
    try:
        for disk in DEBIAN:
            subprocess.run(["cp", "--sparse=always", guests / "debian" / disk, guests / name / disk], check=True)
        with socket.create_server(("127.0.0.1", 0)) as listener:  # something of this machine's own
            plant(guests / name / "root.raw", [listener.getsockname()[1], KEYSTONE])
            disks = [
                {"datastore": f"datastore{number}", "image": f"{name}/{disk}"} for number, disk in enumerate(DEBIAN, 1)
            ]
            sidedoor.add_machine("web01", name, disks=disks, nics=[{"network": "VM Network", "mac": mac}])
            power_on(lab, name)
            wait_for(lambda: last_acknowledged(sidedoor.console(name)) > 20, 300, f"{name} to boot and write")
            yield Guest(name, mac)
            sidedoor.remove_machines(name)
    finally:
        shutil.rmtree(guests / name)


@pytest.mark.soak  # small clouds show it every day, and a server's tests in the lab cancel
def test_cancelled_in_the_copy_everything_is_taken_back(cli, machine, sidedoor, nothing_left):
    sidedoor.set_read_speed(machine.name, 2001, 4)
    try:
        assert cli("migrate", machine.name, *TO_TINY).returncode == 0
        migration = only_migration(cli)
        wait_until(cli, migration, lambda shown, _: shown.phase == "copying", 180, "the copy to begin")
        done = cli("migration", "cancel", migration, "--wait", "--plain")
    finally:
        sidedoor.clear_trouble()
    assert done.returncode == 0, done.stderr
    assert state_of(cli, migration)["status"] == "cancelled"
    wait_for(lambda: sidedoor.machine(machine.name)["power"] == "poweredOn", 60, "the source to be on again")


@pytest.mark.soak  # so it is every day with disks that are read by ssh: test_ssh_transport
def test_killed_in_the_copy_it_goes_on_where_it_was_and_arrives_whole(cli, machine, sidedoor, cloud, tidy):
    wait_for(lambda: last_acknowledged(sidedoor.console(machine.name)) > 3, 120, "it to write after the cancel")
    sidedoor.set_read_speed(machine.name, 2001, 8)
    try:
        waiting = cli.start("migrate", machine.name, *TO_TINY, "--wait", "-f", "json")
        wait_for(lambda: cli.json("migration", "list"), 60, "the migration to be there")
        migration = only_migration(cli)
        wait_until(cli, migration, has_copied("2001", 24 << 20), 180, "the copy to be well on its way")
        time.sleep(6)  # a checkpoint is written every five seconds
        kill_engine(cli)
    finally:
        sidedoor.clear_trouble()
    _, seen_first = waiting.communicate(timeout=60)
    assert waiting.returncode != 0
    assert state_of(cli, migration)["status"] == "interrupted"
    done = cli("migration", "resume", migration, "--wait", "-f", "json")
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, migration)
    assert shown["status"] == "done"
    assert_moved(sidedoor, cloud, machine, shown)
    assert shown["result"]["bytes_read"] < sum(disk["size"] for disk in shown["disks"])
    assert shown["downtime_seconds"] > 0
    assert shown["result"]["bytes_verified"] > 0
    assert all(disk["root_digest"] for disk in shown["disks"])
    # the user sees each phase, the disks' progress, and nothing of it is on standard output
    for word in ("shutting-down", "snapshot", "copying", f"longshore migration resume {migration}"):
        assert word in seen_first
    for word in ("checking", "Hard disk 1: all of 256.0 MiB"):
        assert word in done.stderr
    assert {e["State"] for e in cli.json("migration", "ledger", migration)} == {"handed-over", "removed"}


@pytest.mark.alone  # the longest of all: begun with the others, it would still be at work when they are done
@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.soak)], ids=["unharmed", "killed"])
def test_hostile_debian_is_converted_and_arrives_whole(hostile, cli, sidedoor, cloud, tidy, lab, tmp_path, killed):
    """The whole path with a real distribution, and a power cut at its most delicate moment.

    It has a hook in its initramfs, which virt-v2v runs, that looks for what it can reach meanwhile; when it has booted
    it tells what that was.
    """
    tell = tmp_path / "tell"
    tell.write_text(f"sed 's/^/FOUND /' {FOUND}\n")
    watched = watch_processes([lab.vcenter_password, lab.tenant_password])
    to = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--boot-mark", READY]
    to += ["--first-boot", tell]
    done = cli("migrate", hostile.name, *to, "--storage", "datastore1=ceph")
    assert done.returncode == 0, done.stderr
    migration = only_migration(cli)
    if killed:
        wait_until(cli, migration, lambda shown, _: shown.phase == "converting", 900, "the conversion to begin")
        wait_until(cli, migration, lambda _, told: "Converting" in told, 600, "virt-v2v to write to the guest")
        kill_engine(cli)
        assert state_of(cli, migration)["status"] == "interrupted"
        done = cli("migration", "resume", migration, "--wait", "--plain", timeout=1500)
    else:
        done = cli("migration", "wait", migration, "--plain", timeout=1500)
    assert done.returncode == 0, done.stderr
    assert ("going back to the volumes' snapshots" in events(cli, migration)) == killed

    shown = state_of(cli, migration)
    seen = assert_moved(sidedoor, cloud, hostile, shown)
    assert set(seen.nics) == {"ens192"}
    assert seen.nics["ens192"].addresses == ("10.20.30.41/24",)
    assert {"/", "/data"} <= set(seen.mounts)
    assert shown["result"]["conversion"]["system"]["distribution"] == "debian"

    def looked():
        console = cloud.compute.get_server_console_output(shown["server_id"])["output"]
        return re.findall(r"FOUND (.*?)\r?$", console, re.MULTILINE)

    wait_for(lambda: "end" in looked(), 120, "it to tell what it reached while it was converted")
    assert len(looked()) == 2 * len(ADDRESSES) + 1  # it ran
    assert [line for line in looked() if "reached" in line] == []

    # No password anywhere: not in any process' words or environment meanwhile, nor in anything that was kept
    assert watched() == []
    for path in [p for p in cli.state.rglob("*") if p.is_file()]:
        held = path.read_bytes()
        for secret in (lab.vcenter_password, lab.tenant_password):
            assert secret.encode() not in held, path
    for kept in (done.stderr, done.stdout, str(cli.json("provider", "show", "vc")), events(cli, migration)):
        assert lab.vcenter_password not in kept
        assert lab.tenant_password not in kept
