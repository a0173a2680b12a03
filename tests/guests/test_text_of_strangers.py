"""Whatever a guest's files say, our code raises nothing of Python's: it reads them, or says that it couldn't."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tree import guest_in

from longshore.guests.as_found import sign
from longshore.guests.disk_filters import doubts_of_names
from longshore.guests.fstab import crypttab, fstab
from longshore.guests.initramfs import NotAnInitramfs, file_names
from longshore.guests.interfaces import keep_nic_names, names_to_keep
from longshore.guests.linux_boot import linux_drivers, names_by_hardware
from longshore.guests.linux_findings import linux_findings
from longshore.guests.registry import Hive
from longshore.guests.report import NicName
from longshore.guests.rpm_order import compare
from longshore.guests.selinux import mode
from longshore.guests.serial_console import enable_serial_console
from longshore.guests.windows_findings import _static_addresses
from longshore.model.guest import GuestFindings

MAC = "00:50:56:00:00:01"
NIC = NicName("fa:16:3e:00:00:01", "ens192", ("enp11s0",), MAC, "eth0")
FILES = (
    *("/etc/fstab", "/etc/crypttab", "/etc/selinux/config", "/etc/default/grub", "/etc/inittab"),
    *("/boot/grub2/grub.cfg", "/boot/grub2/grubenv", "/boot/grub/menu.lst", "/boot/efi/EFI/centos/grub.cfg"),
    *("/boot/loader/entries/abc-6.1.conf", "/boot/efi/loader/loader.conf", "/boot/efi/loader/entries/a.conf"),
    *("/boot/initrd.img-6.1", "/lib/modules/6.1/modules.dep", "/lib/modules/6.1/modules.builtin"),
    *("/etc/netplan/01.yaml", "/etc/network/interfaces", "/etc/NetworkManager/system-connections/a"),
    *("/etc/udev/rules.d/70-persistent-net.rules", "/etc/sysconfig/network-scripts/ifcfg-lan"),
)
# Words that the readers look for, beside letters of all kinds
WORDS = (
    *("menuentry ", "submenu ", "'", '"', "{", "}", "{\n", "\n", " ", "\t", "linux ", "initrd ", "initrd", "blscfg\n"),
    *("set default=", "saved_entry=", "next_entry=", "${saved_entry}", "options ", "title ", "$", "${", ">", "\\", "#"),
    *(
        "root=",
        "/dev/sda1",
        "/dev/disk/by-id/",
        "ID=",
        "UUID=",
        "/ ext4 ",
        "\\040",
        "\\777",
        ",",
        "\0",
        "²",
        "9" * 5000,
    ),
    *(f"HWADDR={MAC}\n", "ens192", "eth0", "kernelopts=", "default ", "[", "*", "../", "(hd0)", "\r", "\x85", "\u2028"),
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(WORDS), max_size=40).map("".join))


@settings(max_examples=60, deadline=None)
@example({"/etc/udev/rules.d/70-persistent-net.rules": "/dev/sda1"})
@given(st.dictionaries(st.sampled_from(FILES), TEXTS, max_size=6))
def test_files_of_a_linux_guest(tree):
    tree = {path: text.encode(errors="replace").decode() for path, text in tree.items()}
    with tempfile.TemporaryDirectory() as directory:
        guest = guest_in(Path(directory), tree)
        assert linux_drivers(guest).inspected
        assert linux_findings(guest, GuestFindings()).doubts == tuple(doubts_of_names(guest))
        for read in (fstab, crypttab, names_by_hardware, mode):
            read(guest)
        assert names_to_keep(guest, [NIC]) is not None
        keep_nic_names(guest, [NIC])
        enable_serial_console(guest)


@settings(max_examples=80, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.binary(max_size=300).map(lambda more: b"070701" + b"0" * 48 + more)))
def test_an_initramfs(content):
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "initramfs")
        file.write_bytes(content)
        try:
            list(file_names(file))
        except NotAnInitramfs as why:
            assert str(why).startswith(("it is", "it has", *("gzip", "xz", "zstd", "bzip2", "lz4", "lzop")))


@pytest.mark.parametrize("size", [b"-0000001", b"+0000001", b" 1      ", b"0_000001"])
def test_a_size_that_is_no_number_is_damage(tmp_path, size):
    file = tmp_path / "initramfs"
    file.write_bytes(b"070701" + b"0" * 48 + size + b"0" * 32 + b"00000002" + b"0" * 8 + b"a\0" + b"x" * 64)
    with pytest.raises(NotAnInitramfs, match="it is damaged"):
        list(file_names(file))


@given(st.text(max_size=40), st.text(max_size=40))
def test_versions(one, other):
    assert compare(one, other) == -compare(other, one)


class Registry:
    """libguestfs' calls for a registry in which every value is the same bytes."""

    def __init__(self, value):
        self._value = value

    def hivex_root(self):
        return 1

    def hivex_node_get_child(self, _node, _name):
        return 2

    def hivex_node_children(self, _node):
        return [{"hivex_node_h": 3}]

    def hivex_node_name(self, _node):
        return "{interface}"

    def hivex_node_get_value(self, _node, name):
        return 5 if name == "EnableDHCP" else 4

    def hivex_value_value(self, value):
        return bytes(4) if value == 5 else self._value


@given(st.one_of(st.binary(max_size=80), TEXTS.map(lambda text: text.encode("utf-16-le", errors="replace"))))
def test_a_registry(value):
    with tempfile.TemporaryDirectory() as directory:
        guest = guest_in(Path(directory), {})
        guest.files = Registry(value)
        assert all(interface.addresses for interface in _static_addresses(Hive(guest)))


def test_a_signature_that_cannot_be_made_is_none(tmp_path, monkeypatch):
    guest = guest_in(tmp_path, {})
    monkeypatch.setattr("longshore.guests.as_found._texts", lambda _guest: [].pop())
    assert sign(guest) == ""


def test_what_cannot_be_found_out_is_said_in_a_sentence(tmp_path, monkeypatch):
    from longshore.guests.findings import find
    from longshore.guests.finish import finish

    guest = guest_in(tmp_path, {})

    def read(*_):
        return dict([["a", "line", "that", "isn't", "any"]])

    monkeypatch.setattr("longshore.guests.finish.keep_nic_names", read)
    (warning, *_) = finish(guest, [NIC], []).warnings
    assert (
        "interfaces' names couldn't be kept: something on its disks is in a form that Longshore can't read" in warning
    )
    monkeypatch.setattr("longshore.guests.findings._of_devices", read)
    found = find(guest.files, [])
    assert not found.inspected
    assert found.why_not.startswith("The guest's disks couldn't be read: something on its disks is in a form")
    assert "ValueError" not in f"{warning} {found}"
