"""A real distribution with two disks, writing to both all the time: rehearsed, moved warm in both landings, converted.

One machine in one order, since each boot of it takes a minute here: a dry run first, then warm as it is, then its
conversion, then warm once more with the conversion in the downtime. Every day a machine with UEFI is moved warm as it
is (test_uefi_moves), and this one cold with its conversion (test_cold_migration).
"""

import pytest
from moves import TO, assert_moved, events, latest, remove_server, state_of

from conftest import Guest, last_acknowledged, power_on, target_inventory, wait_for

pytestmark = [
    pytest.mark.lab,
    pytest.mark.soak,
    pytest.mark.timeout(1800),
]  # minutes each, without hardware virtualisation

WARM = ["--type", "warm", "--cutover", "automatic"]
WEB01 = Guest("web01", "00:50:56:ab:cd:01")
downtimes = {}


@pytest.fixture(scope="module")
def before(cloud, web01, sidedoor):
    """What the target had before this module's first test; `web01` runs and writes."""
    wait_for(lambda: last_acknowledged(sidedoor.console("web01")) > 20, 300, "web01 to boot and write")
    return target_inventory(cloud)


def migrated(cli, *words):
    done = cli("migrate", "web01", *TO, *words, timeout=1500)
    assert done.returncode == 0, done.stderr
    return state_of(cli, latest(cli, WEB01))


def test_its_dry_run_boots_a_converted_copy_while_it_writes_on(before, cli, sidedoor, cloud, nothing_left):
    began = last_acknowledged(sidedoor.console("web01"))
    shown = migrated(cli, "--type", "dry-run", "--isolated")
    assert shown["status"] == "rehearsed"
    assert "The guest is up on the target." in events(cli, shown["id"])
    assert sidedoor.machine("web01")["power"] == "poweredOn"
    assert last_acknowledged(sidedoor.console("web01")) > began
    assert {e["State"] for e in cli.json("migration", "ledger", shown["id"])} == {"removed"}
    assert shown["downtime_seconds"] is None


@pytest.fixture(scope="module")
def brought(shared_cli, before):
    """The state directory of the migration that brings web01 as it is, for its conversion later."""
    return shared_cli


def test_it_is_moved_warm_as_it_is(brought, sidedoor, cloud):
    shown = migrated(brought, *WARM, "--landing", "as-is")
    hardware = shown["result"]["conversion"]["hardware"]
    seen = assert_moved(sidedoor, cloud, WEB01, shown, nics={"vmxnet3"}, disks={"vmw_pvscsi", "virtio_blk"})
    assert hardware["nic_model"] == "vmxnet3"
    at_home(seen)
    downtimes["as it is"] = shown["downtime_seconds"]


def test_it_is_converted_afterwards(brought, sidedoor, cloud):
    landed = latest(brought, WEB01)
    done = brought("migration", "convert", landed, "--wait", "--plain", timeout=1500)
    assert done.returncode == 0, done.stderr
    shown = state_of(brought, landed)
    seen = assert_moved(sidedoor, cloud, WEB01, shown)  # on virtio now, and all records are still there
    at_home(seen)
    assert cloud.compute.get_server(shown["server_id"]).name == "web01"
    refused = brought("migration", "convert", landed)
    assert "has been converted already" in refused.stderr
    remove_server(cloud, shown["server_id"])


def test_it_is_moved_warm_and_converted_on_the_way(before, cli, sidedoor, cloud, lab, tidy, tmp_path, tell):
    script = tmp_path / "greet"
    script.write_text("echo greetings from $(hostname), booted for the first time\n")
    sidedoor.reset_machine("web01")
    power_on(lab, "web01")
    wait_for(lambda: last_acknowledged(sidedoor.console("web01")) > 20, 300, "web01 to boot and write")
    shown = migrated(cli, *WARM, "--first-boot", script)
    said = lambda: cloud.compute.get_server_console_output(shown["server_id"])["output"]  # noqa: E731
    wait_for(lambda: "greetings from web01, booted for the first time" in said(), 120, "the first-boot script")
    seen = assert_moved(sidedoor, cloud, WEB01, shown)
    at_home(seen)
    downtimes["converted"] = shown["downtime_seconds"]
    told = ", ".join(f"{landing} {seconds:.0f} s" for landing, seconds in downtimes.items())
    tell(f"Downtime of a warm migration: {told}")
    if "as it is" in downtimes:  # which another test has measured in the same run
        assert downtimes["as it is"] < downtimes["converted"]


def at_home(seen):
    """Its interface has its name and its static address, and both disks are where fstab says."""
    assert set(seen.nics) == {"ens192"}
    assert seen.nics["ens192"].addresses == ("10.20.30.41/24",)
    assert {"/", "/data"} <= set(seen.mounts)
