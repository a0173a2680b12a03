"""A Debian that is configured as Ubuntu's installer does it moves into another subnet: tried there with one address,
then moved with another.

It has what a VMware guest of that kind has: a volume that fstab names by LVM's own UUIDs (libguestfs/libguestfs#187),
an interface with a static address by systemd-networkd, and a VLAN on that (systemd/systemd#24259).
"""

import os
import re
import subprocess
import tarfile
import uuid
from pathlib import Path

import guestfs
import pytest
from moves import READY, only_migration, seen_on, state_of

from conftest import Guest, wait_for
from longshore.guests.appliance import BACKEND

# Two boots of a real distribution, whose disks are looked into four times: minutes each, without virtualisation
pytestmark = [pytest.mark.lab, pytest.mark.soak, pytest.mark.timeout(1800)]

HOME, TRIED, MOVED = "10.20.30.43", "10.20.31.88", "10.20.31.77"
SUBNET, ROUTER = "10.20.31.0/24", "10.20.31.1"
VLAN = "192.0.2.7/24"
PACKAGES = (
    "lvm2",
    "dmeventd",
    "libdevmapper-event1.02.1",
    "liblvm2cmd2.03",
    "libaio1",
    "libedit2",
    "libbsd0",
    "libmd0",
)
UNITS = "/etc/systemd/system"
WANTED = f"{UNITS}/multi-user.target.wants"
FILES = {
    "/etc/network/interfaces": "auto lo\niface lo inet loopback\n",
    "/etc/systemd/network/20-lan.network": (
        f"[Match]\nName=ens192\n\n[Network]\nAddress={HOME}/24\nGateway=10.20.30.1\nVLAN=ens192.100\n"
    ),
    "/etc/systemd/network/20-vlan.netdev": "[NetDev]\nName=ens192.100\nKind=vlan\n\n[VLAN]\nId=100\n",
    "/etc/systemd/network/20-vlan.network": f"[Match]\nName=ens192.100\n\n[Network]\nAddress={VLAN}\n",
    f"{UNITS}/tell.service": (
        "[Unit]\nAfter=ledgerd.service\n[Service]\nExecStart=/bin/sh -c 'until ip -br -4 address show dev ens192.100 | "
        "grep -q /; do sleep 2; done; ip -br -4 address show dev ens192.100 > /dev/ttyS0'\n"
    ),
}


@pytest.fixture(scope="module")
def machine(sidedoor, lab):
    """Switched off, as it comes; its data are on a volume of LVM's."""
    name, mac = f"vlan-{uuid.uuid4().hex[:8]}", f"00:50:56:3f:{uuid.uuid4().hex[:2]}:{uuid.uuid4().hex[:2]}"
    place = lab.root / "cache" / "guests" / name
    place.mkdir()
    try:
        root, data = place / "root.raw", place / "data.raw"
        subprocess.run(["cp", "--sparse=always", lab.root / "cache/guests/debian/root.raw", root], check=True)
        with data.open("wb") as file:
            file.truncate(512 << 20)
        as_ubuntu_makes_it(root, data, place / "lvm.tar")
        disks = [
            {"datastore": f"datastore{n}", "image": f"{name}/{disk.name}"} for n, disk in enumerate((root, data), 1)
        ]
        sidedoor.add_machine("web01", name, disks=disks, nics=[{"network": "VM Network", "mac": mac}])
        yield Guest(name, mac)
        sidedoor.remove_machines(name)
    finally:
        subprocess.run(["rm", "-r", place], check=True)


def as_ubuntu_makes_it(root, data, lvm):
    with tarfile.open(lvm, "w") as archive:
        shipped = subprocess.run(["dpkg", "-L", *PACKAGES], check=True, capture_output=True, text=True).stdout
        for path in map(Path, shipped.split()):
            if path.is_symlink() or path.is_file():
                archive.add(path, path.parent.resolve() / path.name)
    for name, value in {**BACKEND, "LIBGUESTFS_BACKEND_SETTINGS": "force_tcg"}.items():
        os.environ.setdefault(name, value)
    files = guestfs.GuestFS(python_return_dict=True)
    for disk in (root, data):
        files.add_drive_opts(str(disk), format="raw")
    files.launch()
    files.pvcreate("/dev/sdb")
    files.vgcreate("ubuntu-vg", ["/dev/sdb"])
    files.lvcreate_free("data", "ubuntu-vg", 100)
    files.mkfs("ext4", "/dev/ubuntu-vg/data")
    of_lvm = (files.vgs_full()[0]["vg_uuid"] + files.lvs_full()[0]["lv_uuid"]).replace("-", "")
    files.mount("/dev/sda1", "/")
    files.tar_in(str(lvm), "/")
    fstab = [line for line in files.read_lines("/etc/fstab") if "/data" not in line]
    by_id = f"/dev/disk/by-id/dm-uuid-LVM-{of_lvm} /data ext4 defaults 0 2"
    for path, text in {"/etc/fstab": "\n".join([*fstab, by_id, ""]), **FILES}.items():
        files.write(path, text.encode())
    files.ln_s(f"{UNITS}/tell.service", f"{WANTED}/tell.service")
    files.ln_s("/lib/systemd/system/systemd-networkd.service", f"{WANTED}/systemd-networkd.service")
    files.command(["ldconfig"])
    files.shutdown()
    files.close()


@pytest.fixture
def other(cloud):
    """Another network of the project's, and a security group that lets pings in."""
    network = cloud.network.create_network(name=f"other-{uuid.uuid4().hex[:6]}")
    cloud.network.create_subnet(network_id=network.id, cidr=SUBNET, gateway_ip=ROUTER, ip_version=4)
    group = cloud.network.create_security_group(name=network.name)
    cloud.network.create_security_group_rule(security_group_id=group.id, direction="ingress", protocol="icmp")
    yield network
    cloud.network.delete_network(network)
    cloud.network.delete_security_group(group)


@pytest.fixture
def migrated(machine, cli, other, tidy):
    """Moves the machine in the way of these words, and answers what is known of that."""
    to = ["--from", "vc", "--to", "cloud", "--network", f"VM Network={other.name}", "--security-group", other.name]
    to += ["--landing", "as-is", "--boot-mark", READY, "--wait", "--plain"]
    to += ["--address", f"{machine.mac},ipv4={MOVED}/24,gateway={ROUTER}"]
    to += ["--test-address", f"{machine.mac},ipv4={TRIED}/24,gateway={ROUTER}"]

    def migrated(*words):
        done = cli("migrate", machine.name, *to, *words, timeout=1500)
        assert done.returncode == 0, done.stderr
        return state_of(cli, only_migration(cli))

    return migrated


def test_it_is_tried_there_with_an_address_of_its_own(machine, migrated, cli, cloud, other):
    shown = migrated("--type", "dry-run", "--keep")
    mac = is_up_with(TRIED, shown, cloud, other)
    assert mac != machine.mac  # which may be in use
    done = cli("migration", "cleanup", shown["id"])
    assert done.returncode == 0, done.stderr


def test_it_is_moved_there_and_answers(machine, migrated, cloud, other):
    assert is_up_with(MOVED, migrated("--power", "on"), cloud, other) == machine.mac


def is_up_with(address, shown, cloud, network):
    """It answers there, and only there; its disks are where fstab says; its VLAN is up. Answers its MAC address."""
    server = shown["server_id"]
    (port,) = cloud.network.ports(device_id=server)
    assert [fixed["ip_address"] for fixed in port.fixed_ips] == [address]
    seen = seen_on(cloud, server)
    assert seen.verified.bad == 0
    assert seen.mounts["/data"] == "/dev/mapper/ubuntu--vg-data"
    assert {disk.driver for disk in seen.disks} == {"vmw_pvscsi", "virtio_blk"}  # as it is
    told = lambda: cloud.compute.get_server_console_output(server)["output"]  # noqa: E731
    wait_for(lambda: re.search(rf"^ens192\.100@ens192 +UP +{re.escape(VLAN)} *\r?$", told(), re.M), 120, "its VLAN")
    (nic,) = seen_on(cloud, server).nics.values()
    assert (nic.name, nic.mac, nic.addresses) == ("ens192", port.mac_address, (f"{address}/24",))
    ping = ["ip", "netns", "exec", f"qdhcp-{network.id}", "ping", "-c", "3", "-W", "5", address]
    assert subprocess.run(ping).returncode == 0
    return port.mac_address
