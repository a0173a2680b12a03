"""A machine as SLES is installed and snapper keeps it: its root is a default subvolume, with snapshots beside it.

Moved warm as it is, converted afterwards, then cold and converted on the way: one machine in one order, since each boot
of it takes a minute or two here.
"""

import pytest
from moves import TO, assert_moved, latest, only_migration, remove_servers, state_of, writing

from conftest import Guest

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(1800)]  # minutes each, without virtualisation


@pytest.fixture(scope="module")
def snapper01(sidedoor, lab, cloud):
    with writing(Guest("snapper01", "00:50:56:ab:cd:03"), sidedoor, lab, cloud) as guest:
        yield guest


def assert_at_home(seen):
    """It has its name and address, and has mounted all that its fstab says: none of it in a snapshot of the root."""
    assert {name: nic.addresses for name, nic in seen.nics.items()} == {"ens192": ("10.20.30.43/24",)}
    assert {"/", "/.snapshots", "/data", "/home", "/root", "/var"} <= set(seen.mounts)


def test_it_is_moved_warm_as_it_is(snapper01, shared_cli, sidedoor, cloud):
    done = shared_cli(
        "migrate", "snapper01", *TO, "--type", "warm", "--cutover", "automatic", "--landing", "as-is", timeout=1500
    )
    assert done.returncode == 0, done.stderr
    shown = state_of(shared_cli, latest(shared_cli, snapper01))
    seen = assert_moved(sidedoor, cloud, snapper01, shown, nics={"vmxnet3"}, disks={"ahci"})
    assert_at_home(seen)
    (system,) = shown["result"]["guest"]["systems"]  # the snapshots are none
    assert system["root"] == "/dev/sda1"


def test_it_is_converted_afterwards(snapper01, shared_cli, sidedoor, cloud):
    migration = latest(shared_cli, snapper01)
    done = shared_cli("migration", "convert", migration, "--wait", "--plain", timeout=1500)
    assert done.returncode == 0, done.stderr
    assert_at_home(assert_moved(sidedoor, cloud, snapper01, state_of(shared_cli, migration)))


def test_it_is_moved_cold_and_converted_on_the_way(snapper01, cli, sidedoor, cloud):
    remove_servers(cloud, snapper01)  # the source is off since it was moved
    done = cli("migrate", "snapper01", *TO, "--power", "on", timeout=1500)
    assert done.returncode == 0, done.stderr
    assert_at_home(assert_moved(sidedoor, cloud, snapper01, state_of(cli, only_migration(cli))))
