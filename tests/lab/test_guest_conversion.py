"""The Debian machine as VMware has it, converted in place on both its disks; it boots in test_cold_migration."""

import asyncio
import subprocess
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from longshore.blocks.exports import serve_qemu_nbd
from longshore.guests import ConversionReport, NicName, convert
from longshore.guests.appliance import opened
from longshore.guests.finish import FIRST_BOOT

pytestmark = pytest.mark.lab

MAC = "00:50:56:ab:cd:01"


@pytest.fixture
def disks(lab, tmp_path):
    """Root and data disk, copied: the lab's own may be built anew at any time."""
    names = ("root.raw", "data.raw")
    for name in names:
        subprocess.run(["cp", "--sparse=always", lab.root / "cache/guests/debian" / name, tmp_path / name], check=True)
    return [tmp_path / name for name in names]


def looked_into(disks, *paths: str) -> tuple[dict[str, str], str]:
    """Files of the guest, and what its newest initramfs holds."""
    with ExitStack() as stack:
        exports = [stack.enter_context(serve_qemu_nbd(disk, tcp_port=True)) for disk in disks]
        ports = [urlsplit(export.uri).port for export in exports]
        guest = stack.enter_context(opened(ports, read_only=True))
        found = {path: guest.files.read_file(path).decode() for path in paths if guest.files.is_file(path)}
        found |= {path: "directory" for path in paths if guest.files.is_dir(path)}
        return found, guest.run("lsinitramfs $(ls /boot/initrd.img-* | grep -v pre-v2v | tail -n 1)")


def test_the_debian_machine_is_converted_on_both_disks(disks, tmp_path):
    link = "/etc/systemd/network/10-longshore-ens192.link"
    kept = ("/etc/fstab", "/etc/network/interfaces")
    before, initramfs = looked_into(disks, *kept)
    assert "UUID=" in before["/etc/fstab"]
    assert "virtio_blk" not in initramfs

    heard: list[str] = []
    with ExitStack() as stack:
        uris = [stack.enter_context(serve_qemu_nbd(disk)).uri for disk in disks]
        nics = [NicName(MAC, "ens192"), NicName("00:50:56:ab:cd:99", "ens999")]
        report = asyncio.run(convert(uris, tmp_path / "report", heard.append, nics=nics))

    assert (report.system.family, report.system.distribution) == ("linux", "debian")
    assert set(report.system.mounts) == {"/", "/data"}
    assert any("virtio" in message for message in report.messages)
    assert [message for message in heard if message.startswith("Converting")]
    assert ConversionReport.from_json(report.to_json()) == report
    assert (tmp_path / "report" / "virt-v2v.log").stat().st_size > 0

    after, initramfs = looked_into(disks, *kept, link, link.replace("ens192", "ens999"), FIRST_BOOT)
    assert {"virtio_blk", "virtio_net", "virtio_pci"} <= {
        name.removesuffix(".ko") for name in initramfs.replace("\n", "/").split("/") if name.endswith(".ko")
    }
    assert {path: after[path] for path in kept} == {path: before[path] for path in kept}
    assert set(after) == {*kept, link}
    assert f"MACAddress={MAC}" in after[link]
    assert "Name=ens192" in after[link]
