"""Machines of the lab's vCenter arrive where their provider was given no way to disks: vSphere itself sends them."""

import pytest
from moves import TO, assert_moved, only_migration, state_of

from conftest import end_engine, with_both_clouds

# Small clouds show it every day: tests/flows/test_moves_by_export.py
pytestmark = [pytest.mark.lab, pytest.mark.soak]

TO_TINY = [*TO, "--landing", "unchanged", "-f", "json"]


@pytest.fixture
def cli(tmp_path, lab):
    cli = with_both_clouds(tmp_path / "state", lab, ("--transport", "export"))
    yield cli
    end_engine(cli)


def test_a_machine_is_moved_whole_and_boots(cli, tiny, sidedoor, cloud, tidy):
    done = cli("migrate", tiny.name, *TO_TINY)
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, only_migration(cli))
    assert shown["status"] == "done"
    assert_moved(sidedoor, cloud, tiny, shown)
    assert shown["result"]["bytes_verified"] > 0
    assert all(disk["root_digest"] for disk in shown["disks"])
    assert {entry["State"] for entry in cli.json("migration", "ledger", shown["id"])} == {"handed-over", "removed"}
    assert sidedoor.fingerprint()["open_leases"] == []


def test_a_dry_run_of_a_running_machine_leaves_both_sides_as_they_were(cli, tiny, sidedoor, nothing_left):
    done = cli("migrate", tiny.name, *TO_TINY, "--type", "dry-run", "--isolated")
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, only_migration(cli))
    assert (shown["status"], all(disk["root_digest"] for disk in shown["disks"])) == ("rehearsed", True)
