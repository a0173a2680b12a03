"""What is said of a guest after a look onto its disks, and of a Windows guest before one."""

from dataclasses import replace

import pytest

from longshore.model.concern import Severity
from longshore.model.guest import FoundSystem, GuestFindings
from longshore.model.hardware import BootDrivers
from longshore.model.machine import Disk, FileSystem, Machine, Nic, PowerState
from longshore.model.platform import Platform
from longshore.model.request import LandingMode, MigrationRequest, MigrationType
from longshore.model.windows import WindowsParts
from longshore.planning import concerns_of_guest
from longshore.planning.guest_checks import guest_concerns
from longshore.planning.windows_checks import GUEST_DOMAIN_CONTROLLER, by_guest_id, by_system

MACHINE = Machine(
    ref="vm-1",
    name="web",
    power=PowerState.ON,
    cpus=1,
    memory_mib=1024,
    disks=(),
    nics=(),
    platform=Platform("vsphere"),
)
DEBIAN = FoundSystem("/dev/sda1", "linux", "debian", "12.5", "Debian 12.5", "x86_64")
SERVER = FoundSystem("/dev/sda2", "windows", "windows", "10.0", "Windows Server 2022", "x86_64", "Server", "20348")
LINUX = GuestFindings(inspected=True, systems=(DEBIAN,), drivers=BootDrivers(True, boot=("vmw_pvscsi",)))
WINDOWS = replace(LINUX, systems=(SERVER,))
PARTS = WindowsParts("/v.iso", "0.1.240", ("2k16/amd64", "2k22/amd64", "w10/x86"), "/srv", ("w11", "2k19", "2k22"))


def said(findings, landing=LandingMode.CONVERT, *, parts=PARTS, accept=(), machine=MACHINE):
    concerns = concerns_of_guest(machine, findings, MigrationRequest(landing=landing, accept=accept), parts)
    return {concern.code: concern for concern in concerns}


def test_nothing_is_said_of_guests_that_can_land():
    assert said(LINUX) == said(WINDOWS) == {}


BLOCKERS = [
    (replace(WINDOWS, hibernated=True), "guest-hibernated", "shutdown /s /t 0"),
    (replace(LINUX, suspended=("/dev/sda2",)), "guest-suspended", "/dev/sda2"),
    (GuestFindings(luks=("/dev/sda3",), why_not="None."), "guest-encrypted", "/dev/sda3 of web is encrypted"),
    (
        GuestFindings(luks=("/dev/sda3",), network_bound=("/dev/sda3",)),
        "guest-encrypted",
        "/dev/sda3 of web is encrypted by LUKS, and Clevis opens /dev/sda3 by a server in the machine's network",
    ),
    (GuestFindings(bitlocker=("/dev/sda3",)), "guest-bitlocker", "manage-bde -off"),
    (replace(LINUX, root_in_fstab=False), "guest-root-not-in-fstab", "doesn't say that /dev/sda1 is its root"),
    (GuestFindings(systems=(DEBIAN, SERVER)), "guest-several-systems", "Debian 12.5 on /dev/sda1, Windows"),
    (GuestFindings(why_not="No operating system was found."), "guest-not-inspected", "No operating system was"),
    (replace(LINUX, file_systems=(FileSystem("/", 1 << 30, 60 << 20),)), "guest-no-room", "60 MiB left"),
    (replace(WINDOWS, file_systems=(FileSystem("C:\\", 1 << 30, 0),)), "guest-no-room", "needs 100"),
    (replace(LINUX, systems=(replace(DEBIAN, distribution="archlinux"),)), "guest-os-unsupported", "as-is"),
    (replace(LINUX, read_only=("/",)), "guest-read-only", "btrfs property set / ro false"),
    (replace(LINUX, immutable=("/etc/resolv.conf",)), "guest-read-only", "/etc/resolv.conf of web can't be changed"),
    (replace(LINUX, without_inodes=("/boot",)), "guest-no-inodes", "/boot of web"),
    (replace(LINUX, not_mounted=("/dev/disk/by-id/a /usr",)), "guest-part-not-mounted", "by UUID="),
    (replace(LINUX, without_kernel=True), "guest-no-kernel", "kernel package"),
    (replace(LINUX, without_initramfs_tool=True), "guest-no-initramfs-tool", "Install dracut or initramfs-tools"),
    (replace(LINUX, without_boot_menu=True), "guest-no-boot-menu", "Install GRUB in the guest"),
    (
        # libguestfs/virt-v2v#80
        replace(LINUX, drivers=BootDrivers(True, device_names=("/dev/nvme0n1p1",), needed_names=("/dev/nvme0n1p1",))),
        "guest-disk-names",
        "by UUID= or LABEL=",
    ),
]


@pytest.mark.parametrize("landing", [LandingMode.CONVERT, LandingMode.UNCHANGED])
def test_vlans_of_a_guest_in_files_are_told_unless_a_port_is_named(landing):
    nic = Nic("0", "NIC 1", "00:50:56:00:00:01", "LAN")
    in_files = replace(MACHINE, platform=Platform("files"), nics=(nic,))
    findings = replace(LINUX, vlans=("eth0.12", "office"), drivers=BootDrivers(True, boot=("virtio_blk",)))
    found = said(findings, landing, machine=in_files)
    assert found["trunk-left"].severity is Severity.BLOCKER
    assert "The guest of web has interfaces on VLANs: eth0.12, office." in str(found["trunk-left"])
    accepted = said(findings, landing, machine=in_files, accept=("trunk-left",))
    assert accepted["trunk-left"].severity is Severity.WARNING
    assert said(findings, landing, machine=replace(MACHINE, nics=(nic,))) == {}, "vSphere knows trunks"
    named = MigrationRequest(landing=landing, ports={nic.mac.upper(): "port-1"})
    assert concerns_of_guest(in_files, findings, named) == []


@pytest.mark.parametrize(("findings", "code", "words"), BLOCKERS)
def test_what_cannot_be_converted_is_a_blocker_that_says_what_to_do(findings, code, words):
    [concern] = said(findings).values()
    assert (concern.code, concern.severity) == (code, Severity.BLOCKER)
    assert words in str(concern)


@pytest.mark.parametrize("findings", [findings for findings, *_ in BLOCKERS])
def test_what_has_landed_is_advised_no_other_landing(findings):
    request = MigrationRequest(type=MigrationType.CONVERSION, landing=LandingMode.CONVERT)
    [concern] = concerns_of_guest(MACHINE, findings, request, PARTS)
    assert concern.severity is Severity.BLOCKER
    assert "landing" not in concern.advice


@pytest.mark.parametrize(
    ("findings", "code"),
    [
        (replace(WINDOWS, dynamic_disks=("/dev/sda",)), "guest-dynamic-disks"),
        (replace(WINDOWS, pending_reboot=("updates were installed",)), "guest-pending-reboot"),
        (replace(LINUX, doubts=("/dev/data/cluster couldn't be read.",)), "guest-doubt"),
        (replace(LINUX, drivers=BootDrivers(True, device_names=("/dev/disk/by-path/a",))), "guest-data-disk-names"),
        (
            replace(LINUX, drivers=BootDrivers(True, device_names=("/dev/sdb1",), lasting_names=("/dev/sdb1",))),
            "guest-data-disk-names",
        ),
    ],
)
def test_what_may_go_wrong_is_a_warning(findings, code):
    [concern] = said(findings).values()
    assert (concern.code, concern.severity) == (code, Severity.WARNING)


def test_names_that_are_renamed_or_stay_are_no_concern():
    named = BootDrivers(True, boot=("virtio_blk",), device_names=("/dev/sda1", "/dev/xvda2", "/dev/vda3"))
    assert said(replace(LINUX, drivers=named)) == {}
    unchanged = replace(named, needed_names=("/dev/sda1",))
    assert list(said(replace(LINUX, drivers=unchanged), LandingMode.UNCHANGED)) == [
        "guest-disk-names",
        "guest-data-disk-names",
    ]
    as_it_is = replace(named, device_names=("/dev/vda3",), needed_names=("/dev/vda3",))
    assert said(replace(LINUX, drivers=as_it_is), LandingMode.UNCHANGED) == {}


def test_file_systems_of_a_machine_that_runs_are_never_closed():
    findings = replace(WINDOWS, dirty=("/dev/sda1",))
    assert said(findings) == {}
    assert list(said(findings, machine=replace(MACHINE, power=PowerState.OFF))) == ["guest-unclean"]


def test_what_a_key_opens_is_converted_and_what_none_opens_is_named():
    opened = replace(LINUX, luks=("/dev/sda2",), unlocked=("/dev/sda2",))
    assert list(said(opened)) == ["guest-asks-for-key"]
    request = MigrationRequest(landing=LandingMode.CONVERT, guest_keys=("(a key)",))
    locked = replace(opened, luks=("/dev/sda2", "/dev/sda3"))
    concern = concerns_of_guest(MACHINE, locked, request, PARTS)[0]
    assert concern.text == "/dev/sda3 of web is encrypted by LUKS, and none of the keys that were given opens it."
    assert "--guest-key" in concern.advice


def test_other_landings_need_no_key_but_the_guest_may_ask_for_it():
    encrypted = GuestFindings(luks=("/dev/sda3",), why_not="No operating system was found.")
    assert said(encrypted, LandingMode.UNCHANGED)["guest-asks-for-key"].severity is Severity.WARNING
    assert said(replace(WINDOWS, hibernated=True), LandingMode.UNCHANGED)["guest-hibernated"]
    assert said(LINUX, LandingMode.UNCHANGED)["guest-no-virtio"].severity is Severity.BLOCKER
    unknown = replace(LINUX, systems=(replace(DEBIAN, distribution="archlinux"),))
    assert "guest-os-unsupported" not in said(unknown, LandingMode.AS_IS)


def test_what_is_accepted_is_a_warning():
    findings = GuestFindings(systems=(DEBIAN, SERVER))
    assert said(findings, accept=("guest-several-systems",))["guest-several-systems"].severity is Severity.WARNING


# What there is for Windows


@pytest.mark.parametrize(
    ("guest_id", "parts", "code", "words"),
    [
        ("windows2019srvNext_64Guest", WindowsParts(), "windows-parts-missing", "virtio-win and rhsrvany.exe"),
        ("windows2019srvNext_64Guest", replace(PARTS, first_boot=""), "windows-parts-missing", "without rhsrvany.exe"),
        ("windows2019srv_64Guest", PARTS, "windows-drivers-missing", "Windows Server 2019 (2k19/amd64)"),
        ("windows9_64Guest", PARTS, "windows-drivers-missing", "w10/amd64"),
        ("winXPProGuest", PARTS, "windows-drivers-missing", "Windows XP (xp/x86)"),
        ("windows2022srvNext_64Guest", PARTS, "windows-drivers-missing", "Windows Server 2025 (2k25/amd64)"),
        (
            # libguestfs calls the guest win2k25, and virt-v2v 2.6 knows no directory of drivers for that
            "windows2022srvNext_64Guest",
            replace(PARTS, drivers=(*PARTS.drivers, "2k25/amd64")),
            "windows-drivers-missing",
            "virt-v2v knows no drivers for Windows Server 2025, which web runs, and takes no other version's.",
        ),
    ],
)
def test_windows_without_its_drivers_is_told_before_anything_is_made(guest_id, parts, code, words):
    machine = replace(MACHINE, guest_id=guest_id, host_name="web")
    [concern] = guest_concerns(machine, MigrationRequest(landing=LandingMode.CONVERT, force_power_off=True), parts)
    assert concern.code == code
    assert words in concern.text
    assert not list(guest_concerns(machine, MigrationRequest(landing=LandingMode.AS_IS, force_power_off=True), parts))


@pytest.mark.parametrize("guest_id", ["amazonlinux2_64Guest", "vmwarePhoton64Guest", "freebsd13_64Guest"])
def test_a_system_that_is_never_converted_is_told_before_anything_is_made(guest_id):
    machine = replace(MACHINE, guest_id=guest_id, host_name="web")
    [concern] = guest_concerns(machine, MigrationRequest(landing=LandingMode.CONVERT, force_power_off=True), PARTS)
    assert (concern.code, concern.severity) == ("guest-os-unsupported", Severity.BLOCKER)
    assert "--landing as-is" in concern.advice


@pytest.mark.parametrize("guest_id", ["windows2019srvNext_64Guest", "windows9Guest", "debian12_64Guest", ""])
def test_nothing_is_said_where_its_drivers_are_there(guest_id):
    request = MigrationRequest(landing=LandingMode.CONVERT, force_power_off=True)
    assert not list(guest_concerns(replace(MACHINE, guest_id=guest_id), request, PARTS))


@pytest.mark.parametrize(
    ("version", "variant", "build", "name"),
    [
        ("10.0", "Server", "14393", "Windows Server 2016"),
        ("10.0", "Server", "17763", "Windows Server 2019"),
        ("10.0", "Server", "20348", "Windows Server 2022"),
        ("10.0", "Server", "26100", "Windows Server 2025"),
        ("10.0", "Client", "19045", "Windows 10"),
        ("10.0", "Client", "22631", "Windows 11"),
        ("6.3", "Server", "", "Windows Server 2012 R2"),
        ("5.1", "Client", "", "Windows XP"),
    ],
)
def test_versions_are_known_by_their_builds(version, variant, build, name):
    found = by_system(replace(SERVER, version=version, variant=variant, build=build))
    assert found is not None
    assert found.name == name


def test_what_is_no_windows_has_no_version():
    assert by_guest_id("rhel9_64Guest") is None
    assert by_system(DEBIAN) is None


TWO_DISKS = replace(MACHINE, disks=tuple(Disk(str(n), f"Hard disk {n}", n, 1 << 30, "", "") for n in range(2)))


def test_a_domain_controller_is_named_before_the_move():
    found = said(replace(WINDOWS, domain_controller=True))["guest-domain-controller"]
    assert found.severity is Severity.WARNING
    assert "USN rollback" in GUEST_DOMAIN_CONTROLLER.meaning
    assert "never start the source again" in found.advice


def test_drive_letters_without_a_disk_are_told():
    assert "E:, F:." in said(replace(WINDOWS, lost_letters=("E:", "F:")))["guest-drive-letters"].text


@pytest.mark.parametrize(("policy", "told"), [(None, False), (1, False), (2, False), (3, True), (4, True)])
def test_disks_that_are_offline_on_purpose_are_told_to_come_online(policy, told):
    found = said(replace(WINDOWS, san_policy=policy), machine=TWO_DISKS)
    assert ("guest-disks-offline-by-policy" in found) is told
    assert said(replace(WINDOWS, san_policy=policy)) == {}  # it has no further disks


@pytest.mark.parametrize(
    ("variant", "policy", "told"), [("Server", None, True), ("Server", 1, False), ("Client", None, False)]
)
def test_a_windows_that_lands_as_it_is_may_have_its_disks_offline(variant, policy, told):
    as_is = replace(WINDOWS.drivers, boot=("ahci",), later=("ahci",))
    found = replace(WINDOWS, systems=(replace(SERVER, variant=variant),), san_policy=policy, drivers=as_is)
    assert ("guest-disks-offline" in said(found, LandingMode.AS_IS, machine=TWO_DISKS)) is told


def test_nothing_of_windows_is_said_of_linux_with_several_disks():
    """Nova takes one disk on pvscsi; the other is on virtio."""
    as_is = replace(LINUX.drivers, family="linux", boot=("vmw_pvscsi", "virtio_blk"), later=("virtio_blk",))
    machine = replace(TWO_DISKS, disks=tuple(replace(disk, controller="pvscsi") for disk in TWO_DISKS.disks))
    found = said(replace(LINUX, drivers=as_is), LandingMode.AS_IS, machine=machine)
    assert list(found) == ["as-is-hardware", "as-is-disk-names"]
