"""Back to the vSphere machine after a failover: what the server has written comes home, and it boots there."""

import subprocess
import time

import pytest
from moves import seen_on, state_of
from test_protected_machines import TO, replica_until, sync

from conftest import last_acknowledged, target_inventory, wait_for

pytestmark = pytest.mark.lab

MUCH = 100 << 20  # bytes, where the guest has none of its records
LOAD_AREA, PATTERN = 8 << 20, "0xa7"


def boots(sidedoor, machine):
    """What the guest has told of itself where it came from, each time that it was powered on there."""
    import console as writer

    return writer.read(sidedoor.console(machine)).boots


def qemu_io(words, image, *options):
    done = subprocess.run(["qemu-io", *options, "-c", words, image], capture_output=True, text=True, check=True)
    assert "failed" not in done.stdout, done.stdout


def write_much(cloud, server):
    """To the server's data volume while it is off."""
    cloud.compute.stop_server(server)
    cloud.compute.wait_for_server(cloud.compute.get_server(server), status="SHUTOFF", wait=180)
    attached = sorted(cloud.compute.volume_attachments(server), key=lambda each: each.device)
    image = f"rbd:volumes/volume-{attached[1].volume_id}:id=cinder"
    qemu_io(f"write -P {PATTERN} {LOAD_AREA} {MUCH}", image, "-f", "raw")
    cloud.compute.start_server(server)
    cloud.compute.wait_for_server(cloud.compute.get_server(server), wait=180)


def fail_over(cli, tiny, sidedoor, cloud):
    """Fail a protected machine over. Return its server, which writes, and what it had told and how often it had booted
    at home."""
    done = cli("replica", "failover", tiny.name, "--planned")
    assert done.returncode == 0, done.stderr
    shown = replica_until(cli, tiny.name, lambda shown: shown.stage.value == "failed-over", 300, "it to fail over")
    server = cli.json("migration", "show", shown.failover)["server_id"]
    before = last_acknowledged(sidedoor.console(tiny.name)), len(boots(sidedoor, tiny.name))
    wait_for(lambda: seen_on(cloud, server).verified is not None, 120, "the server to write")
    return server, before


def fail_back(cli, tiny):
    """Return what the failback tells when it has ended."""
    done = cli("replica", "failback", tiny.name)
    assert done.returncode == 0, done.stderr
    shown = replica_until(cli, tiny.name, lambda shown: shown.stage.value == "failed-back", 600, "it to fail back")
    wait_for(lambda: state_of(cli, shown.failback)["status"] == "done", 60, "the failback to end")
    return state_of(cli, shown.failback)["result"]


def assert_much_came(sidedoor, tiny, result):
    assert MUCH <= result["bytes_written"] <= 1.3 * MUCH
    *_, data = sidedoor.machine(tiny.name)["chains"].values()
    qemu_io(f"read -P {PATTERN} {LOAD_AREA} {MUCH}", data[-1], "-U", "-r")


def assert_runs_at_home(cloud, sidedoor, tiny, server, before):
    """Assert that it has booted at home with all of its records, and its server is off. `before`: as `fail_over`."""
    acknowledged, lives = before
    assert cloud.compute.get_server(server).status == "SHUTOFF"
    assert sidedoor.machine(tiny.name)["power"] == "poweredOn"
    wait_for(
        lambda: len(boots(sidedoor, tiny.name)) > lives and boots(sidedoor, tiny.name)[-1].ready is not None,
        120,
        "the guest to verify its records",
    )
    seen = boots(sidedoor, tiny.name)[-1]
    assert (seen.verified.bad, seen.verified.last > acknowledged) == (0, True)
    assert {nic.mac for nic in seen.nics.values()} == {tiny.mac}


def commit_and_sync(cli, sidedoor, tiny):
    done = cli("replica", "commit", tiny.name)
    assert done.returncode == 0, done.stderr
    replica_until(cli, tiny.name, lambda shown: shown.stage.value == "protected", 180, "it to be committed")
    # Syncs go on at once, each with a snapshot of its own
    wait_for(lambda: sidedoor.machine(tiny.name)["snapshots"] == [], 60, "the failback's snapshot to go")
    sync(cli, tiny.name)
    points = [one for one in cli.json("replica", "point", "list", tiny.name) if one["State"] == "usable"]
    assert points[-1]["Changed"] is not None, "the machine tells again what has changed"


@pytest.mark.soak  # six minutes and more; small clouds show it every day
@pytest.mark.parametrize("much", [False, True], ids=["little", "much"])
def test_what_a_server_has_written_comes_home_and_boots_there(cli, tiny, sidedoor, cloud, tidy, tell, much):
    there = target_inventory(cloud)
    done = cli("replica", "create", tiny.name, *TO, "--every", "1h")
    assert done.returncode == 0, done.stderr
    replica_until(cli, tiny.name, lambda shown: shown.points == 1, 300, "its first point")
    server, before = fail_over(cli, tiny, sidedoor, cloud)
    time.sleep(10)  # of writing
    if much:
        write_much(cloud, server)
    result = fail_back(cli, tiny)
    tell(
        f"failback: {result['bytes_written'] / 1e6:.1f} MB written, {result['bytes_read'] / 1e6:.1f} MB read, "
        f"downtime {result['downtime_seconds']:.1f} s"
    )
    assert result["downtime_seconds"] <= 60
    if much:
        assert_much_came(sidedoor, tiny, result)
    assert_runs_at_home(cloud, sidedoor, tiny, server, before)
    commit_and_sync(cli, sidedoor, tiny)
    done = cli("replica", "delete", tiny.name)
    assert done.returncode == 0, done.stderr
    wait_for(lambda: target_inventory(cloud) == there, 120, "nothing to be left")
