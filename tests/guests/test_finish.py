"""What is done to a Linux guest after virt-v2v, in the real appliance on small made-up systems."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import guestfs
import pytest

from longshore.errors import ConversionError
from longshore.guests.appliance import Guest
from longshore.guests.finish import FIRST_BOOT_SCRIPTS, drop_online_first_boot, finish
from longshore.guests.first_boot import UNIT, add_first_boot
from longshore.guests.inspection import inspect
from longshore.guests.interfaces import LINK_DIRECTORY, keep_nic_names
from longshore.guests.report import Finished, NicName, OperatingSystem
from longshore.guests.serial_console import DEFAULTS, MENU, SNIPPET, enable_serial_console

# It needs no cloud, but whatever the appliance does takes many seconds under emulation: so a part is tried every day
pytestmark = pytest.mark.lab

SHELL = Path("/bin/busybox")  # the static one: the made-up systems have no libraries
UPDATE_GRUB = """#!/bin/sh
GRUB_CMDLINE_LINUX=quiet
[ ! -e /etc/default/grub.d/90-longshore-console.cfg ] || . /etc/default/grub.d/90-longshore-console.cfg
cat > /boot/grub/grub.cfg << END
\tset root='hostdisk//dev/sda,msdos1'
\t  search --no-floppy --fs-uuid --set=root 1234
\tlinux\t/vmlinuz root=$(cat /root-device) $GRUB_CMDLINE_LINUX
END
"""
BEFORE = (
    b"\tset root='hd0,msdos1'\n\t  search --no-floppy --fs-uuid --set=root 1234\n"
    b"\tlinux\t/vmlinuz root=UUID=1234 quiet\n"
)
ROOT = "/dev/sda2"
SYSTEM = OperatingSystem(ROOT, "linux", "debian", "12.5", "Debian 12.5", "x86_64", "deb", "made-up", {"/": ROOT})
NICS = [NicName("00:50:56:00:00:01", "ens192"), NicName("00:50:56:00:00:02", "ens224")]


@pytest.fixture(scope="module")
def appliance(empty_appliance) -> guestfs.GuestFS:
    """A disk with a small partition for the system: its file system is made anew for each test."""
    empty_appliance.part_init("/dev/sda", "mbr")
    empty_appliance.part_add("/dev/sda", "p", 2048, 4095)
    empty_appliance.part_add("/dev/sda", "p", 4096, 135167)
    return empty_appliance


@pytest.fixture
def guest(appliance) -> Iterator[Guest]:
    """An empty file system with systemd's directories; each test adds what it is about."""
    appliance.mkfs("ext4", ROOT)
    appliance.mount(ROOT, "/")
    for directory in ("/usr/lib/systemd/network", "/etc/network", "/dev", "/proc", "/sys", "/bin", "/usr/sbin", "/tmp"):
        appliance.mkdir_p(directory)
    yield Guest(appliance, SYSTEM)
    appliance.umount_all()


@contextmanager
def shell_in(guest: Guest) -> Iterator[None]:
    guest.files.upload(str(SHELL), "/bin/busybox")
    guest.files.chmod(0o755, "/bin/busybox")
    for name in ("sh", "cat", "find"):
        guest.files.ln_s("busybox", f"/bin/{name}")
    yield


def links(guest: Guest) -> dict[str, str]:
    if not guest.files.is_dir(LINK_DIRECTORY):
        return {}
    names = guest.files.ls(LINK_DIRECTORY)
    return {name: guest.files.read_file(f"{LINK_DIRECTORY}/{name}").decode() for name in names}


@pytest.mark.turns("finishing a Linux")
def test_every_name_is_kept_also_one_that_the_network_configuration_has_not(guest):
    guest.files.write("/etc/network/interfaces", b"iface ens192 inet dhcp\n# iface ens224 inet dhcp\n")
    changes = keep_nic_names(guest, NICS)
    assert links(guest) == {
        f"10-longshore-{nic.name}.link": f"[Match]\nMACAddress={nic.mac}\nPath=*\n\n[Link]\nName={nic.name}\n"
        for nic in NICS
    }
    assert [change.partition(" (")[0] for change in changes] == [
        f"The interface with MAC address {nic.mac} keeps its name {nic.name}" for nic in NICS
    ]


@pytest.mark.soak
@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/etc/netplan/50-cloud-init.yaml", b"network:\n  ethernets:\n    ens224: {dhcp4: true}\n"),
        ("/etc/sysconfig/network-scripts/ifcfg-ens224", b"BOOTPROTO=dhcp\n"),
        ("/etc/NetworkManager/system-connections/lan.nmconnection", b"[connection]\ninterface-name=ens224\n"),
        ("/etc/systemd/network/lan.network", b"[Match]\nName=ens224\n"),
        ("/etc/network/interfaces.d/lan", b"auto ens224:1\niface ens224 inet manual\n"),
    ],
)
def test_every_way_of_configuring_an_interface_is_understood(guest, path, content):
    guest.files.mkdir_p(path.rpartition("/")[0])
    guest.files.write(path, content)
    keep_nic_names(guest, [NicName("00:50:56:00:00:02", "ens33", ("ens224",))])
    assert [name for name in links(guest) if name.startswith("10-")] == ["10-longshore-ens224.link"]


@pytest.mark.turns("finishing a Linux")
def test_a_guest_without_systemd_keeps_its_hands_clean(guest):
    guest.files.rm_rf("/usr/lib/systemd")
    guest.files.write("/etc/network/interfaces", b"iface ens192 inet dhcp\n")
    assert keep_nic_names(guest, NICS) == []
    assert links(guest) == {}


def grub(guest: Guest, root_now: str) -> bytes:
    guest.files.mkdir_p("/etc/default")
    guest.files.mkdir_p("/boot/grub")
    guest.files.write(DEFAULTS, b"GRUB_TIMEOUT=0\n")
    guest.files.write(MENU, BEFORE)
    guest.files.write("/root-device", root_now.encode())
    guest.files.write("/usr/sbin/update-grub", UPDATE_GRUB.encode())
    guest.files.chmod(0o755, "/usr/sbin/update-grub")
    return BEFORE


@pytest.mark.turns("finishing a Linux")
def test_the_serial_console_is_added_once(guest):
    with shell_in(guest):
        grub(guest, "UUID=1234")
        done = enable_serial_console(guest)
        assert (len(done.changes), done.warnings) == (1, ())
        assert b"root=UUID=1234 quiet console=tty0 console=ttyS0,115200n8" in guest.files.read_file(MENU)
        assert enable_serial_console(guest) == Finished()


@pytest.mark.turns("finishing a Linux")
def test_a_menu_with_another_root_is_put_back(guest):
    with shell_in(guest):
        menu = grub(guest, "/dev/sda1")
        done = enable_serial_console(guest)
        assert done.changes == ()
        assert "would boot from root=/dev/sda1 and not from root=UUID=1234" in done.warnings[0]
        assert "a login prompt can't prove" in done.warnings[0]
        assert guest.files.read_file(MENU) == menu
        assert not guest.files.exists(SNIPPET)


@pytest.mark.turns("finishing a Linux")
def test_a_failing_update_leaves_the_menu_alone(guest):
    menu = grub(guest, "UUID=1234")  # and no shell in the guest to run it
    done = enable_serial_console(guest)
    assert done.changes == ()
    assert "the boot menu is as it was: update-grub failed" in done.warnings[0]
    assert guest.files.read_file(MENU) == menu
    assert not guest.files.exists(SNIPPET)


def first_boot(guest: Guest, *scripts: str) -> None:
    guest.files.mkdir_p(FIRST_BOOT_SCRIPTS)
    guest.files.mkdir_p("/etc/systemd/system/multi-user.target.wants")
    guest.files.mkdir_p("/usr/lib/systemd/system")
    guest.files.ln_s("usr/lib", "/lib")
    guest.files.touch("/usr/lib/systemd/system/guestfs-firstboot.service")
    guest.files.touch("/etc/systemd/system/multi-user.target.wants/guestfs-firstboot.service")
    for script in scripts:
        guest.files.touch(f"{FIRST_BOOT_SCRIPTS}/{script}")


AGENT = ("5000-0001-wait-online", "5000-0003-install-qga", "5000-0005-start-qga")


@pytest.mark.turns("finishing a Linux")
def test_the_online_installation_goes_with_its_service(guest):
    with shell_in(guest):
        first_boot(guest, *AGENT)
        assert len(drop_online_first_boot(guest)) == 1
    assert not guest.files.exists(FIRST_BOOT_SCRIPTS)
    assert not guest.files.exists("/usr/lib/systemd/system/guestfs-firstboot.service")
    assert guest.files.ls("/etc/systemd/system/multi-user.target.wants") == []


@pytest.mark.turns("finishing a Linux")
def test_first_boot_scripts_of_others_stay(guest):
    first_boot(guest, *AGENT, "5000-0006-users-own")
    assert len(drop_online_first_boot(guest)) == 1
    assert guest.files.ls(FIRST_BOOT_SCRIPTS) == ["5000-0006-users-own"]
    assert guest.files.exists("/usr/lib/systemd/system/guestfs-firstboot.service")
    assert drop_online_first_boot(guest) == []


@pytest.mark.turns("finishing a Linux")
def test_other_systems_are_left_alone(guest):
    guest.files.write("/etc/network/interfaces", b"iface ens192 inet dhcp\n")
    windows = OperatingSystem("/dev/sda2", "windows", "windows", "10.0", "Windows", "x86_64", "unknown", "w", {})
    assert finish(Guest(guest.files, windows), NICS, []) == Finished()
    guest.files.mount(ROOT, "/")
    assert links(guest) == {}


@pytest.mark.soak
def test_disks_without_a_system_are_refused(guest):
    guest.files.umount_all()
    with pytest.raises(ConversionError, match="No operating system was found"):
        inspect(guest.files)


@pytest.mark.soak
def test_a_system_is_described(guest):
    files = guest.files
    for directory in ("/etc", "/boot", "/var", "/bin"):
        files.mkdir_p(directory)
    files.write("/etc/os-release", b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n')
    files.write("/etc/debian_version", b"12.5\n")
    files.write("/etc/hostname", b"made-up\n")
    files.write("/etc/fstab", f"{ROOT} / ext4 defaults 0 1\n".encode())
    files.umount_all()
    system = inspect(files)
    assert (system.family, system.distribution, system.version) == ("linux", "debian", "12.5")
    assert (system.product, system.package_format, system.host_name) == ("Debian 12.5", "deb", "made-up")
    assert system.mounts["/"] == ROOT


@pytest.mark.turns("finishing a Linux")
def test_scripts_for_the_first_boot_are_started_by_systemd(guest):
    guest.files.mkdir_p("/etc/systemd/system")
    (said,) = add_first_boot(guest, ["echo one", "#!/bin/bash\necho two"])
    assert said == "2 script(s) run when the guest boots for the first time."
    assert guest.files.cat("/usr/lib/longshore-first-boot/scripts/001") == "#!/bin/sh\necho one"
    assert guest.files.cat("/usr/lib/longshore-first-boot/scripts/002") == "#!/bin/bash\necho two"
    assert guest.files.readlink("/etc/systemd/system/multi-user.target.wants/longshore-first-boot.service") == UNIT
    assert add_first_boot(guest, []) == []


@pytest.mark.turns("finishing a Linux")
def test_a_guest_without_systemd_gets_no_scripts_and_that_is_said(guest):
    (said,) = add_first_boot(guest, ["echo one"])
    assert "left out" in said
    assert not guest.files.exists("/usr/lib/longshore-first-boot")
