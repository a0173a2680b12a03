"""Disks' names in guests whose boot menu in the EFI partition only leads to another (RHEL-32099), on made-up files."""

import pytest
from tree import guest_in

from longshore.guests.grub_wrapper import may_have_wrapper, name_disks_by_uuid
from longshore.guests.report import OperatingSystem

WRAPPER = "search --no-floppy --fs-uuid --set=dev 1\nset prefix=($dev)/boot/grub2\nconfigfile $prefix/grub.cfg\n"
WHOLE = "set default=0\nmenuentry 'CentOS' {\n\tlinuxefi /vmlinuz root=/dev/sda2\n}\n"
UUIDS = {"/dev/sda2": "22", "/dev/sda3": "33"}
FSTAB = (
    "# /dev/sda9 was here\n/dev/sda2 / ext4 defaults 0 1\n\t/dev/sda3\tnone swap sw 0 0\n/dev/sdq1 /gone ext4 ro 0 0\n"
    "/dev/mapper/cl-home /home xfs defaults 0 0\nUUID=1234-ABCD /boot/efi vfat umask=0077 0 2\n"
)


@pytest.fixture
def guest(tmp_path):
    def made(menu, **more):
        files = {
            "/boot/efi/EFI/rocky/grub.cfg": menu,
            "/boot/grub2/device.map": "(hd0) /dev/sda\n",
            "/etc/fstab": FSTAB,
            "/etc/default/grub": 'GRUB_CMDLINE_LINUX="resume=/dev/sda3 quiet root=/dev/sda2"\n',
            **more,
        }
        one = guest_in(tmp_path, files)

        def vfs_uuid(device):
            if device not in UUIDS:
                raise RuntimeError(f"vfs_uuid: {device}: No such file or directory")
            return UUIDS[device]

        one.files.vfs_uuid = vfs_uuid
        return one

    return made


def test_all_that_virt_v2v_would_rename_is_called_by_uuid(guest):
    one = guest(WRAPPER)
    changes = name_disks_by_uuid(one)
    assert one.text("/etc/fstab") == (
        "# /dev/sda9 was here\nUUID=22 / ext4 defaults 0 1\n\tUUID=33\tnone swap sw 0 0\n/dev/sdq1 /gone ext4 ro 0 0\n"
        "/dev/mapper/cl-home /home xfs defaults 0 0\nUUID=1234-ABCD /boot/efi vfat umask=0077 0 2\n"
    )
    assert one.text("/etc/default/grub") == 'GRUB_CMDLINE_LINUX="resume=UUID=33 quiet root=UUID=22"\n'
    assert not one.files.exists("/boot/grub2/device.map")
    assert changes == [
        "/boot/grub2/device.map is removed: it names disks of the old hypervisor, and GRUB does without it.",
        "/etc/fstab calls /dev/sda2, /dev/sda3 by UUID now: the target gives disks other names.",
        "/etc/default/grub calls /dev/sda3, /dev/sda2 by UUID now: the target gives disks other names.",
    ]
    assert name_disks_by_uuid(one) == []


def test_a_guest_whose_menu_is_no_wrapper_stays_as_it_is(guest):
    one = guest(WHOLE)
    assert name_disks_by_uuid(one) == []
    assert one.text("/etc/fstab") == FSTAB


def test_a_guest_without_such_a_directory_stays_as_it_is(tmp_path):
    assert name_disks_by_uuid(guest_in(tmp_path, {"/etc/fstab": FSTAB})) == []


@pytest.mark.parametrize(
    ("mounts", "packages", "looked"),
    [
        ({"/": "/dev/sda2", "/boot/efi": "/dev/sda1"}, "rpm", True),
        ({"/": "/dev/sda2"}, "rpm", False),
        ({}, "rpm", True),
        ({"/": "/dev/sda2", "/boot/efi": "/dev/sda1"}, "deb", False),
    ],
)
def test_only_where_it_may_be_one_is_a_start_of_the_appliance_spent(mounts, packages, looked):
    words = ("/dev/sda2", "linux", "rocky", "9.5", "Rocky Linux 9.5", "x86_64", packages, "el9")
    assert may_have_wrapper(OperatingSystem(*words, mounts=mounts)) is looked
    assert not may_have_wrapper(None)
