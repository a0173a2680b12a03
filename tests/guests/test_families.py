"""Guests of several families, looked at and finished in the real appliance, each on made-up disks in their shape."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import ExitStack

import guestfs
import phony
import pytest

from longshore.blocks.exports import serve_qemu_nbd
from longshore.guests.appliance import Guest
from longshore.guests.drivers import find_drivers
from longshore.guests.encrypted import unlock
from longshore.guests.findings import find
from longshore.guests.finish import finish
from longshore.guests.inspection import inspect, is_as_found
from longshore.guests.interfaces import RULES
from longshore.guests.process import finish_as_is, look_into
from longshore.guests.report import NicName
from longshore.guests.virt_v2v import root_option

pytestmark = pytest.mark.lab  # it needs no cloud, but each appliance takes many seconds to start under emulation

MAC = "00:50:56:00:00:01"
NIC = NicName(MAC, "ens192", ("eno33557248", "enp11s0"), MAC, "eth0")
MOVED = NicName("fa:16:3e:00:00:01", "ens192", ("eno33557248", "enp11s0"), MAC, "eth0")
KEY = "open sesame"
CONSOLE = "console=tty0 console=ttyS0,115200n8"
LINK = "/etc/systemd/network/10-longshore-ens192.link"


@pytest.fixture
def files(running_appliance) -> Iterator[guestfs.GuestFS]:
    phony.wipe(running_appliance)
    yield running_appliance
    running_appliance.umount_all()


def found(files: guestfs.GuestFS) -> Guest:
    """The guest on the disks, mounted."""
    guest = Guest(files, inspect(files))
    mount(guest)
    return guest


def mount(guest: Guest) -> None:
    guest.files.umount_all()
    for place in sorted(guest.system.mounts, key=len):
        guest.files.mount(guest.system.mounts[place], place)


def finished(guest: Guest, nic: NicName = NIC):
    mount(guest)
    done = finish(guest, [nic], [])
    mount(guest)
    return done


@pytest.mark.soak
def test_debian_in_a_subvolume(files):
    phony.debian_subvolume(files)
    guest = found(files)
    assert guest.system.mounts == {"/": "btrfsvol:/dev/sda1/@rootfs"}
    assert is_as_found(files, guest.system)
    drivers = find_drivers(guest, [NIC])
    assert (drivers.root_disks, drivers.interface_names, drivers.doubts) == ((0,), ("ens192",), ())
    assert drivers.boot == ("vmw_pvscsi", "ahci")
    done = finished(guest)
    assert done.warnings == ()
    assert "Name=ens192\n" in guest.text(LINK)
    assert f"ro rootflags=subvol=@rootfs {CONSOLE}\n" in guest.text("/boot/grub/grub.cfg")
    assert guest.text("/etc/default/grub") == f'GRUB_CMDLINE_LINUX="quiet {CONSOLE}"\n'
    assert finished(guest).changes == done.changes[:1]  # the name again, the console not


@pytest.mark.soak
def test_a_root_that_only_the_boot_menu_names(files):
    phony.debian_subvolume(files)
    files.mount("btrfsvol:/dev/sda1/@rootfs", "/")
    phony.write(files, {"/etc/fstab": f"UUID={files.vfs_uuid('/dev/sda1')} / btrfs defaults 0 0\n"})
    files.umount_all()
    looked = find(files, [NIC])
    assert (looked.inspected, looked.root_in_fstab, looked.drivers.root_disks) == (True, False, (0,))
    assert looked.drivers.mounts == {"/": "btrfsvol:/dev/sda1/@rootfs"}


@pytest.mark.soak
def test_sles_with_snapshots(files):
    phony.sles_snapper(files)
    guest = found(files)
    assert (guest.system.root, guest.system.distribution) == ("/dev/sda1", "sles")
    assert root_option(guest) == "/dev/sda1"
    assert find_drivers(guest, [NIC]).root_disks == (0,)
    done = finished(guest)
    assert done.warnings == ()
    assert [change for change in done.changes if "grub2/grub.cfg" in change]
    assert f" quiet {CONSOLE}\n" in guest.text("/boot/grub2/grub.cfg")
    assert f'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX {CONSOLE}"\n' in guest.text("/etc/default/grub")
    assert not guest.files.is_dir("/etc/systemd/network")  # the kernel calls its only interface eth0 anywhere


@pytest.mark.soak
def test_rhel_on_lvm_with_selinux(files):
    phony.rhel_lvm(files)
    guest = found(files)
    guest.files.lsetxattr("security.selinux", "system_u:object_r:etc_t:s0", 26, "/etc")
    guest.files.touch("/.autorelabel")  # as virt-v2v does
    assert find_drivers(guest, [NIC]).root_disks == (0,)
    done = finished(guest)
    entries = "/boot/loader/entries"
    options = [guest.text(f"{entries}/{name}").split("\noptions ")[1] for name in guest.files.ls(entries)]
    assert [text.splitlines()[0] for text in options] == [f"root=/dev/mapper/rhel-root ro rhgb quiet {CONSOLE}"] * 2
    assert f'rhgb quiet {CONSOLE}"\n' in guest.text("/etc/default/grub")
    assert len(done.warnings) == 1
    assert "labels all of its files" in done.warnings[0]
    assert guest.files.lgetxattr(LINK, "security.selinux").rstrip(b"\0") == b"system_u:object_r:etc_t:s0"


@pytest.mark.soak
def test_rhel_6_has_neither_systemd_nor_grub_2(files):
    phony.el6(files)
    guest = found(files)
    drivers = find_drivers(guest, [MOVED])
    assert drivers.interface_names == ("ens192", "eth0")
    assert drivers.device_names == ("/dev/sda2",)
    guest = found(files)
    guest.files.mkdir_p("/usr/lib/virt-sysprep/scripts")
    guest.files.touch("/usr/lib/virt-sysprep/scripts/5000-0003-install-qga")
    phony.write(guest.files, {"/etc/rc.d/rc3.d/S99guestfs-firstboot": ""})
    done = finished(guest, MOVED)
    (warning,) = done.warnings
    assert "(/dev/sda2)" in warning  # virt-v2v would have renamed it
    assert MOVED.mac in guest.text(RULES)
    assert MAC not in guest.text(RULES)
    assert f"HWADDR={MOVED.mac}\n" in guest.text("/etc/sysconfig/network-scripts/ifcfg-eth0")
    assert f"rhgb quiet {CONSOLE}\n" in guest.text("/boot/grub/grub.conf")
    assert guest.files.ls("/etc/rc.d/rc3.d") == []


@pytest.mark.soak
def test_ubuntu_with_a_snapshot_by_timeshift(files):
    phony.ubuntu_timeshift(files)
    guest = found(files)
    assert guest.system.mounts == {"/": "btrfsvol:/dev/sda1/@"}
    assert root_option(guest) == "first"
    assert find_drivers(guest, [NIC]).interface_names == ("ens192",)


@pytest.mark.soak
def test_fedora_in_subvolumes(files):
    phony.fedora_subvolume(files)
    guest = found(files)
    assert guest.system.mounts == {
        "/": "btrfsvol:/dev/sda2/root",
        "/home": "btrfsvol:/dev/sda2/home",
        "/boot": "/dev/sda1",
    }
    assert find_drivers(guest, [NIC]).interface_names == ("ens192",)
    assert [change for change in finished(guest).changes if "/boot/loader/entries" in change]


@pytest.mark.soak
def test_a_volume_group_on_a_mirror_needs_both_disks(files):
    phony.debian_lvm_on_md(files)
    guest = found(files)
    assert is_as_found(files, guest.system)
    drivers = find_drivers(guest, [])
    assert drivers.root_disks == (0, 1)
    assert drivers.uuids == guest.system.uuids


@pytest.mark.soak
def test_what_luks_encrypts_is_looked_into_and_finished_with_its_key(files):
    phony.debian_lvm_on_luks(files, KEY)
    locked = find(files, [NIC])
    assert (locked.inspected, locked.unlocked) == (False, ())
    assert locked.luks == locked.network_bound == ("/dev/sda2",)
    assert list(unlock(files, ["another machine's", KEY]).values()) == [KEY]
    looked = find(files, [NIC])
    assert (looked.inspected, looked.luks, looked.unlocked) == (True, ("/dev/sda2",), ("/dev/sda2",))
    assert looked.network_bound == ()
    assert (looked.drivers.root_disks, looked.drivers.interface_names) == ((0,), ("ens192",))
    assert [room.path for room in looked.file_systems] == ["/", "/boot"]
    guest = found(files)
    assert [change for change in finished(guest).changes if "keeps its name ens192" in change]


@pytest.mark.soak
def test_a_look_and_a_finish_of_a_guest_that_lands_as_it_is(tmp_path):
    handle = phony.start(tmp_path, os.environ)
    phony.debian_subvolume(handle)
    handle.shutdown()
    handle.close()
    with ExitStack() as served:
        disks = [served.enter_context(serve_qemu_nbd(disk)).uri for disk in sorted(tmp_path.glob("*.raw"))]
        drivers = asyncio.run(look_into(disks, tmp_path, print, nics=[NIC])).drivers
        assert (drivers.inspected, drivers.root_disks, drivers.interface_names) == (True, (0,), ("ens192",))
        changes = asyncio.run(finish_as_is(disks, tmp_path, print, nics=[NIC], drivers=drivers))
    assert [change for change in changes if "keeps its name ens192" in change]
