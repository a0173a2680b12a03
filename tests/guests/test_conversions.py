"""Guests of each family, with their real packages' lists of files, converted by the real virt-v2v in the converter.

libguestfs/virt-v2v#54 and RHBZ#2175703 tell of guests whose kernel is in two packages; RHEL-32099 of a boot menu in the
EFI partition that only leads to another.
"""

import asyncio
import re
import subprocess

import pytest
from distributions import COMMANDS, GUESTS, UUID, build

from longshore.blocks.exports import serve_qemu_nbd
from longshore.guests.process import convert, look_into, system_found
from longshore.guests.report import NicName

# Minutes each, under emulation. Every day a Debian is converted (tests/lab/test_cold_migration.py)
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(3600)]

NIC = NicName("00:50:56:00:00:01", "ens192")
# What is said of each: virt-v2v doesn't know how the made-up Debian and SUSE set consoles
EXPECTED = re.compile(
    r"could not determine a way to update the configuration of Grub2|The serial console couldn't be set"
)


@pytest.mark.parametrize("family", GUESTS)
def test_it_is_looked_into_and_converted(family, tmp_path):
    guest, disk = GUESTS[family], tmp_path / "disk.raw"
    build(guest, disk)
    with serve_qemu_nbd(disk, read_only=True) as export:
        looked = asyncio.run(look_into([export.uri], tmp_path, print, nics=[NIC]))
    assert looked.inspected, looked.why_not
    assert looked.doubts == ()
    with serve_qemu_nbd(disk, read_only=False) as export:
        system = system_found(looked)
        report = asyncio.run(convert([export.uri], tmp_path, print, nics=[NIC], system=system))
    assert "This guest has virtio drivers installed." in report.messages
    assert [warning for warning in report.warnings if not EXPECTED.match(warning)] == []
    partition = (41 if guest.uefi else 1) << 20
    ran, fstab = (_read(disk, partition, path) for path in (COMMANDS, "/etc/fstab"))
    assert guest.kernel in ran  # an initramfs with virtio was asked for
    assert f"UUID={UUID} / " in fstab  # whatever it was called before
    assert "grub2-mkconfig -o /boot/efi" not in ran


def _read(disk, at, path):
    command = ["debugfs", "-R", f"cat {path}", f"{disk}?offset={at}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
