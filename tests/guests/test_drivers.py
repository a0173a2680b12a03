"""What a guest can boot from, found in the real appliance on small made-up systems."""

import asyncio
import gzip
import os
from collections.abc import Iterator
from dataclasses import replace

import guestfs
import pytest

from longshore.blocks.exports import serve_qemu_nbd
from longshore.guests.appliance import Guest
from longshore.guests.drivers import find_drivers
from longshore.guests.efi import has_fallback_loader, put_fallback_loader
from longshore.guests.linux_boot import linux_drivers
from longshore.guests.process import look_into
from longshore.guests.report import NicName, OperatingSystem

# It needs no cloud, but whatever the appliance does takes many seconds under emulation: so a part is tried every day
pytestmark = pytest.mark.lab

OLD, NEW = "6.9.0-1", "6.10.0-1"
ESP, ROOT = "/dev/sda1", "/dev/sda2"
SYSTEM = OperatingSystem(ROOT, "linux", "debian", "12.5", "Debian 12.5", "x86_64", "deb", "made-up", {"/": ROOT})


@pytest.fixture(scope="module")
def appliance(empty_appliance) -> guestfs.GuestFS:
    empty_appliance.part_init("/dev/sda", "gpt")
    empty_appliance.part_add("/dev/sda", "p", 2048, 131071)
    empty_appliance.part_add("/dev/sda", "p", 131072, 393215)
    empty_appliance.part_set_gpt_type("/dev/sda", 1, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B")
    return empty_appliance


@pytest.fixture
def guest(appliance) -> Iterator[Guest]:
    """Two kernels, the newer one with more drivers; what a test is about it adds itself."""
    appliance.mkfs("ext4", ROOT)
    appliance.mkfs("vfat", ESP)
    appliance.mount(ROOT, "/")
    for directory in ("/boot/grub", "/etc/network", "/dev", "/proc", "/sys", "/usr/lib/systemd/network"):
        appliance.mkdir_p(directory)
    kernel(appliance, OLD, ["vmw_pvscsi", "sd_mod", "mptspi"])
    kernel(appliance, NEW, ["vmw_pvscsi", "sd_mod", "ahci", "virtio_blk"], built_in=["virtio_pci"], later=["vmxnet3"])
    yield Guest(appliance, SYSTEM)
    appliance.umount_all()


def kernel(files, version, held, *, built_in=(), later=()):
    """Its initramfs as Debian calls it, and the lists of modules beside it."""
    modules = f"/lib/modules/{version}"
    files.mkdir_p(modules)
    files.write(f"{modules}/modules.builtin", "".join(f"kernel/{name}.ko\n" for name in built_in).encode())
    dep = "".join(f"kernel/{name.replace('_', '-')}.ko.xz: kernel/x.ko\n" for name in (*held, *later))
    files.write(f"{modules}/modules.dep", dep.encode())
    files.write(f"/boot/initrd.img-{version}", gzip.compress(cpio(f"lib/modules/{version}/{m}.ko" for m in held)))


def cpio(names):
    entries = [*names, "TRAILER!!!"]
    return b"".join(_entry(name.encode()) for name in entries)


def _entry(name):
    fields = [0, 0o100644, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(name) + 1, 0]
    raw = b"070701" + b"".join(b"%08X" % field for field in fields) + name + b"\0"
    return raw + bytes(-len(raw) % 4)


def grub(*entries, default="0"):
    blocks = "".join(
        f"menuentry 'Debian, with {v}' --id {v} {{\n\tlinux /boot/vmlinuz-{v} root={root} ro\n\tinitrd {where}\n}}\n"
        for v, root, where in entries
    )
    return f'set default="{default}"\n{blocks}'.encode()


@pytest.mark.soak
def test_without_a_menu_the_newest_kernel_is_what_counts(guest):
    found = linux_drivers(guest)
    assert found.boot == ("vmw_pvscsi", "ahci", "virtio_blk")
    assert found.network == ("vmxnet3",)
    assert "isn't clear" in found.doubts[0]  # there are two


@pytest.mark.soak
def test_the_menus_first_entry_is_booted_or_the_saved_one(guest):
    entries = [(OLD, "UUID=1", f"/boot/initrd.img-{OLD}"), (NEW, "UUID=1", f"/boot/initrd.img-{NEW}")]
    guest.files.write("/boot/grub/grub.cfg", grub(*entries))
    assert linux_drivers(guest).boot == ("vmw_pvscsi", "mptspi")
    guest.files.write("/boot/grub/grubenv", f"# GRUB Environment Block\nsaved_entry={NEW}\n".encode())
    assert "ahci" not in linux_drivers(guest).boot  # this menu doesn't go by what was saved
    guest.files.write("/boot/grub/grub.cfg", grub(*entries, default="${saved_entry}"))
    assert "ahci" in linux_drivers(guest).boot
    more = b"submenu 'More' --id advanced {\n" + grub(entries[1]) + b"}\n"
    guest.files.write("/boot/grub/grub.cfg", grub(entries[0]) + more.replace(b'"0"', f'"advanced>{NEW}"'.encode()))
    assert "ahci" in linux_drivers(guest).boot
    guest.files.write("/boot/grub/grub.cfg", grub(*entries, default="7"))
    assert "isn't clear" in linux_drivers(guest).doubts[0]


@pytest.mark.soak
def test_a_boot_partition_and_microcode_before_the_initramfs(guest):
    guest.files.write("/boot/grub/grub.cfg", grub((OLD, "UUID=1", f"/early.img /initrd.img-{OLD}")))
    assert linux_drivers(guest).boot == ("vmw_pvscsi", "mptspi")


@pytest.mark.soak
def test_boot_loader_entries_as_fedora_has_them(guest):
    guest.files.mkdir_p("/boot/loader/entries")
    for version, name in ((OLD, OLD), (NEW, NEW), (NEW, "0-rescue")):
        entry = f"title Fedora\nlinux /vmlinuz-{version}\ninitrd /initrd.img-{version}\noptions root=/dev/sda2 ro\n"
        guest.files.write(f"/boot/loader/entries/1234-{name}.conf", entry.encode())
    found = linux_drivers(guest)
    assert "ahci" in found.boot
    assert found.device_names == ("/dev/sda2",)
    guest.files.write("/boot/grub/grubenv", f"saved_entry=1234-{OLD}\n".encode())
    assert "ahci" not in linux_drivers(guest).boot


@pytest.mark.soak
def test_drivers_that_lack_what_they_stand_on_are_none(guest):
    kernel(guest.files, NEW, ["vmw_pvscsi", "virtio_blk", "ahci"])  # neither sd_mod nor virtio_pci
    assert linux_drivers(guest).boot == ()


@pytest.mark.soak
def test_an_initramfs_that_cannot_be_read_is_a_doubt(guest):
    guest.files.write(f"/boot/initrd.img-{NEW}", b"who knows")
    found = linux_drivers(guest)
    assert found.boot == ()
    assert "couldn't be read" in found.doubts[0]


@pytest.mark.soak
def test_disks_called_by_names_that_depend_on_the_hardware(guest):
    guest.files.write(
        "/etc/fstab",
        b"UUID=1 / ext4 defaults 0 1\n# /dev/sdz1 /old ext4 defaults 0 0\n/dev/sdb1 /data xfs defaults 0 0\n"
        b"/dev/sr0 /cd iso9660 ro 0 0\n/dev/vg/home /home ext4 defaults 0 0\n/dev/sdc /mnt ext4 noauto 0 0\n"
        b"/dev/disk/by-uuid/2 /a ext4 defaults 0 0\n/dev/disk/by-path/pci-0-scsi-0:0:1:0 none swap sw 0 0\n",
    )
    guest.files.write("/etc/crypttab", b"secret /dev/sdd none luks\n")
    guest.files.write("/boot/grub/grub.cfg", grub((NEW, "/dev/sda2", f"/boot/initrd.img-{NEW}")))
    by_path = "/dev/disk/by-path/pci-0-scsi-0:0:1:0"
    assert linux_drivers(guest).device_names == ("/dev/sda2", "/dev/sdb1", by_path, "/dev/sdd")


@pytest.mark.soak
def test_a_volume_group_on_two_disks_needs_both_of_them(guest):
    files = guest.files
    files.umount_all()
    files.pvcreate(ROOT)
    files.pvcreate("/dev/sdb")
    files.vgcreate("system", [ROOT, "/dev/sdb"])
    files.lvcreate("root", "system", 32)
    try:
        files.mkfs("ext4", "/dev/system/root")
        files.mount("/dev/system/root", "/")
        there = Guest(files, replace(SYSTEM, root="/dev/system/root", mounts={"/": "/dev/system/root"}))
        found = find_drivers(there, [])
        assert found.root_disks == (0, 1)
        assert "isn't known" in found.doubts[0]  # there is no kernel on it at all
    finally:
        files.umount_all()
        files.vgremove("system")
        files.pvremove(ROOT)
        files.pvremove("/dev/sdb")


@pytest.mark.turns("looks")
def test_everything_together(guest):
    guest.files.write("/etc/network/interfaces", b"iface ens192 inet dhcp\n")
    found = find_drivers(guest, [NicName("00:50:56:00:00:01", "ens192"), NicName("00:50:56:00:00:02", "ens224")])
    assert (found.inspected, found.family, found.root_disks) == (True, "linux", (0,))
    assert found.interface_names == ("ens192", "ens224")
    assert found.fallback_loader is False


@pytest.mark.soak
def test_the_loader_is_put_where_uefi_looks_when_its_variables_are_gone(guest):
    files = guest.files
    files.umount_all()
    files.mount(ESP, "/")
    files.mkdir_p("/EFI/debian")
    for name in ("shimx64.efi", "grubx64.efi", "mmx64.efi", "grub.cfg"):
        files.write(f"/EFI/debian/{name}", name.encode())
    assert has_fallback_loader(guest) is False
    changes = put_fallback_loader(guest)
    assert "\\EFI\\debian\\shimx64.efi was copied to \\EFI\\BOOT\\BOOTX64.EFI" in changes[0]
    assert has_fallback_loader(guest) is True
    assert put_fallback_loader(guest) == []
    files.mount_ro(ESP, "/")
    assert files.read_file("/EFI/BOOT/BOOTX64.EFI") == b"shimx64.efi"
    assert {name.lower() for name in files.ls("/EFI/BOOT")} == {"bootx64.efi", "grubx64.efi", "mmx64.efi"}
    assert files.read_file("/EFI/debian/shimx64.efi") == b"shimx64.efi"


@pytest.mark.soak
def test_a_loader_of_its_own_stays(guest):
    files = guest.files
    files.umount_all()
    files.mount(ESP, "/")
    files.mkdir_p("/efi/boot")  # FAT doesn't mind the case
    files.write("/efi/boot/bootx64.efi", b"its own")
    files.mkdir_p("/EFI/Microsoft/Boot")
    files.write("/EFI/Microsoft/Boot/bootmgfw.efi", b"another")
    assert has_fallback_loader(guest) is True
    assert put_fallback_loader(guest) == []


@pytest.mark.soak
def test_disks_that_hold_no_known_system_are_an_answer(tmp_path):
    os.environ.setdefault("LIBGUESTFS_BACKEND_SETTINGS", "force_tcg")
    disk = tmp_path / "encrypted.raw"
    disk.write_bytes(os.urandom(1 << 20))
    with serve_qemu_nbd(disk) as export:
        found = asyncio.run(look_into([export.uri], tmp_path, print)).drivers
    assert (found.inspected, found.boot) == (False, ())
    assert "No operating system was found" in found.doubts[0]
