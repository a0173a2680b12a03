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
from longshore.guests import NicAddresses, convert
from longshore.guests.appliance import BACKEND

# It needs no cloud, but each appliance takes many seconds to start under emulation
pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

MAC = "00:50:56:00:00:01"
STATIC = {
    "EnableDHCP": number(0),
    "IPAddress": texts("192.0.2.7"),
    "SubnetMask": texts("255.255.255.0"),
    "DefaultGateway": texts("192.0.2.1"),
    "NameServer": 'str(1):"192.0.2.53"',
}
SERVICES = {"VMTools": 2, "pvscsi": 0, "vmxnet3ndis6": 3}


@contextmanager
def appliance(disk: Path) -> Iterator[guestfs.GuestFS]:
    for name, value in {**BACKEND, "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}.items():
        os.environ.setdefault(name, value)  # without KVM: it is there on some test machines, and guests hang on it
    handle = guestfs.GuestFS(python_return_dict=True)
    handle.add_drive_opts(str(disk), format="raw")
    handle.launch()
    yield handle
    handle.close()


@pytest.mark.parametrize(
    ("product", "build", "variant", "drivers"),
    [
        ("Windows Server 2022 Made Up", "20348", "Server", "2k22"),
        pytest.param("Windows Server 2019 Made Up", "17763", "Server", "2k19", marks=pytest.mark.soak),
        pytest.param("Windows 10 Made Up", "19045", "Client", "w10", marks=pytest.mark.soak),
        # virt-v2v 2.6 knows nothing later than 2022
        pytest.param("Windows Server 2025 Made Up", "26100", "Server", "2k16", marks=pytest.mark.soak),
    ],
)
def test_its_drivers_and_its_address_are_there(tmp_path, monkeypatch, product, build, variant, drivers):
    disk = tmp_path / "windows.raw"
    with disk.open("wb") as file:
        file.truncate(512 << 20)
    with appliance(disk) as files:
        files.part_disk("/dev/sda", "mbr")
        write(files, "/dev/sda1", Windows(product, build, variant, SERVICES, STATIC), tmp_path)
        files.shutdown()
    monkeypatch.setenv("VIRTIO_WIN", str(virtio_win(tmp_path / "virtio-win", "2k16", "2k19", "2k22", "w10")))

    with serve_qemu_nbd(disk, read_only=False) as export:
        ports = [NicAddresses(MAC, ("192.0.2.7",))]
        report = asyncio.run(convert([export.uri], tmp_path / "report", print, addresses=ports))

    assert report.system.product == product
    kept = f"Windows gives itself the address 192.0.2.7/24 on the adapter {MAC} at its first boot."
    assert kept in report.changes
    assert [change for change in report.changes if re.match(r"Windows restarts \d times at its first boot", change)]
    assert report.warnings == ()
    with appliance(disk) as files:
        files.mount_ro("/dev/sda1", "/")
        driver = files.read_file("/Windows/System32/drivers/viostor.sys")
        # What the service of its first boot runs: programs for PowerShell are in a directory beside its scripts
        scripts = [path for path in files.find("/") if path.lower().endswith((".bat", ".ps1"))]
        first_boot = b"".join(files.read_file(f"/{path}") for path in scripts)
        files.hivex_open("/Windows/System32/config/SYSTEM")
        node = files.hivex_root()
        for name in ("ControlSet001", "Services", "viostor"):
            node = files.hivex_node_get_child(node, name)
        start = files.hivex_value_value(files.hivex_node_get_value(node, "Start"))
    assert driver == f"viostor.sys for {drivers}".encode()
    assert int.from_bytes(start, "little") == 0  # at boot
    assert b"192.0.2.7" in first_boot
    assert b"192.0.2.1" in first_boot
