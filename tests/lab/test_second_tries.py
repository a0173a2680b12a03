"""A machine whose boot on the target isn't seen, as its mark is wrong, moves at the second try with the right one: what
was copied stays, and only what has changed since is copied.
"""

import pytest
from moves import READY, assert_moved, events, only_migration, state_of

from conftest import in_vcenter, last_acknowledged, wait_for

# Two boots each on the target; small clouds show it every day
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(3600)]

TO = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--landing=unchanged", "--wait", "--plain"]


def track_changes(lab, name):
    """As somebody does whose backups go by changed blocks; it begins with the next snapshot."""
    from pyVmomi import vim

    with in_vcenter(lab, name) as (machine, wait):
        wait(machine.ReconfigVM_Task(vim.vm.ConfigSpec(changeTrackingEnabled=True)))
        wait(machine.CreateSnapshot_Task(name="begin", memory=False, quiesce=False))
        wait(machine.RemoveAllSnapshots_Task())


@pytest.mark.parametrize("kind", ["warm", "cold-tracked", "cold"])
def test_what_was_copied_is_not_copied_again(tiny, cli, lab, sidedoor, cloud, tidy, tell, kind):
    if kind == "cold-tracked":
        track_changes(lab, tiny.name)
    how = ["--type", kind.partition("-")[0], "--boot-mark", "never shown", "--boot-timeout", "60"]
    how += ["--cutover", "automatic"] if kind == "warm" else []
    done = cli("migrate", tiny.name, *TO, *how, timeout=1200)
    assert done.returncode != 0
    migration = only_migration(cli)
    first = state_of(cli, migration)
    assert (first["status"], first["phase"]) == ("waits-with-copy", "waiting")
    if kind != "warm":
        assert f"longshore migration retry {migration} --wait" in done.stderr
    made = {e["Kind"] for e in cli.json("migration", "ledger", migration) if e["State"] == "made"}
    assert "volume" in made
    assert not made & {"server", "port"}
    known = last_acknowledged(sidedoor.console(tiny.name))
    wait_for(lambda: last_acknowledged(sidedoor.console(tiny.name)) > known, 300, "it to write on")

    done = cli("migration", "retry", migration, "--boot-mark", READY, "--wait", "--plain", timeout=1200)
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, migration)
    assert shown["status"] == "done"
    assert_moved(sidedoor, cloud, tiny, shown)
    size = sum(disk["size"] for disk in shown["disks"])
    *running, final = shown["syncs"][len(first["syncs"]) :]
    for sync in (*running, final):
        changed = "unknown" if sync["bytes_changed"] is None else f"{sync['bytes_changed'] >> 10} KiB"
        tell(f"{kind}: changed {changed}, read {sync['bytes_read'] >> 10} KiB in {sync['seconds']} s")
    tell(f"{kind}: {size >> 20} MiB in all, downtime {shown['downtime_seconds']:.0f} s")
    assert final["final"]
    # A cold one, too, whose changes nobody had tracked before: that began when it was off
    assert all(sync["bytes_read"] <= sync["bytes_changed"] < size / 4 for sync in (*running, final)), events(
        cli, migration
    )
    assert sum(sync["bytes_written"] for sync in (*running, final)) < size / 4
