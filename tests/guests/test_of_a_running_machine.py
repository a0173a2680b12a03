"""A look into the disks of a machine that runs: its file systems are open, and nothing has been written back."""

import asyncio
import hashlib
import os
import signal
import struct
from contextlib import ExitStack

import pytest

from longshore.blocks.exports import serve_nbdkit
from longshore.guests.appliance import BACKEND
from longshore.guests.process import look_into

pytestmark = pytest.mark.lab

SIZE = 400 << 20  # bytes; XFS takes no less than 300 MiB
NEEDS_RECOVERY = 0x4  # among ext4's incompatible features: its journal is to be replayed
FSTAB = "/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1 /var auto defaults 0 2\n"


def build(disks):
    """Debian's shape on ext4, with /var on XFS where that can be made; the power goes while both are mounted."""
    import guestfs

    # Without KVM: it is there on some test machines, and guests hang on it
    for name, value in {**BACKEND, "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}.items():
        os.environ.setdefault(name, value)
    handle = guestfs.GuestFS(python_return_dict=True)
    for disk in disks:
        with disk.open("wb") as file:
            file.truncate(SIZE)
        handle.add_drive_opts(str(disk), format="raw", cachemode="writeback")
    handle.launch()
    var = "xfs" if handle.feature_available(["xfs"]) else "ext4"
    for device, kind in (("/dev/sda", "ext4"), ("/dev/sdb", var)):
        handle.part_disk(device, "mbr")
        handle.mkfs(kind, f"{device}1")
    handle.mount("/dev/sda1", "/")
    for directory in ("bin", "etc", "usr/bin", "home", "tmp", "var", "boot"):
        handle.mkdir_p(f"/{directory}")
    handle.mount("/dev/sdb1", "/var")
    handle.mkdir_p("/var/lib/dpkg")
    handle.sync()
    # What makes it a Debian may be in the journals alone
    handle.write("/etc/fstab", FSTAB.encode())
    handle.write("/etc/debian_version", b"12.5\n")
    handle.write("/etc/hostname", b"open\n")
    handle.write("/var/lib/dpkg/status", b"Package: dpkg\nStatus: install ok installed\nVersion: 1\n")
    handle.sync()
    os.kill(handle.get_pid(), signal.SIGKILL)
    handle.close()


def is_open(disk):
    """Whether the ext4 on its first partition was mounted when it was last written to."""
    content = disk.read_bytes()
    (start,) = struct.unpack_from("<I", content, 446 + 8)  # in sectors
    magic, incompatible = (
        struct.unpack_from(form, content, start * 512 + 1024 + at)[0] for form, at in (("<H", 0x38), ("<I", 0x60))
    )
    assert magic == 0xEF53
    return bool(incompatible & NEEDS_RECOVERY)


def digests(disks):
    return [hashlib.blake2b(disk.read_bytes()).hexdigest() for disk in disks]


@pytest.mark.soak
@pytest.mark.timeout(1500)
def test_open_file_systems_are_no_fault_and_are_not_written_to(tmp_path):
    disks = [tmp_path / "root", tmp_path / "var"]
    build(disks)
    assert is_open(disks[0])
    before = digests(disks)
    with ExitStack() as served:
        uris = [served.enter_context(serve_nbdkit("file", {"file": str(d)}, read_only=True)).uri for d in disks]
        found = asyncio.run(look_into(uris, tmp_path, print))
    assert found.inspected, found.why_not
    assert [(system.family, system.distribution) for system in found.systems] == [("linux", "debian")]
    assert {room.path for room in found.file_systems} == {"/", "/var"}
    assert (found.hibernated, found.suspended, found.dirty) == (False, (), ())
    assert digests(disks) == before
