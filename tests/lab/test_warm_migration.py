"""Warm migrations and dry runs in the lab: machines that write all the time, while they are copied."""

import time

import pytest
from moves import READY, assert_moved, events, kill_engine, only_migration, seen_on, state_of, wait_until

from conftest import last_acknowledged, target_inventory

pytestmark = pytest.mark.lab

TO_TINY = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--landing", "unchanged"]
TO_TINY += ["--boot-mark", READY]


def test_a_machine_that_writes_all_the_time_waits_for_its_cutover_through_a_killed_engine(
    cli, tiny, sidedoor, cloud, tidy
):
    began = last_acknowledged(sidedoor.console(tiny.name))
    done = cli("migrate", tiny.name, *TO_TINY, "--type", "warm", "--sync-every", "5")
    assert done.returncode == 0, done.stderr
    migration = only_migration(cli)
    wait_until(cli, migration, lambda shown, _: shown.phase == "waiting", 180, "it to wait")
    wait_until(cli, migration, lambda shown, _: len(shown.syncs) >= 2, 120, "a sync")
    kill_engine(cli)
    assert state_of(cli, migration)["status"] == "interrupted"
    known = len(state_of(cli, migration)["syncs"])
    assert cli("migration", "resume", migration).returncode == 0
    wait_until(cli, migration, lambda shown, _: len(shown.syncs) > known, 120, "it to sync on")
    assert sidedoor.machine(tiny.name)["power"] == "poweredOn"
    done = cli("migration", "cutover", migration, "--wait", "--plain")
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, migration)
    assert_moved(sidedoor, cloud, tiny, shown)  # with every write that was acknowledged before it was shut down
    assert last_acknowledged(sidedoor.console(tiny.name)) > began
    first, *later = shown["syncs"]
    assert first["bytes_verified"] == sum(disk["size"] for disk in shown["disks"])
    assert later[-1]["final"]
    for sync in later:  # what it wrote meanwhile, and no more
        assert 0 < sync["bytes_changed"] < first["bytes_verified"] / 4
        assert sync["bytes_verified"] > 0
    assert cli.json("machine", "show", "vc", tiny.name)["change_tracking"] is False  # as it was before
    assert "Change tracking of" in events(cli, migration)


@pytest.mark.soak  # small clouds show it every day
def test_tracking_that_is_reset_and_a_session_that_expires_lose_nothing(cli, tiny, sidedoor, cloud, tidy):
    done = cli("migrate", tiny.name, *TO_TINY, "--type", "warm", "--sync-every", "600")
    assert done.returncode == 0, done.stderr
    migration = only_migration(cli)
    wait_until(cli, migration, lambda shown, _: shown.phase == "waiting", 180, "it to wait")
    sidedoor.reset_change_tracking(tiny.name)
    sidedoor.expire_sessions()
    done = cli("migration", "cutover", migration, "--wait", "--plain")
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, migration)
    assert_moved(sidedoor, cloud, tiny, shown)
    assert "all of it is read and compared" in events(cli, migration)


def test_a_dry_run_leaves_the_machine_alone_and_nothing_behind(cli, tiny, sidedoor, cloud, nothing_left):
    before = last_acknowledged(sidedoor.console(tiny.name))
    done = cli("migrate", tiny.name, *TO_TINY, "--type", "dry-run", "--isolated", "--keep", "--wait", "--plain")
    assert done.returncode == 0, done.stderr
    migration = only_migration(cli)
    shown = state_of(cli, migration)
    assert shown["status"] == "rehearsed"
    copy = cloud.compute.get_server(shown["server_id"])
    assert copy.name == f"{tiny.name}-dry-run"
    assert list(copy.addresses) == [f"{tiny.name}-dry-run-private"]  # no other network
    (port,) = cloud.network.ports(device_id=copy.id)
    assert port.mac_address == tiny.mac
    assert seen_on(cloud, copy.id).verified.last >= before  # as of the moment of the snapshot
    assert sidedoor.machine(tiny.name)["power"] == "poweredOn"
    now = last_acknowledged(sidedoor.console(tiny.name))
    time.sleep(2)
    assert last_acknowledged(sidedoor.console(tiny.name)) > now  # it goes on writing
    done = cli("migration", "cleanup", migration)
    assert done.returncode == 0, done.stderr
    assert not [s for s in target_inventory(cloud)["servers"] if s == copy.id]
    assert {e["State"] for e in cli.json("migration", "ledger", migration)} == {"removed"}
