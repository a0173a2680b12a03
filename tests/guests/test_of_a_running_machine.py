"""A look into the disks of a machine that runs: its file systems are open, and nothing has been written back."""

import asyncio
import hashlib
import os
import signal
from contextlib import ExitStack

import pytest

from longshore.blocks.exports import serve_nbdkit
from longshore.guests import look_into
from longshore.guests.appliance import BACKEND

pytestmark = pytest.mark.lab

SIZE = 600 << 20
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
    handle.write("/etc/fstab", FSTAB)
    handle.write("/etc/debian_version", "12.5\n")
    handle.write("/etc/hostname", "open\n")
    handle.write("/var/lib/dpkg/status", "Package: dpkg\nStatus: install ok installed\nVersion: 1\n")
    handle.sync()
    os.kill(handle.get_pid(), signal.SIGKILL)
    handle.close()


def digests(disks):
    return [hashlib.blake2b(disk.read_bytes()).hexdigest() for disk in disks]


@pytest.mark.timeout(1500)
def test_open_file_systems_are_no_fault_and_are_not_written_to(tmp_path):
    disks = [tmp_path / "root", tmp_path / "var"]
    build(disks)
    before = digests(disks)
    with ExitStack() as served:
        uris = [served.enter_context(serve_nbdkit("file", {"file": str(d)}, read_only=True)).uri for d in disks]
        found = asyncio.run(look_into(uris, tmp_path, print))
    assert found.inspected, found.why_not
    assert [(system.family, system.distribution) for system in found.systems] == [("linux", "debian")]
    assert {room.path for room in found.file_systems} == {"/", "/var"}
    assert (found.hibernated, found.suspended, found.dirty) == (False, (), ())
    assert digests(disks) == before
