"""A machine that boots by UEFI with secure boot, its root in a btrfs subvolume: moved warm as it is, converted, cold.

One machine in one order, since each boot of it takes a minute or two here. Its loader is in \\EFI\\debian only, where
the variables of its firmware name it; those stay behind.
"""

import pytest
from moves import TO, assert_moved, events, latest, only_migration, remove_servers, state_of, writing

from conftest import Guest

# Many minutes each, without hardware virtualisation
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(1800)]

SECURE = {"hw_firmware_type": "uefi", "hw_machine_type": "q35", "os_secure_boot": "required"}


@pytest.fixture(scope="module")
def uefi01(sidedoor, lab, cloud):
    with writing(Guest("uefi01", "00:50:56:ab:cd:02"), sidedoor, lab, cloud) as guest:
        yield guest


def assert_secure_and_at_home(cloud, server_id, seen):
    """Secure boot as the guest itself sees it; its interface has its name and address; root is the subvolume's."""
    assert (seen.firmware, seen.secure_boot) == ("uefi", True)
    assert {name: nic.addresses for name, nic in seen.nics.items()} == {"ens192": ("10.20.30.42/24",)}
    assert {"/", "/data", "/boot/efi"} <= set(seen.mounts)
    (root,) = [
        volume
        for attached in cloud.compute.volume_attachments(server_id)
        if (volume := cloud.block_storage.get_volume(attached.volume_id)).is_bootable
    ]
    assert root.volume_image_metadata.items() >= SECURE.items()


def test_it_is_moved_warm_as_it_is_and_secure_boot_is_kept(uefi01, shared_cli, sidedoor, cloud):
    import console as writer

    (at_source,) = writer.read(sidedoor.console("uefi01")).boots
    assert (at_source.firmware, at_source.secure_boot) == ("uefi", True)
    done = shared_cli(
        "migrate", "uefi01", *TO, "--type", "warm", "--cutover", "automatic", "--landing", "as-is", timeout=1500
    )
    assert done.returncode == 0, done.stderr
    shown = state_of(shared_cli, latest(shared_cli, uefi01))
    seen = assert_moved(sidedoor, cloud, uefi01, shown, nics={"vmxnet3"}, disks={"ahci"})
    assert_secure_and_at_home(cloud, shown["server_id"], seen)
    assert "uefi01 boots with secure boot" in events(shared_cli, shown["id"])  # before anything was made
    assert any("BOOTX64.EFI" in change for change in shown["result"]["conversion"]["changes"])


def test_it_is_converted_afterwards(uefi01, shared_cli, sidedoor, cloud):
    migration = latest(shared_cli, uefi01)
    done = shared_cli("migration", "convert", migration, "--wait", "--plain", timeout=1500)
    assert done.returncode == 0, done.stderr
    shown = state_of(shared_cli, migration)
    seen = assert_moved(sidedoor, cloud, uefi01, shown)
    assert_secure_and_at_home(cloud, shown["server_id"], seen)


@pytest.mark.soak  # every day it is converted afterwards, and a Debian with BIOS on the way
def test_it_is_moved_cold_and_converted_on_the_way(uefi01, cli, sidedoor, cloud):
    remove_servers(cloud, uefi01)  # the source is off since it was moved
    done = cli("migrate", "uefi01", *TO, "--power", "on", timeout=1500)
    assert done.returncode == 0, done.stderr
    shown = state_of(cli, only_migration(cli))
    seen = assert_moved(sidedoor, cloud, uefi01, shown)
    assert_secure_and_at_home(cloud, shown["server_id"], seen)
