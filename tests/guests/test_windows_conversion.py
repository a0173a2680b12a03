"""Windows converted by the real virt-v2v, with the drivers of a made-up virtio-win: what it finds at its next boot."""

import asyncio
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import guestfs
import pytest
from phony_windows import Windows, number, texts, virtio_win, write

from longshore.blocks.exports import serve_qemu_nbd
from longshore.guests.appliance import BACKEND
from longshore.guests.process import convert
from longshore.guests.report import NicAddresses

# It needs no cloud, but each appliance takes many seconds to start under emulation
# What is done to a converted Windows is tried every day (test_windows_drivers.py, test_windows_first_boot.py)
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(1800)]

MAC = "00:50:56:00:00:01"
STATIC = {
    "EnableDHCP": number(0),
    "IPAddress": texts("192.0.2.7", "192.0.2.8"),
    "SubnetMask": texts("255.255.255.0", "255.255.255.0"),
    "DefaultGateway": texts("192.0.2.1"),
    "NameServer": 'str(1):"192.0.2.53"',
}
SERVICES = {"VMTools": 2, "pvscsi": 0, "vmxnet3ndis6": 3}


@contextmanager
def appliance(*disks: Path) -> Iterator[guestfs.GuestFS]:
    for name, value in {**BACKEND, "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}.items():
        os.environ.setdefault(name, value)  # without KVM: it is there on some test machines, and guests hang on it
    handle = guestfs.GuestFS(python_return_dict=True)
    for disk in disks:
        handle.add_drive_opts(str(disk), format="raw")
    handle.launch()
    yield handle
    handle.close()


@pytest.mark.parametrize(
    ("product", "build", "variant", "drivers"),
    [
        ("Windows Server 2022 Made Up", "20348", "Server", "2k22"),
        ("Windows Server 2019 Made Up", "17763", "Server", "2k19"),
        ("Windows 10 Made Up", "19045", "Client", "w10"),
    ],
)
def test_its_drivers_and_its_address_are_there(tmp_path, monkeypatch, product, build, variant, drivers):
    first, second = tmp_path / "windows.raw", tmp_path / "data.raw"
    for disk, size in ((first, 512 << 20), (second, 64 << 20)):
        with disk.open("wb") as file:
            file.truncate(size)
    with appliance(first, second) as files:
        files.part_disk("/dev/sda", "mbr")
        files.part_disk("/dev/sdb", "mbr")
        files.mkfs("ntfs", "/dev/sdb1")
        windows = Windows(product, build, variant, SERVICES, STATIC, san_policy=4)
        write(files, "/dev/sda1", windows, tmp_path)
        files.shutdown()
    monkeypatch.setenv("VIRTIO_WIN", str(virtio_win(tmp_path / "virtio-win", "2k16", "2k19", "2k22", "w10")))

    with serve_qemu_nbd(first, read_only=False) as one, serve_qemu_nbd(second, read_only=False) as other:
        ports = [NicAddresses(MAC, ("192.0.2.7", "192.0.2.8"))]
        report = asyncio.run(convert([one.uri, other.uri], tmp_path / "report", print, addresses=ports))

    assert report.system.product == product
    for address in ("192.0.2.7", "192.0.2.8"):
        kept = f"Windows gives itself the address {address}/24 on the adapter {MAC} at its first boot."
        assert kept in report.changes
    assert [change for change in report.changes if "further disks online from its first boot on" in change]
    assert [change for change in report.changes if re.match(r"Windows restarts \d times at its first boot", change)]
    assert report.warnings == ()
    with appliance(first) as files:
        files.mount_ro("/dev/sda1", "/")
        driver = files.read_file("/Windows/System32/drivers/viostor.sys")
        # What the service of its first boot runs: programs for PowerShell are in a directory beside its scripts
        scripts = {path.rpartition("/")[2]: files.read_file(f"/{path}") for path in scripts_in(files)}
        files.hivex_open("/Windows/System32/config/SYSTEM")
        start = number_in(files, "ControlSet001", "Services", "viostor", "Start")
        policy = number_in(files, "ControlSet001", "Services", "partmgr", "Parameters", "SanPolicy")
    assert driver == f"viostor.sys for {drivers}".encode()
    assert start == 0  # at boot
    assert policy == 1  # disks that are new to it come online
    network = scripts["network-configure.ps1"].decode()
    assert "New-NetIPAddress -InterfaceIndex $ifindex -IPAddress '192.0.2.7' -DefaultGateway '192.0.2.1'" in network
    assert "New-NetIPAddress -InterfaceIndex $ifindex -IPAddress '192.0.2.8' -PrefixLength 24" in network
    online = scripts["online-disks.ps1"].decode()
    assert "-Name SanPolicy -Value 4" in online  # as it was
    assert "VirtIO" not in online


def scripts_in(files: guestfs.GuestFS) -> list[str]:
    return [path for path in files.find("/") if path.lower().endswith((".bat", ".ps1"))]


def number_in(files: guestfs.GuestFS, *path: str) -> int:
    node = files.hivex_root()
    for name in path[:-1]:
        node = files.hivex_node_get_child(node, name)
    return int.from_bytes(files.hivex_value_value(files.hivex_node_get_value(node, path[-1])), "little")
