"""The Debian machine as VMware has it, converted in place on both its disks, and what was changed on them in detail.

It is converted in a migration, hostile and booted every day: test_cold_migration.
"""

import asyncio
import json
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from longshore.blocks.exports import serve_qemu_nbd
from longshore.guests.finish import FIRST_BOOT
from longshore.guests.process import convert, inspect_guest
from longshore.guests.report import NicName

pytestmark = [pytest.mark.lab, pytest.mark.soak]

MAC = "00:50:56:ab:cd:01"
LINK = "/etc/systemd/network/10-longshore-ens192.link"


class Root:
    """The root disk's file system, looked at without the guest and without the code under test."""

    def __init__(self, disk: Path) -> None:
        table = json.loads(_output("sfdisk", "--json", disk))["partitiontable"]
        self._device = f"{disk}?offset={table['partitions'][0]['start'] * 512}"

    def read(self, path: str) -> str:
        """Empty when it isn't there."""
        return _output("debugfs", "-R", f"cat {path}", self._device)

    def names(self, directory: str) -> set[str]:
        """Empty when it isn't there."""
        listed = _output("debugfs", "-R", f"ls -p {directory}", self._device)
        return {line.split("/")[5] for line in listed.splitlines() if line.startswith("/")} - {".", ".."}

    def initramfs(self, copy: Path) -> set[str]:
        """Names of all files in the guest's initramfs."""
        (name,) = (name for name in self.names("/boot") if name.startswith("initrd.img-") and "pre-v2v" not in name)
        _output("debugfs", "-R", f"dump /boot/{name} {copy}", self._device)
        return {line.rpartition("/")[2] for line in _output("lsinitramfs", copy).splitlines()}


def _output(*command) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def disks(lab, tmp_path):
    """Root and data disk, copied: the lab's own may be built anew at any time."""
    names = ("root.raw", "data.raw")
    for name in names:
        subprocess.run(["cp", "--sparse=always", lab.root / "cache/guests/debian" / name, tmp_path / name], check=True)
    return [tmp_path / name for name in names]


def test_the_debian_machine_is_converted_on_both_disks(disks, tmp_path):
    root = Root(disks[0])
    kept = ("/etc/fstab", "/etc/network/interfaces", "/etc/default/grub")
    before = {path: root.read(path) for path in kept}
    assert "UUID=" in before["/etc/fstab"]
    assert "virtio_blk.ko" not in root.initramfs(tmp_path / "before")

    heard: list[str] = []
    with ExitStack() as stack:
        uris = [stack.enter_context(serve_qemu_nbd(disk)).uri for disk in disks]
        system = asyncio.run(inspect_guest(uris, tmp_path / "report"))
        nics = [NicName(MAC, "ens192"), NicName("00:50:56:ab:cd:99", "ens999")]
        report = asyncio.run(convert(uris, tmp_path / "report", heard.append, nics=nics, system=system))

    assert report.system == system
    assert (system.family, system.distribution, system.package_format) == ("linux", "debian", "deb")
    assert (system.architecture, system.host_name, set(system.mounts)) == ("x86_64", "web01", {"/", "/data"})
    assert any("virtio" in message for message in report.messages)
    assert f"Converting {system.product} to run on KVM" in heard
    assert "Removing open-vm-tools, which served the old hypervisor" in heard
    assert not [message for message in heard if "will be installed" in message or "libvirtxml" in message]
    assert Path(report.log).stat().st_size > 0

    assert {"virtio_blk.ko", "virtio_net.ko", "virtio_pci.ko"} <= root.initramfs(tmp_path / "after")
    assert {path: root.read(path) for path in kept} == before
    assert f"MACAddress={MAC}" in root.read(LINK)
    assert "Name=ens192" in root.read(LINK)
    assert not root.read(LINK.replace("ens192", "ens999"))
    assert root.names(FIRST_BOOT) == set()
    assert "guestfs-firstboot.service" not in root.names("/etc/systemd/system/multi-user.target.wants")
