"""What Windows would boot from, read from a registry as Windows writes it, on NTFS in the real appliance."""

import os
import struct
import subprocess

import guestfs
import pytest

from longshore.guests.appliance import BACKEND, Guest
from longshore.guests.drivers import find_drivers
from longshore.guests.inspection import inspect

pytestmark = pytest.mark.lab  # it needs no cloud, but each appliance takes many seconds to start under emulation

HEADER = "Windows Registry Editor Version 5.00\n"
CURRENT_VERSION = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
SERVICES = r"HKEY_LOCAL_MACHINE\SYSTEM\ControlSet001\Services"
# By its header libmagic knows a program for x86-64, and libguestfs by that the system's architecture
EXECUTABLE = (
    b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<HHIIIHHH", 0x8664, *[0] * 4, 240, 2, 0x20B)
).ljust(512, b"\0")
NEVER_NEEDED = "StartOverride"  # what Windows says of boot drivers without hardware here


def empty_hive(path):
    """A registry file of version 1.5 with nothing but its root: no free tool makes one."""
    page, none = 0x1000, 0xFFFFFFFF
    everyone = bytes.fromhex(
        "0100048000000000000000000000000014000000"  # security descriptor with a DACL
        "02001c000100000000031400 3f000f00010100000000000100000000".replace(" ", "")
    )
    node_at, node_size, security_size = 0x20, 0x58, (24 + len(everyone) + 7) // 8 * 8
    node = struct.pack(
        "<2sHqIIIIIIIIIIHHIIIIHH", b"nk", 0x2C, 0, 0, none, 0, 0, none, none, 0, none, node_at + node_size,
        none, 0, 0, 0, 0, 0, 0, 4, 0,
    )  # fmt: skip
    security_at = node_at + node_size
    security = struct.pack("<2sHIIII", b"sk", 0, security_at, security_at, 1, len(everyone)) + everyone
    cells = cell(node + b"ROOT", node_size) + cell(security, security_size)
    body = struct.pack("<4sIIIIqI", b"hbin", 0, page, 0, 0, 0, 0) + cells
    body += struct.pack("<i", page - len(body))
    header = bytearray(page)
    struct.pack_into("<4sIIqIIIIIII", header, 0, b"regf", 1, 1, 0, 1, 5, 0, 1, node_at, page, 1)
    checksum = 0
    for (word,) in struct.iter_unpack("<I", header[:0x1FC]):
        checksum ^= word
    struct.pack_into("<I", header, 0x1FC, checksum)
    path.write_bytes(bytes(header) + body.ljust(page, b"\0"))


def cell(content, size):
    return struct.pack("<i", -size) + content.ljust(size - 4, b"\0")


def merged(path, prefix, text):
    empty_hive(path)
    subprocess.run(["hivexregedit", "--merge", "--prefix", prefix, path], input=HEADER + text, text=True, check=True)


def keys(path):
    """Each key from the top: hivexregedit makes no parents."""
    words = path.split("\\")
    return "".join(f"\n[{chr(92).join(words[:n])}]\n" for n in range(3, len(words) + 1))


def services(**starts):
    """Each with its Start, or with a pair: Start and what StartOverride says."""
    text = keys(SERVICES)
    for name, said in starts.items():
        start, override = said if isinstance(said, tuple) else (said, None)
        text += f'\n[{SERVICES}\\{name}]\n"Start"=dword:{start:08x}\n'
        if override is not None:
            text += f'\n[{SERVICES}\\{name}\\{NEVER_NEEDED}]\n"0"=dword:{override:08x}\n'
    return text


@pytest.fixture
def guest(tmp_path):
    merged(
        tmp_path / "SOFTWARE",
        r"HKEY_LOCAL_MACHINE\SOFTWARE",
        keys(CURRENT_VERSION)
        + '"CurrentMajorVersionNumber"=dword:0000000a\n"CurrentMinorVersionNumber"=dword:00000000\n'
        '"ProductName"=str(1):"Windows Server 2022 Made Up"\n"SystemRoot"=str(1):"C:\\\\Windows"\n',
    )
    merged(
        tmp_path / "SYSTEM",
        r"HKEY_LOCAL_MACHINE\SYSTEM",
        '\n[HKEY_LOCAL_MACHINE\\SYSTEM\\Select]\n"Current"=dword:00000001\n'
        + services(
            pvscsi=0, LSI_SAS=0, storahci=(0, 3), stornvme=(0, 0), megasas=3, vioscsi=4, vmxnet3ndis6=3, E1G60=4
        ),
    )
    for name, value in {**BACKEND, "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}.items():
        os.environ.setdefault(name, value)  # without KVM: it is there on some test machines, and guests hang on it
    disk = tmp_path / "windows.raw"
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    handle = guestfs.GuestFS(python_return_dict=True)
    handle.add_drive_opts(str(disk), format="raw")
    handle.launch()
    handle.part_disk("/dev/sda", "mbr")
    handle.mkfs("ntfs", "/dev/sda1")
    handle.mount("/dev/sda1", "/")
    for directory in ("/Windows/System32/config", "/Windows/System32/drivers", "/Program Files"):
        handle.mkdir_p(directory)
    handle.write("/Windows/System32/cmd.exe", EXECUTABLE)
    for name in ("SOFTWARE", "SYSTEM"):
        handle.upload(str(tmp_path / name), f"/Windows/System32/config/{name}")
    handle.umount_all()
    system = inspect(handle)
    handle.mount_ro(system.mounts["/"], "/")
    yield Guest(handle, system)
    handle.close()


def test_drivers_started_at_boot_are_those_it_boots_from(guest):
    found = find_drivers(guest, [])
    assert (found.family, found.system) == ("windows", "Windows Server 2022 Made Up")
    assert found.boot == ("vmw_pvscsi", "mptsas", "nvme")  # storahci was found not to be needed, megasas isn't at boot
    assert set(found.later) == {*found.boot, "ahci", "megaraid_sas"}  # vioscsi is disabled
    assert found.network == ("vmxnet3",)
    assert found.fallback_loader is None
    assert found.doubts == ()
