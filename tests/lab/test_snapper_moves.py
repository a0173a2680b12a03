"""A machine as SLES is installed and snapper keeps it: its root is a default subvolume, with snapshots beside it.

Moved warm as it is, converted afterwards, then cold and converted on the way: one machine in one order, since each boot
of it takes a minute or two here.
"""

import pytest
from moves import READY, assert_moved, only_migration, remove_server, state_of

from conftest import Guest, booted_afresh, last_acknowledged, wait_for

pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(1800)]  # minutes each, without virtualisation

TO = ["--from", "vc", "--to", "cloud", "--network", "VM Network=private", "--boot-mark", READY, "--wait", "--plain"]


@pytest.fixture(scope="module")
def snapper01(sidedoor, lab, cloud):
    """Running and writing. Its server on the target goes at the end, whoever has made it."""
    with booted_afresh(Guest("snapper01", "00:50:56:ab:cd:03"), sidedoor, lab, cloud) as guest:
        wait_for(lambda: last_acknowledged(sidedoor.console(guest.name)) > 20, 600, "snapper01 to boot and write")
        yield guest
        remove_servers(cloud, guest)


def remove_servers(cloud, guest):
    for server in cloud.compute.servers(name=f"^{guest.name}$"):
        remove_server(cloud, server.id)


def latest(cli):
    return cli.json("migration", "list", "--machine", "snapper01")[-1]["ID"]


def assert_at_home(seen):
    """It has its name and address, and has mounted all that its fstab says: none of it in a snapshot of the root."""
    assert {name: nic.addresses for name, nic in seen.nics.items()} == {"ens192": ("10.20.30.43/24",)}
    assert {"/", "/.snapshots", "/data", "/home", "/root", "/var"} <= set(seen.mounts)


def test_it_is_moved_warm_as_it_is(snapper01, shared_cli, sidedoor, cloud):
    done = shared_cli(
        "migrate", "snapper01", *TO, "--type", "warm", "--cutover", "automatic", "--landing", "as-is", timeout=1500
    )
    assert done.returncode == 0, done.stderr
    shown = state_of(shared_cli, latest(shared_cli))
    seen = assert_moved(sidedoor, cloud, snapper01, shown, nics={"vmxnet3"}, disks={"ahci"})
    assert_at_home(seen)
    (system,) = shown["result"]["guest"]["systems"]  # the snapshots are none
    assert system["root"] == "/dev/sda1"


def test_it_is_converted_afterwards(snapper01, shared_cli, sidedoor, cloud):
    migration = latest(shared_cli)
    done = shared_cli("migration", "convert", migration, "--wait", "--plain", timeout=1500)
    assert done.returncode == 0, done.stderr
    assert_at_home(assert_moved(sidedoor, cloud, snapper01, state_of(shared_cli, migration)))


def test_it_is_moved_cold_and_converted_on_the_way(snapper01, cli, sidedoor, cloud):
    remove_servers(cloud, snapper01)  # the source is off since it was moved
    done = cli("migrate", "snapper01", *TO, timeout=1500)
    assert done.returncode == 0, done.stderr
    assert_at_home(assert_moved(sidedoor, cloud, snapper01, state_of(cli, only_migration(cli))))
