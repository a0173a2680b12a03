"""Machines move from the lab's vCenter without VMware's disk library: their disks are files of the ESXi hosts."""

import ssl

import pytest
from moves import READY, assert_moved, kill_engine, only_migration, state_of, wait_until
from pyVim.connect import Disconnect, SmartConnect
from pyVim.task import WaitForTask
from pyVmomi import vim
from secrecy import files, watch_processes, where_found

from conftest import USER, end_engine, refused, wait_for, with_both_clouds

pytestmark = pytest.mark.lab

TO_TINY = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--landing=unchanged"]
TO_TINY += ["--boot-mark", READY, "--plain"]


def over_ssh(lab, host_keys=None):
    return (
        *("--transport", "ssh", "--ssh-key-file", lab.ssh / "id_ed25519"),
        *("--ssh-host-key", host_keys or lab.ssh / "known_hosts"),
    )


@pytest.fixture
def cli(tmp_path, lab):
    cli = with_both_clouds(tmp_path / "state", lab, over_ssh(lab))
    yield cli
    end_engine(cli)


def test_the_hosts_are_asked_when_it_is_checked(cli):
    found = cli.json("provider", "check", "vc")
    assert found["ssh"] == "esx1.lab, esx2.lab, esx3.lab"
    assert "ssh_refused" not in found
    assert found["hosts"] == "8.0.2 (3)"


@pytest.mark.soak
def test_a_tiny_machine_is_moved_whole_and_nobody_sees_the_key(cli, tiny, sidedoor, cloud, tidy, lab):
    secret = (lab.ssh / "id_ed25519").read_text().splitlines()[2]
    watched = watch_processes([secret])
    done = cli("migrate", tiny.name, *TO_TINY, "--wait", "-f", "json")
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, only_migration(cli))
    assert shown["status"] == "done"
    assert_moved(sidedoor, cloud, tiny, shown)
    assert shown["result"]["bytes_verified"] > 0
    # No file tells where it has holes: all of it is read, and what is zero isn't written
    assert shown["result"]["bytes_read"] == sum(disk["size"] for disk in shown["disks"])
    assert shown["result"]["bytes_written"] < shown["result"]["bytes_read"] / 4
    assert watched() == []
    assert where_found(files(cli.state), [secret]) == []


@pytest.mark.turns("ways to disks")
def test_killed_in_the_copy_it_is_resumed_where_it_was(cli, tiny, sidedoor, cloud, tidy):
    waiting = cli.start("migrate", tiny.name, *TO_TINY, "--rate-limit", "4M", "--wait", "-f", "json")
    wait_for(lambda: cli.json("migration", "list"), 60, "the migration to be there")
    migration = only_migration(cli)

    def checkpoints():
        directory = cli.state / "migrations" / migration
        return sum(path.stat().st_size > 0 for path in directory.glob("copy-*.checkpoint"))

    def well_on_its_way(shown, _):
        read = min((disk.progress or {}).get("done", 0) for disk in shown.disks)
        return read > 48 << 20 and checkpoints() == 2

    wait_until(cli, migration, well_on_its_way, 180, "both disks to be well on their way")
    kill_engine(cli)
    _, seen_first = waiting.communicate(timeout=60)
    assert waiting.returncode != 0
    assert state_of(cli, migration)["status"] == "interrupted"
    done = cli("migration", "resume", migration, "--wait", "-f", "json")
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, migration)
    assert shown["status"] == "done"
    assert_moved(sidedoor, cloud, tiny, shown)
    assert shown["result"]["bytes_read"] < sum(disk["size"] for disk in shown["disks"]) - (40 << 20)
    assert shown["downtime_seconds"] > 0
    assert shown["result"]["bytes_verified"] > 0
    assert all(disk["root_digest"] for disk in shown["disks"])
    # the user sees each phase, the disks' progress, and nothing of it is on standard output
    for word in ("shutting-down", "snapshot", "copying", f"longshore migration resume {migration}"):
        assert word in seen_first
    for word in ("checking", "Hard disk 1: all of 256.0 MiB"):
        assert word in done.stderr
    assert {e["State"] for e in cli.json("migration", "ledger", migration)} == {"handed-over", "removed"}


@pytest.mark.soak
def test_a_running_machine_is_copied_for_a_dry_run_and_never_moved_warm(cli, tiny, sidedoor, nothing_left):
    warm = refused(cli("migrate", tiny.name, *TO_TINY, "--type", "warm", "--wait"), "can't be moved warm")
    assert "Move it cold" in warm
    done = cli("migrate", tiny.name, *TO_TINY, "--type", "dry-run", "--isolated", "--wait")
    assert done.returncode == 0, done.stderr
    assert sidedoor.machine(tiny.name)["power"] == "poweredOn"


@pytest.mark.soak
def test_a_copy_whose_snapshot_somebody_removes_counts_for_nothing(cli, tiny, lab, sidedoor, nothing_left):
    """The file can be read on, but the machine writes to it again."""
    assert cli("migrate", tiny.name, *TO_TINY, "--type", "dry-run", "--isolated", "--rate-limit", "4M").returncode == 0
    migration = only_migration(cli)
    wait_until(cli, migration, lambda shown, _: shown.phase == "copying", 180, "the copy to begin")
    remove_snapshots(lab, tiny.name)
    wait_until(cli, migration, lambda shown, _: shown.status == "failed", 180, "the migration to fail")
    assert "is gone" in state_of(cli, migration)["error"]


@pytest.mark.soak
def test_a_host_with_another_key_is_known_before_the_machine_is_stopped(lab, tmp_path, tiny, sidedoor, nothing_left):
    """tiny is on esx1.lab, for which the key of another host is pinned."""
    keys = dict(line.split(" ", 1) for line in (lab.ssh / "known_hosts").read_text().splitlines())
    keys["esx1.lab"] = keys["esx2.lab"]
    pinned = tmp_path / "known_hosts"
    pinned.write_text("".join(f"{host} {key}\n" for host, key in keys.items()))
    cli = with_both_clouds(tmp_path / "state", lab, over_ssh(lab, pinned))
    try:
        found = cli.json("provider", "check", "vc")
        assert found["ssh"] == "esx2.lab, esx3.lab"
        assert "esx1.lab shows another SSH host key than the one that is pinned" in found["ssh_refused"]
        refused(cli("migrate", tiny.name, *TO_TINY, "--wait"), "esx1.lab shows another SSH host key")
        assert sidedoor.machine(tiny.name)["power"] == "poweredOn"
    finally:
        end_engine(cli)


def remove_snapshots(lab, name):
    """As somebody does who tidies up in vCenter."""
    context = ssl.create_default_context(cafile=lab.root / "etc" / "vcenter.crt")
    si = SmartConnect(host="vcenter.lab", user=USER, pwd=lab.vcenter_password, sslContext=context)
    try:
        content = si.RetrieveContent()
        view = content.viewManager.CreateContainerView(content.rootFolder, [vim.VirtualMachine], True)
        machine = next(m for m in view.view if m.name == name)
        WaitForTask(machine.RemoveAllSnapshots_Task(), si=si)
    finally:
        Disconnect(si)
