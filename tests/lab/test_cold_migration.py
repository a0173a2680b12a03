"""Machines that write all the time move from the lab's vCenter into its OpenStack, and prove that nothing is lost."""

import time

import pytest
from moves import READY, assert_moved, events, kill_engine, only_migration, state_of
from secrecy import watch_processes

from conftest import last_acknowledged, wait_for

pytestmark = pytest.mark.lab

TO_TINY = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--landing=unchanged"]
TO_TINY += ["--boot-mark", READY, "--plain"]


def test_a_tiny_machine_is_moved_whole(cli, tiny, sidedoor, cloud, tidy):
    done = cli("migrate", tiny.name, *TO_TINY, "--wait", "-f", "json")
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, only_migration(cli))
    assert shown["status"] == "done"
    assert shown["downtime_seconds"] > 0
    assert shown["result"]["bytes_verified"] > 0
    assert all(disk["root_digest"] for disk in shown["disks"])
    assert_moved(sidedoor, cloud, tiny, shown)
    # the user sees each phase, the disks' progress, and nothing of it is on standard output
    for word in ("shutting-down", "snapshot", "copying", "checking", "Hard disk 1: all of 256.0 MiB"):
        assert word in done.stderr
    assert {e["State"] for e in cli.json("migration", "ledger", shown["id"])} == {"handed-over", "removed"}


def test_killed_in_the_copy_it_is_resumed_where_it_was(cli, tiny, sidedoor, cloud, tidy):
    sidedoor.set_read_speed(tiny.name, 2001, 8)
    try:
        done = cli("migrate", tiny.name, *TO_TINY)
        assert done.returncode == 0, done.stderr
        migration = only_migration(cli)

        def copied():
            disks = {d["key"]: d for d in state_of(cli, migration)["disks"]}
            return ((disks["2001"]["progress"] or {}).get("copied", 0)) > 24 << 20

        wait_for(copied, 180, "the copy to be well on its way")
        time.sleep(6)  # a checkpoint is written every five seconds
        kill_engine(cli)
    finally:
        sidedoor.clear_trouble()
    assert state_of(cli, migration)["status"] == "interrupted"
    done = cli("migration", "resume", migration, "--wait", "--plain")
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, migration)
    assert_moved(sidedoor, cloud, tiny, shown)
    disks = {d["key"]: d for d in shown["disks"]}
    assert shown["result"]["bytes_read"] < sum(d["size"] for d in disks.values())


def test_cancelled_in_the_copy_everything_is_taken_back(cli, tiny, sidedoor, nothing_left):
    sidedoor.set_read_speed(tiny.name, 2001, 4)
    try:
        assert cli("migrate", tiny.name, *TO_TINY).returncode == 0
        migration = only_migration(cli)
        wait_for(lambda: state_of(cli, migration)["phase"] == "copying", 180, "the copy to begin")
        done = cli("migration", "cancel", migration, "--wait", "--plain")
    finally:
        sidedoor.clear_trouble()
    assert done.returncode == 0, done.stderr
    assert state_of(cli, migration)["status"] == "cancelled"
    wait_for(lambda: sidedoor.machine(tiny.name)["power"] == "poweredOn", 60, "the source to be on again")


def test_debian_killed_in_its_conversion_arrives_whole(web01, cli, sidedoor, cloud, tidy, lab):
    """The whole path with a real distribution, and a power cut at its most delicate moment."""
    wait_for(lambda: last_acknowledged(sidedoor.console("web01")) > 20, 300, "web01 to boot and write")
    watched = watch_processes([lab.vcenter_password, lab.tenant_password])
    to = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--boot-mark", READY]
    done = cli("migrate", "web01", *to, "--storage", "datastore1=ceph")
    assert done.returncode == 0, done.stderr
    migration = only_migration(cli)
    wait_for(lambda: state_of(cli, migration)["phase"] == "converting", 300, "the conversion to begin")
    wait_for(lambda: "Converting" in events(cli, migration), 180, "virt-v2v to write to the guest")
    kill_engine(cli)
    assert state_of(cli, migration)["status"] == "interrupted"
    done = cli("migration", "resume", migration, "--wait", "--plain", timeout=1500)
    assert done.returncode == 0, done.stderr
    assert "going back to the volumes' snapshots" in events(cli, migration)

    shown = state_of(cli, migration)
    seen = assert_moved(sidedoor, cloud, web01, shown)
    assert set(seen.nics) == {"ens192"}
    assert seen.nics["ens192"].addresses == ("10.20.30.41/24",)
    assert {"/", "/data"} <= set(seen.mounts)
    assert shown["result"]["conversion"]["system"]["distribution"] == "debian"

    # No password anywhere: not in any process' words or environment meanwhile, nor in anything that was kept
    assert watched() == []
    for path in [p for p in cli.state.rglob("*") if p.is_file()]:
        held = path.read_bytes()
        for secret in (lab.vcenter_password, lab.tenant_password):
            assert secret.encode() not in held, path
    for kept in (done.stderr, done.stdout, str(cli.json("provider", "show", "vc")), events(cli, migration)):
        assert lab.vcenter_password not in kept
        assert lab.tenant_password not in kept
