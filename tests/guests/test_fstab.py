"""What fstab, crypttab and the kernel's command line call disks by, and which of it is only good on one hardware."""

import pytest
from tree import guest_in

from longshore.guests import drivers as drivers_of_guests
from longshore.guests.fstab import Line, fstab
from longshore.guests.linux_boot import linux_drivers, names_by_hardware

LVM = "dm-uuid-LVM-KeLXYt8iDO5rQCnBYhCrHK15XjJRC4aM1ugt3J3Z3BsnFKcOAuj4LtpgWw6hWsQk"


@pytest.mark.parametrize(
    "name",
    [
        f"/dev/disk/by-id/{LVM}",  # libguestfs#187: Ubuntu's installer
        "/dev/disk/by-id/dm-name-ubuntu--vg-ubuntu--lv",
        "/dev/disk/by-id/md-uuid-d2c1a3a2:11112222:33334444:55556666",
        "/dev/disk/by-id/md-name-any:0",
        "/dev/disk/by-id/lvm-pv-uuid-GKXjwK",
        f"ID={LVM}",
        "/dev/disk/by-uuid/6d3f1c52",
        "/dev/disk/by-partlabel/root",
        "UUID=6d3f1c52",
        'LABEL="sda"',
        "/dev/mapper/sda3_crypt",
        "/dev/mapper/mpath-root",
        *("/dev/rd/root", "/dev/block/root", "/dev/cciss/home"),  # of volume groups
        "/dev/sdata/root",  # of a volume group
        "/dev/sdap/root",
        "/dev/md0",
    ],
)
def test_names_that_are_good_on_any_hardware(tmp_path, name):
    assert names_by_hardware(guest_in(tmp_path, {"/etc/fstab": f"{name} / ext4 defaults 0 1\n"})) == ()


@pytest.mark.parametrize(
    "name",
    [
        *("/dev/sda", "/dev/sdaa1", "/dev/hda1", "/dev/vdb2", "/dev/xvda1", "/dev/nvme0n1p2"),
        *("/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0-part3", "/dev/disk/by-diskseq/1-part1"),
        *(f"/dev/disk/by-id/{kind}-36000c29f-part2" for kind in ("ata", "scsi", "nvme", "wwn", "virtio", "usb")),
        "/dev/disk/by-id/dm-uuid-part1-mpath-36000c29f",
        *("/dev/mapper/mpatha2", "/dev/mapper/mpathb-part1", "/dev/mapper/36000c29f5c2137678321ce187f1f9eca-part2"),
        *("/dev/mapper/eui.0025385b71b00c1f-part1", "/dev/mapper/nvme.15ad-564d57617265-00000001-part2"),
        # As clouds and older systems have them
        *("/dev/disk/azure/scsi1/lun0-part1", "/dev/oracleoci/oraclevdb1", "/dev/disk/by-id/google-data-part1"),
        *("/dev/disk/by-id/edd-int13_dev80-part1", "/dev/cciss/c0d0p1", "/dev/dasda1", "/dev/block/8:1"),
    ],
)
def test_names_that_come_from_the_hardware(tmp_path, name):
    assert names_by_hardware(guest_in(tmp_path, {"/etc/fstab": f"{name} / ext4 defaults 0 1\n"})) == (name,)


def test_a_tag_for_a_name_of_the_hardware(tmp_path):
    guest = guest_in(tmp_path, {"/etc/crypttab": 'data ID="scsi-36000c29f" none luks\n'})
    assert names_by_hardware(guest) == ("/dev/disk/by-id/scsi-36000c29f",)


def test_units_of_systemd_are_read_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(drivers_of_guests, "_root_disks", lambda _guest: (0,))
    monkeypatch.setattr(drivers_of_guests, "has_fallback_loader", lambda _guest: None)
    guest = guest_in(
        tmp_path,
        {
            "/etc/systemd/system/srv-data.mount": "[Mount]\nWhat = /dev/sdb1\nWhere=/srv/data\nType=xfs\n",
            "/etc/systemd/system/dev-sdc1.swap": "[Swap]\nWhat=/dev/sdc1\n",
            "/etc/systemd/system/home.mount": "[Mount]\nWhat=UUID=1\nWhere=/home\n",
            "/etc/systemd/system/odd.mount": "[Mount]\nWhat=\n",
            "/etc/systemd/system/web.service": "[Service]\nWhat=/dev/sdd1\n",
        },
    )
    drivers = drivers_of_guests.find_drivers(guest, [])
    assert set(drivers.device_names) == set(drivers.lasting_names) == {"/dev/sdb1", "/dev/sdc1"}
    assert drivers.needed_names == ()


def test_what_the_boot_waits_for_is_told_apart(tmp_path):
    text = (
        "/dev/sda1 / ext4\n"
        "/dev/sda2 none swap sw 0 0\n"
        "/dev/sdb1 /data xfs defaults,nofail 0 0\n"
        "/dev/sdc1 /backup xfs noauto 0 0\n"
        "  # /dev/sdd1 /gone xfs defaults 0 0\n"
        "/dev/sde1\n"
    )
    drivers = linux_drivers(guest_in(tmp_path, {"/etc/fstab": text}))
    assert drivers.device_names == ("/dev/sda1", "/dev/sda2", "/dev/sdb1")
    assert drivers.needed_names == ("/dev/sda1",)


def test_lines_are_read_as_mount_reads_them(tmp_path):
    text = 'UUID="1"\t/a\\040b#c\text4\tro,x=#1\n//server/share#1 /mnt cifs credentials=/x\n'
    assert fstab(guest_in(tmp_path, {"/etc/fstab": text})) == [
        Line("UUID=1", "/a b#c", "ext4", ("ro", "x=#1")),
        Line("//server/share#1", "/mnt", "cifs", ("credentials=/x",)),
    ]
