"""A vCenter that stays away, in the middle of a copy, for longer than a migration waits: what it has is kept."""

import subprocess
import time

import pytest
from moves import READY, assert_moved, events, has_copied, only_migration, state_of, wait_until
from test_vcenter_honest import SERVER

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.alone]  # the vCenter is taken away from all

RATE = 8  # MiB/s that each connection to the source's disk reads
CHECKPOINT = 5.0  # seconds from one to the next
# An engine that gives a cloud up after seconds, not after half an hour
HURRIED = "import longshore.engine.outages as outages\noutages.LONGEST = outages.BRIEFLY = 15.0\n"


def test_it_is_parked_and_goes_on_from_its_checkpoint(cli, tiny, sidedoor, cloud, tidy, tmp_path):
    hurried = tmp_path / "hurried"
    hurried.mkdir()
    (hurried / "sitecustomize.py").write_text(HURRIED)
    cli.environment["PYTHONPATH"] = str(hurried)
    sidedoor.set_read_speed(tiny.name, 2001, RATE)
    to = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--landing=unchanged"]
    done = cli("migrate", tiny.name, *to, "--boot-mark", READY)
    assert done.returncode == 0, done.stderr
    migration = only_migration(cli)
    wait_until(cli, migration, has_copied("2001", 24 << 20), 180, "the copy to be well on its way")
    time.sleep(CHECKPOINT + 1)
    sidedoor.plan_read_error(tiny.name, 2001, 200 << 20, times=0)  # copies under way end, too
    subprocess.run([SERVER / "stop"], check=True)
    try:
        wait_until(cli, migration, lambda shown, _: shown.status == "parked", 180, "it to be parked")
        (kept,) = (disk["progress"]["copied"] for disk in state_of(cli, migration)["disks"] if disk["key"] == "2001")
        assert "vc" in events(cli, migration)
    finally:
        subprocess.run([SERVER / "start"], check=True)
        sidedoor.clear_trouble()
    done = cli("migration", "resume", migration, "--wait", "--plain")
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, migration)
    assert shown["status"] == "done"
    assert_moved(sidedoor, cloud, tiny, shown)
    sizes = sum(disk["size"] for disk in shown["disks"])
    assert kept > 24 << 20
    assert shown["result"]["bytes_read"] <= sizes + (RATE << 20) * (CHECKPOINT + 2)
