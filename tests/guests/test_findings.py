"""What a look onto disks tells of made-up guests, in the real appliance: one start of it for all of them."""

import struct

import guestfs
import pytest
from phony_windows import Windows, number, texts, write

from longshore.guests.findings import find
from longshore.model.forms import form
from longshore.model.guest import GuestFindings

pytestmark = pytest.mark.lab  # it needs no cloud, but each appliance takes many seconds to start under emulation

FIRST, SECOND = "/dev/sda1", "/dev/sda2"
HIBERNATED = b"hibr".ljust(4096, b"\0")
PENDING = (r"Component Based Servicing\RebootPending", r"WindowsUpdate\Auto Update\RebootRequired")


@pytest.fixture(scope="module")
def appliance(empty_appliance) -> guestfs.GuestFS:
    """A disk of two partitions, and one of none: libguestfs can't look into a Windows beside a disk without a table."""
    empty_appliance.part_init("/dev/sdb", "mbr")
    empty_appliance.part_init("/dev/sda", "mbr")
    empty_appliance.part_add("/dev/sda", "p", 2048, 262143)
    empty_appliance.part_add("/dev/sda", "p", 262144, 524287)
    return empty_appliance


@pytest.fixture
def disks(appliance) -> guestfs.GuestFS:
    """Nothing is on its partitions."""
    for partition in (FIRST, SECOND):
        appliance.zero(partition)
    return appliance


def look(disks) -> GuestFindings:
    """As it comes back from the confined process, and out of the database."""
    found = find(disks, [])
    disks.umount_all()
    kept = form(GuestFindings)
    assert kept.validate_json(kept.dump_json(found)) == found
    return found


def debian(disks, device, **more: bytes) -> None:
    files = {
        "/etc/debian_version": b"12.5\n",
        "/etc/hostname": b"made-up\n",
        "/etc/fstab": f"{device} / ext4\n".encode(),
        **more,
    }
    disks.mkfs("ext4", device)
    disks.mount(device, "/")
    for directory in ("/bin", "/boot/grub", "/etc/selinux", "/etc/cloud", "/usr/bin", "/usr/sbin", "/var"):
        disks.mkdir_p(directory)
    for path, content in files.items():
        disks.write(path, content)
    disks.umount_all()


@pytest.mark.turns("looks")
def test_a_windows_with_everything_about_it(disks, tmp_path):
    addresses = {
        "EnableDHCP": number(0),
        "IPAddress": texts("192.0.2.7", "198.51.100.7"),
        "SubnetMask": texts("255.255.255.0", "255.255.0.0"),
        "DefaultGateway": texts("192.0.2.1"),
        "NameServer": 'str(1):"192.0.2.53,192.0.2.54"',
    }
    letters = {
        "D:": "\\??\\SCSI#CdRom&Ven_NECVMWar&Prod_VMware_SATA_CD00#5&1".encode("utf-16-le"),
        "E:": b"5678" + bytes(8),  # a disk that isn't there
        "F:": b"DMIO:ID:" + bytes(16),
    }
    windows = Windows.with_tools(
        addresses=addresses,
        keys=PENDING,
        fast_startup=True,
        files={"/Windows/WinSxS/pending.xml": b"<x/>"},
        kind="LanmanNT",
        san_policy=4,
        letters=letters,
    )
    write(disks, FIRST, windows, tmp_path)
    disks.pwrite_device("/dev/sda", b"\x42", 446 + 16 + 4)  # the type of the second partition
    try:
        found = look(disks)
    finally:
        disks.pwrite_device("/dev/sda", b"\x83", 446 + 16 + 4)
    assert found.why_not == ""
    assert found.inspected
    [system] = found.systems
    assert (system.family, system.product, system.build) == ("windows", windows.product, "20348")
    assert (system.variant, system.architecture, system.version) == ("Server", "x86_64", "10.0")
    assert [(room.path, room.size > room.free > 0) for room in found.file_systems] == [("C:\\", True)]
    [static] = found.static_addresses
    assert static.addresses == ("192.0.2.7/24", "198.51.100.7/16")
    assert (static.gateways, static.name_servers) == (("192.0.2.1",), ("192.0.2.53", "192.0.2.54"))
    assert len(found.pending_reboot) == 3
    assert (found.vmware_tools, found.guest_agent, found.fast_startup, found.hibernated) == (True, False, True, False)
    assert found.dynamic_disks == ("/dev/sda",)
    # A CD drive's letter goes by its place, and a dynamic volume's by what its disks say of themselves
    assert (found.domain_controller, found.san_policy, found.lost_letters) == (True, 4, ("E:",))
    assert found.drivers.boot == ("vmw_pvscsi",)
    assert found.doubts == ()


@pytest.mark.soak
def test_a_windows_that_sleeps(disks, tmp_path):
    letters = {"F:": b"DMIO:ID:" + bytes(16), "G:": b"1234" + (262144 * 512).to_bytes(8, "little")}
    asleep = Windows(
        services={"QEMU-GA": 2},
        addresses={"EnableDHCP": number(1)},
        files={"/hiberfil.sys": HIBERNATED},
        letters=letters,
    )
    write(disks, FIRST, asleep, tmp_path)
    found = look(disks)
    assert (found.inspected, found.hibernated) == (True, True)
    assert (found.static_addresses, found.pending_reboot, found.dynamic_disks) == ((), (), ())
    assert (found.vmware_tools, found.guest_agent, found.fast_startup) == (False, True, False)
    assert (found.domain_controller, found.san_policy, found.lost_letters) == (False, None, ("F:",))
    assert (found.luks, found.bitlocker, found.suspended, found.dirty) == ((), (), (), ())


@pytest.mark.turns("looks")
def test_a_linux_with_everything_about_it(disks):
    more = {
        "/usr/bin/vmtoolsd": b"",
        "/usr/sbin/qemu-ga": b"",
        "/usr/bin/cloud-init": b"",
        "/etc/selinux/config": b"# SELINUX=disabled\nSELINUX=enforcing\n",
        "/boot/grub/grub.cfg": b"\tlinux /vmlinuz root=UUID=1 ro console=tty0 console=ttyS0,115200n8\n",
    }
    debian(disks, FIRST, **more)
    disks.mkswap(SECOND)
    disks.pwrite_device(SECOND, b"S1SUSPEND\0", 4086)
    found = look(disks)
    assert [(system.distribution, system.product) for system in found.systems] == [("debian", "Debian 12.5")]
    assert (found.vmware_tools, found.guest_agent, found.cloud_init) == (True, True, True)
    assert (found.selinux_enforcing, found.serial_console) == (True, True)
    assert found.suspended == (SECOND,)
    assert [room.path for room in found.file_systems] == ["/"]


@pytest.mark.soak
def test_a_linux_with_nothing_about_it(disks):
    debian(disks, FIRST)
    disks.mkswap(SECOND)
    found = look(disks)
    assert found.inspected
    assert (found.vmware_tools, found.guest_agent, found.cloud_init) == (False, False, False)
    assert (found.selinux_enforcing, found.serial_console, found.suspended) == (False, False, ())


@pytest.mark.soak
def test_two_systems_are_both_named(disks, tmp_path):
    write(disks, FIRST, Windows(), tmp_path)
    debian(disks, SECOND)
    found = look(disks)
    assert (found.inspected, {system.family for system in found.systems}) == (False, {"windows", "linux"})
    assert "several operating systems" in found.why_not


@pytest.mark.turns("looks")
def test_what_is_encrypted_is_named(disks):
    # As much as libblkid looks at. Of BitLocker: the header of Windows 7 and later, and where it says its metadata are
    disks.pwrite_device(FIRST, b"LUKS\xba\xbe\0\1".ljust(592, b"\0"), 0)
    header = b"\xeb\x58\x90-FVE-FS-".ljust(160, b"\0") + bytes.fromhex("3bd67649292ed84a8399f6a339e3d001")
    disks.pwrite_device(SECOND, header + struct.pack("<QQQ", 65536, 131072, 196608) + b"\0" * 300 + b"\x55\xaa", 0)
    disks.pwrite_device(SECOND, b"-FVE-FS-" + struct.pack("<HH", 64, 2), 65536)
    found = look(disks)
    assert (found.inspected, found.systems) == (False, ())
    assert found.why_not.startswith("No operating system was found")
    assert found.drivers.doubts[0].startswith(found.why_not)
    assert (found.luks, found.bitlocker) == ((FIRST,), (SECOND,))


@pytest.mark.soak
def test_a_volume_that_is_not_there_is_a_doubt_and_the_others_are_looked_into(disks):
    """Red Hat's guides for HA-LVM have a group that isn't activated at boot; lvmteam/lvm2#103."""
    debian(disks, FIRST)
    disks.pvcreate(SECOND)
    disks.vgcreate("data", [SECOND])
    disks.lvcreate("cluster", "data", 32)
    disks.vg_activate(False, ["data"])
    try:
        found = look(disks)
        assert (found.inspected, [system.distribution for system in found.systems]) == (True, ["debian"])
        (doubt,) = found.doubts
        assert doubt.startswith("/dev/data/cluster couldn't be read, so what is on it isn't known: ")
    finally:
        disks.umount_all()
        disks.vg_activate(True, ["data"])
        disks.vgremove("data")
        disks.pvremove(SECOND)


@pytest.mark.soak  # every day it is found in stand-ins for the appliance: test_before_conversion
def test_what_virt_v2v_fails_at_is_found(disks):
    """openSUSE MicroOS' root, RHEL-178556, libguestfs#187, virt-v2v#80."""
    debian(disks, FIRST, **{"/etc/fstab": b"/dev/nvme0n1p1 / ext4\n/dev/disk/by-id/a /usr ext4 defaults 0 1\n"})
    disks.mount(FIRST, "/")
    disks.write("/etc/resolv.conf", b"nameserver 192.0.2.1\n")
    disks.set_e2attrs("/etc/resolv.conf", "i")
    disks.umount_all()
    found = look(disks)
    assert (found.inspected, found.immutable, found.read_only) == (True, ("/etc/resolv.conf",), ())
    assert found.not_mounted == ("/dev/disk/by-id/a /usr",)
    assert found.drivers.needed_names == ("/dev/nvme0n1p1",)
    disks.zero(FIRST)
    disks.mkfs("btrfs", FIRST)
    uuid = disks.vfs_uuid(FIRST)
    disks.mount(FIRST, "/")
    for directory in ("/etc", "/bin", "/boot", "/var"):
        disks.mkdir(directory)
    disks.write("/etc/debian_version", b"12.5\n")
    disks.write("/etc/fstab", f"UUID={uuid} / btrfs ro 0 0\n".encode())
    disks.debug("sh", ["btrfs", "property", "set", "-f", "/sysroot", "ro", "true"])
    disks.umount_all()
    assert look(disks).read_only == ("/",)
