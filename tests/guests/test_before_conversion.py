"""What a conversion would fail at, found in a guest's files."""

import pytest
from tree import Tree, guest_in

from longshore.guests.before_conversion import what_converting_meets
from longshore.guests.efi import _BIOS_BOOT, _TYPE
from longshore.guests.report import OperatingSystem
from longshore.model.guest import GuestFindings

KERNEL = {"/boot/vmlinuz-6.1": "x", "/lib/modules/6.1/modules.dep": "", "/boot/grub/grub.cfg": ""}


class Files(Tree):
    """And what the appliance's kernel says of file systems, which a directory can't show without root."""

    def __init__(self, directory):
        super().__init__(directory)
        self.inodes = {"files": 1000, "ffree": 900}
        self.flags = ""
        self.attributes_of = {}

    def mountpoints(self):
        return {"/dev/sda1": "/"}

    def statvfs(self, _place):
        return self.inodes

    def vfs_type(self, device):
        if device != "/dev/sda1":
            raise RuntimeError(f"vfs_type: {device}: No such file or directory")
        return "btrfs"

    def btrfs_subvolume_show(self, _place):
        return {"Flags": self.flags}

    def is_symlink(self, path):
        return self._at(path).is_symlink()

    def get_e2attrs(self, path):
        return self.attributes_of.get(path, "e")


def meets(directory, tree, **more):
    guest = guest_in(directory, tree)
    guest.files = Files(directory)
    guest.system = OperatingSystem("/dev/sda1", "linux", *[""] * 6, mounts={"/": "/dev/sda1", "/home": "/dev/sda9"})
    for name, value in more.items():
        setattr(guest.files, name, value)
    return what_converting_meets(guest, GuestFindings())


def test_nothing_is_said_of_a_guest_that_can_be_converted(tmp_path):
    fstab = "UUID=1 / btrfs\nUUID=9 /home ext4\nLABEL=old /var ext4 nofail\n"
    assert meets(tmp_path, {**KERNEL, "/etc/fstab": fstab}) == GuestFindings()


def test_a_root_with_the_property_ro(tmp_path):
    assert meets(tmp_path, KERNEL, flags="readonly").read_only == ("/",)


def test_files_that_are_kept_from_changes(tmp_path):
    tree = {**KERNEL, "/etc/resolv.conf": "", "/boot/initrd.img-6.1": ""}
    kept = {"/etc/resolv.conf": "ie", "/boot/initrd.img-6.1": "a"}
    assert meets(tmp_path, tree, attributes_of=kept).immutable == ("/etc/resolv.conf", "/boot/initrd.img-6.1")


def test_hardly_an_inode(tmp_path):
    assert meets(tmp_path, KERNEL, inodes={"files": 1000, "ffree": 99}).without_inodes == ("/",)
    assert meets(tmp_path, KERNEL, inodes={"files": 0, "ffree": 0}).without_inodes == ()


def test_a_part_of_the_system_that_fstab_calls_by_another_name(tmp_path):
    fstab = (
        "/dev/disk/by-id/dm-uuid-LVM-a /usr ext4 defaults 0 1\n/dev/disk/by-id/dm-uuid-LVM-b /srv ext4 defaults 0 1\n"
    )
    assert meets(tmp_path, {**KERNEL, "/etc/fstab": fstab}).not_mounted == ("/dev/disk/by-id/dm-uuid-LVM-a /usr",)


def test_kernels_without_their_modules_are_none(tmp_path):
    assert meets(tmp_path, {"/boot/vmlinuz-6.1": "x", "/lib/modules/6.9/modules.dep": ""}).without_kernel


@pytest.mark.parametrize(
    ("tools", "without"),
    [
        ({}, True),
        ({"/usr/bin/dracut": ""}, False),  # Debian's dracut 106 has no update-initramfs
        ({"/usr/sbin/update-initramfs": ""}, True),  # a wrapper, as in dracut 112: virt-v2v fails at saving its modules
        ({"/usr/sbin/update-initramfs": "", "/etc/initramfs-tools/initramfs.conf": ""}, False),
    ],
)
def test_a_kernels_initramfs_can_be_made_anew(tmp_path, tools, without):
    kernel = {**KERNEL, "/boot/initrd.img-6.1": ""}
    assert meets(tmp_path, {**kernel, **tools}).without_initramfs_tool == without
    assert not meets(tmp_path / "no-initramfs", {**KERNEL, **tools}).without_initramfs_tool


@pytest.mark.parametrize(
    ("menu", "kinds", "without"),
    [
        ("/boot/extlinux/extlinux.conf", [], True),
        ("/boot/grub/menu.lst", [], False),
        ("/boot/efi/loader/entries/a.conf", [_TYPE], True),  # systemd-boot
        ("/boot/grub/grub.cfg", [_TYPE], True),  # with UEFI it looks nowhere else than in the EFI partition
        ("/boot/efi/EFI/debian/grub.cfg", [_TYPE], False),
        ("/boot/grub/grub.cfg", [_BIOS_BOOT, _TYPE], False),  # cloud images boot by both; virt-v2v takes the BIOS then
    ],
)
def test_a_boot_menu_has_to_be_where_virt_v2v_looks_for_it(tmp_path, menu, kinds, without):
    tree = {"/boot/vmlinuz-6.1": "x", "/lib/modules/6.1/modules.dep": "", menu: ""}
    names = [f"/dev/sda{number}" for number in range(1, len(kinds) + 1)]
    more = {
        "list_partitions": lambda: names,
        "list_devices": lambda: ["/dev/sda"],
        "part_to_partnum": lambda device: int(device[-1]),
        "part_get_parttype": lambda _disk: "gpt",
        "part_get_gpt_type": lambda _disk, number: kinds[number - 1],
    }
    assert meets(tmp_path, tree, **more).without_boot_menu == without
