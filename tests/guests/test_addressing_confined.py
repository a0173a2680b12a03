"""Addresses are written in the confined process and in the real appliance: owner and mode stay, and all comes back."""

import asyncio
import os
from contextlib import ExitStack

import phony
import pytest

from longshore.blocks.exports import serve_qemu_nbd
from longshore.guests.process import finish_as_is, look_into, put_back
from longshore.guests.report import NicName
from longshore.model.addresses import AdapterInGuest, Addressing, NewAddresses

# It needs no cloud, but starts six appliances, under emulation; the writers themselves are tested every day
pytestmark = [pytest.mark.lab, pytest.mark.soak]

MAC = "00:50:56:00:00:01"
NIC = NicName(MAC, "ens192", ("eno33557248", "enp11s0"), MAC, "eth0")
NETPLAN = "/etc/netplan/00-installer.yaml"
# From Ubuntu's installer, with a line of somebody's
TEXT = """\
# This is the network config written by 'subiquity'
network:
  ethernets:
    ens192:
      addresses: [192.0.2.10/24]  # web01
      routes:
      - to: default
        via: 192.0.2.1
  version: 2
"""
WANTED = Addressing(ipv4="198.51.100.7/24", gateway="198.51.100.1", dns=("198.51.100.53",))


def test_netplan_in_a_guest_that_lands_as_it_is_and_comes_home(tmp_path):
    handle = phony.start(tmp_path, os.environ)
    phony.debian_subvolume(handle)
    handle.mount_options("subvol=@rootfs", "/dev/sda1", "/")
    handle.rm("/etc/network/interfaces")
    handle.mkdir_p("/etc/netplan")
    handle.write(NETPLAN, TEXT.encode())
    handle.chmod(0o600, NETPLAN)
    handle.chown(7, 8, NETPLAN)
    handle.shutdown()
    handle.close()
    adapter = AdapterInGuest(MAC, MAC, NIC.names, ("192.0.2.10",))
    new = NewAddresses((AdapterInGuest(MAC, MAC, NIC.names, ("192.0.2.10",), WANTED),))
    said: list[str] = []
    with ExitStack() as served:
        disks = [served.enter_context(serve_qemu_nbd(disk)).uri for disk in sorted(tmp_path.glob("*.raw"))]
        found = asyncio.run(look_into(disks, tmp_path, print, nics=[NIC], adapters=NewAddresses((adapter,))))
        assert (found.inspected, found.unaddressable) == (True, {})
        changes = asyncio.run(
            finish_as_is(
                disks, tmp_path, said.append, nics=[NIC], drivers=found.drivers, new_addresses=new, keep_former=True
            )
        )
        assert [change for change in changes if "198.51.100.7/24" in change and NETPLAN in change]
        assert not [text for text in said if text.startswith("Warning")]
    written, status = held(tmp_path)
    assert "# This is the network config written by 'subiquity'" in written
    assert "198.51.100.7/24" in written
    assert "192.0.2" not in written
    assert status == (0o600, 7, 8)
    with ExitStack() as served:
        disks = [served.enter_context(serve_qemu_nbd(disk)).uri for disk in sorted(tmp_path.glob("*.raw"))]
        (change,) = asyncio.run(put_back(disks, tmp_path, print))
    assert NETPLAN in change
    assert held(tmp_path) == (TEXT, (0o600, 7, 8))


def held(directory):
    """What is in the file, and its mode, owner and group."""
    import guestfs

    handle = guestfs.GuestFS(python_return_dict=True)
    try:
        handle.add_drive_opts(str(directory / "disk0.raw"), format="raw", readonly=True)
        handle.launch()
        handle.mount_options("ro,subvol=@rootfs", "/dev/sda1", "/")
        told = handle.statns(NETPLAN)
        status = (told["st_mode"] & 0o777, told["st_uid"], told["st_gid"])
        return handle.read_file(NETPLAN).decode(), status
    finally:
        handle.close()
