"""What a guest boots by is known again at a later moment, and only while it is the same."""

import os

import pytest
from tree import guest_in

from longshore.errors import ConversionError
from longshore.guests import as_found
from longshore.guests.as_found import require_as_found, sign

MENU = "menuentry 'Debian' {\n\tlinux /boot/vmlinuz-6.1 root=UUID=1 ro\n\tinitrd /boot/initrd.img-6.1\n}\n"
TREE = {
    "/etc/os-release": "ID=debian\nVERSION_ID=12\n",
    "/etc/fstab": "UUID=1 / ext4 defaults 0 1\n",
    "/etc/network/interfaces": "iface ens192 inet static\n",
    "/boot/grub/grub.cfg": MENU,
    "/boot/grub/grubenv": "boot_success=0\n",
    "/boot/initrd.img-6.1": "drivers",
    "/lib/modules/6.1/modules.dep": "a.ko:\n",
    "/lib/modules/6.1/modules.builtin": "",
    "/var/log/syslog": "started\n",
}


class Devices:
    """Of a guest on one disk, with a swap."""

    def __init__(self, guest):
        self._files = guest.files
        self.contents = {"/dev/sda": "", "/dev/sda1": "ext4", "/dev/sda2": "swap"}

    def __getattr__(self, name):
        return getattr(self._files, name)

    def statns(self, path):
        found = os.stat(self._files._at(path))
        nsec = {f"st_{n}_nsec": getattr(found, f"st_{n}_ns") % 10**9 for n in ("mtime", "ctime")}
        return (
            {f"st_{n}_sec": int(getattr(found, f"st_{n}")) for n in ("mtime", "ctime")}
            | nsec
            | {"st_size": found.st_size}
        )

    def blkid(self, device):
        if not self.contents[device]:
            raise RuntimeError("blkid: no such device")
        return {"TYPE": self.contents[device], "UUID": f"of {device}", "MINIMUM_IO_SIZE": "512"}


@pytest.fixture
def guest(tmp_path, monkeypatch):
    guest = guest_in(tmp_path, TREE)
    guest.files = Devices(guest)
    monkeypatch.setattr(as_found, "all_devices", lambda files: list(files.contents))
    return guest


def test_what_it_writes_every_day_makes_it_no_other_guest(guest):
    before = sign(guest)
    assert len(before) == 64
    guest.files.write("/var/log/syslog", b"started\nstarted again\n")
    guest.files.write("/boot/grub/grubenv", b"boot_success=1\n")
    guest.files.write("/boot/initrd.img-6.0", b"an older one that it doesn't boot")
    assert sign(guest) == before


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/os-release", "ID=debian\nVERSION_ID=13\n"),
        ("/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n"),
        ("/etc/crypttab", "home /dev/sda3 none luks\n"),
        ("/etc/network/interfaces", "iface eth0 inet dhcp\n"),
        ("/boot/grub/grub.cfg", MENU.replace("6.1", "6.5")),
        ("/boot/initrd.img-6.1", "drivers"),  # written anew
        ("/lib/modules/6.5/modules.dep", "a.ko:\n"),
    ],
)
def test_what_it_boots_by_makes_it_another(guest, path, text):
    before = sign(guest)
    guest.files.mkdir_p(path.rpartition("/")[0])
    guest.files.write("/boot/initrd.img-6.5", b"a newer one")
    guest.files.write(path, text.encode())
    if path.startswith("/boot/initrd"):
        os.utime(guest.files._at(path), ns=(0, 0))
    assert sign(guest) != before


def test_a_system_that_is_suspended_is_another(guest):
    before = sign(guest)
    guest.files.contents["/dev/sda2"] = "swsuspend"
    assert sign(guest) != before


def test_a_disk_that_came_to_its_volume_group_makes_it_another(guest):
    before = sign(guest)
    guest.files.contents["/dev/sdb"] = "LVM2_member"
    assert sign(guest) != before


def test_of_some_it_can_not_be_told(guest, monkeypatch):
    guest.files.mkdir_p("/etc/netplan")
    guest.files.write("/etc/os-release", b"x" * (17 << 20))
    assert sign(guest) == ""
    guest.system = guest.system.__class__(**{**vars_of(guest.system), "family": "windows"})
    assert sign(guest) == ""


def vars_of(system):
    return {name: getattr(system, name) for name in system.__slots__}


def test_nothing_but_the_same_guest_will_do(guest, monkeypatch):
    monkeypatch.setattr(as_found, "is_as_found", lambda *_: True)
    monkeypatch.setattr(as_found, "mounted", lambda *_, **__: guest)
    signature = sign(guest)
    assert require_as_found(guest.files, guest.system, signature, read_only=True) is guest
    for other in ("", "0" * 64):
        with pytest.raises(ConversionError) as refused:
            require_as_found(guest.files, guest.system, other, read_only=True)
        assert refused.value.code == "guest-changed"
    monkeypatch.setattr(as_found, "is_as_found", lambda *_: False)
    with pytest.raises(ConversionError):
        require_as_found(guest.files, guest.system, signature, read_only=True)
