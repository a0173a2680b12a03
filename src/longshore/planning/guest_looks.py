"""Concerns of a look onto a machine's disks against the way its guest is to land: told while the machine still runs."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from longshore.model.agents import AgentPackages
from longshore.model.concern import Concern
from longshore.model.guest import GuestFindings
from longshore.model.machine import Machine, PowerState
from longshore.model.request import LandingMode, MigrationRequest, MigrationType
from longshore.model.windows import WindowsParts
from longshore.planning import guest_checks, new_addresses
from longshore.planning.agent_checks import agent_concerns
from longshore.planning.guest_checks import MIB, room_needed
from longshore.planning.hardware import choose_hardware
from longshore.planning.kinds import accept_blockers, blocker, information, warning
from longshore.planning.trunks import vlan_concerns
from longshore.planning.windows_checks import by_system, windows_concerns, windows_guest_concerns

_AS_IS = "let it land as it is: --landing as-is"
GUEST_NOT_INSPECTED = blocker(
    "guest-not-inspected",
    "A guest is to be converted, and on its disks no operating system was found, or none that could be looked into.",
    f"If it boots all the same, {_AS_IS}.",
    acceptable=True,
)
GUEST_SEVERAL_SYSTEMS = blocker(
    "guest-several-systems",
    "A guest is to be converted, and its disks hold more than one operating system.",
    f"Detach the disk of the one that isn't needed, or {_AS_IS}.",
    acceptable=True,
)
GUEST_HIBERNATED = blocker(
    "guest-hibernated",
    "Windows is in hibernation, or was shut down by its fast startup: its disks can't be written to without loss.",
    "Boot it, turn hibernation off (`powercfg /h off`) and shut it down fully (`shutdown /s /t 0`).",
)
GUEST_FAST_STARTUP = information(
    "guest-fast-startup",
    "Windows' fast startup is on: a shutdown from its own menu leaves it hibernated, and so it can't be moved.",
    "Turn it off in the guest (`powercfg /h off`), or leave the shutdown to the migration.",
)
GUEST_SUSPENDED = blocker(
    "guest-suspended",
    "Linux was suspended to its swap device, and would go on on hardware that isn't there any more.",
    "Boot it, and shut it down fully.",
    acceptable=True,
)
GUEST_ENCRYPTED = blocker(
    "guest-encrypted",
    "A guest is to be converted, and parts of its disks are encrypted by LUKS: virt-v2v needs the key of each.",
    f"Give the passphrase of each (--guest-key FILE, or guest_keys in a plan), or {_AS_IS}.",
    acceptable=True,
)
GUEST_BITLOCKER = blocker(
    "guest-bitlocker",
    "A Windows guest is to be converted, and parts of its disks are encrypted by BitLocker.",
    "Decrypt them in the guest (`manage-bde -off C:`) and wait until that is done.",
)
GUEST_ASKS_FOR_KEY = warning(
    "guest-asks-for-key",
    "The guest's disks are encrypted: at its first boot on the target it may ask for the key, on its console. A key "
    "that was sealed in a virtual TPM stays behind.",
    "Have the passphrase or recovery key at hand, and enter it before the boot timeout is over; or suspend BitLocker "
    "(`manage-bde -protectors -disable C:`).",
)
GUEST_ROOT_NOT_IN_FSTAB = blocker(
    "guest-root-not-in-fstab",
    "A guest is to be converted whose fstab doesn't say what its root file system is: virt-v2v goes by that alone.",
    f"Write it there, with its subvolume (`findmnt -no SOURCE,OPTIONS /` in the guest tells it), or {_AS_IS}.",
    acceptable=True,
)
GUEST_NO_ROOM = blocker(
    "guest-no-room",
    "A file system on the guest's disks has less room than virt-v2v needs: 100 MiB on / and C:, 50 MiB on /boot, "
    "10 MiB on others.",
    f"Make room in the guest, or {_AS_IS}.",
    acceptable=True,
)
GUEST_READ_ONLY = blocker(
    "guest-read-only",
    "A guest is to be converted whose system can't be written to: a subvolume with the property ro (openSUSE MicroOS, "
    "SLE Micro), squashfs, or files that are kept from all changes (chattr +i).",
    f"Allow changes in the guest (`btrfs property set / ro false`, `chattr -i FILE`), or {_AS_IS}.",
    acceptable=True,
)
GUEST_NO_INODES = blocker(
    "guest-no-inodes",
    "A file system on the guest's disks has fewer inodes left than virt-v2v wants, which is a hundred.",
    f"Remove files in the guest that aren't needed, or {_AS_IS}.",
    acceptable=True,
)
GUEST_PART_NOT_MOUNTED = blocker(
    "guest-part-not-mounted",
    "A guest is to be converted, and a part of its system (/usr, /boot, /var) can't be mounted by the name that its "
    "fstab has for it, which virt-v2v goes by.",
    f"Name it by UUID= there (`blkid` in the guest tells it), or {_AS_IS}.",
    acceptable=True,
)
GUEST_NO_KERNEL = blocker(
    "guest-no-kernel",
    "A Linux guest is to be converted, and no kernel was found in it whose modules are there as well.",
    f"Install its distribution's kernel package, or {_AS_IS}.",
    acceptable=True,
)
GUEST_NO_INITRAMFS_TOOL = blocker(
    "guest-no-initramfs-tool",
    "A Linux guest is to be converted, and has no program that virt-v2v could make its initramfs anew with: dracut, "
    "initramfs-tools with its folder in /etc, or mkinitrd.",
    f"Install dracut or initramfs-tools in the guest, or {_AS_IS}.",
    acceptable=True,
)
GUEST_NO_BOOT_MENU = blocker(
    "guest-no-boot-menu",
    "A Linux guest is to be converted, and virt-v2v finds no boot menu of GRUB in it: in /boot, or with UEFI in "
    "/boot/efi/EFI. Those of systemd-boot and extlinux it doesn't know.",
    f"Install GRUB in the guest, and mount the EFI system partition at /boot/efi, or {_AS_IS}.",
    acceptable=True,
)
GUEST_DISK_NAMES = blocker(
    "guest-disk-names",
    "The guest calls disks that it boots with by names that the target doesn't give them, and nothing changes those: "
    "virt-v2v renames /dev/sda, and no names by place, serial number or NVMe controller.",
    "Name them by UUID= or LABEL= in its /etc/fstab, /etc/crypttab and boot menu.",
    acceptable=True,
)
GUEST_DATA_DISK_NAMES = warning(
    "guest-data-disk-names",
    "The guest calls disks that it boots without by names that the target doesn't give them.",
    "Name them by UUID= or LABEL= in its /etc/fstab, /etc/crypttab and boot menu.",
)
GUEST_DOUBT = warning(
    "guest-doubt",
    "Something on the guest's disks couldn't be read, or may not work on other hardware, so what it means for the "
    "landing isn't known.",
    "A dry run tells.",
)
GUEST_DYNAMIC_DISKS = warning(
    "guest-dynamic-disks",
    "Disks of a Windows guest are dynamic ones (Logical Disk Manager), with which conversions have little experience.",
    "Do a dry run first, or convert them to basic disks.",
)
GUEST_PENDING_REBOOT = warning(
    "guest-pending-reboot",
    "Windows waits for a reboot, and will go on with what it has begun on other hardware.",
    "Reboot the guest before it is moved.",
)
GUEST_UNCLEAN = warning(
    "guest-unclean",
    "The machine is off, and Windows hasn't closed its file systems.",
    "Boot it once and shut it down, or have it checked (`chkdsk`).",
)
GUEST_NO_VIRTIO = blocker(
    "guest-no-virtio",
    "A guest is to land unchanged on the target's own hardware, and has no virtio driver to boot from.",
    "Have it converted (--landing convert), or let it land as it is (--landing as-is).",
    acceptable=True,
)

# What a machine that has landed is advised, where others are advised another landing
_STAY = "leave it as it has landed"
_ONCE_LANDED = (
    (_AS_IS, _STAY),
    ("choose another landing", _STAY),
    (guest_checks.OS_UNSUPPORTED.advice, f"{_STAY.capitalize()}."),
)
# Beginnings of disks' names: what the target calls its virtio disks, and what virt-v2v renames to that
_NAMES_OF_VIRTIO = ("/dev/vd",)
_NAMES_RENAMED = (*_NAMES_OF_VIRTIO, "/dev/sd", "/dev/xvd")
# What virt-v2v has a conversion for, as libguestfs calls distributions
_CONVERTED = {
    *("fedora", "rhel", "centos", "circle", "scientificlinux", "redhat-based", "oraclelinux", "rocky", "almalinux"),
    *("sles", "suse-based", "opensuse", "altlinux", "debian", "ubuntu", "linuxmint", "kalilinux"),
}


def concerns_of_guest(
    machine: Machine,
    findings: GuestFindings,
    request: MigrationRequest,
    parts: WindowsParts | None = None,
    packages: AgentPackages | None = None,
) -> list[Concern]:
    """Return what can't land, or may not, as the request has it; `request.landing` is settled: not AUTO.

    `parts` and `packages` are what the machine has that would convert it; None: it isn't known, and nothing is said of
    it. Blockers that the request accepts are warnings here.
    """
    concerns = _concerns(machine, findings, request.landing, parts, len(request.guest_keys))
    of_network = (*new_addresses.guest_concerns(machine, findings, request), *vlan_concerns(machine, findings, request))
    found = list(dict.fromkeys([*concerns, *of_network]))
    if request.landing is LandingMode.CONVERT:
        found += agent_concerns(machine.name, findings, request.agents, packages, parts)
    if request.type is MigrationType.CONVERSION:
        found = [_once_landed(concern) for concern in found]
    return accept_blockers(found, request.accept)


def _once_landed(concern: Concern) -> Concern:
    advice = concern.advice
    for elsewhere, here in _ONCE_LANDED:
        advice = advice.replace(elsewhere, here)
    return replace(concern, advice=advice)


def _concerns(
    machine: Machine, findings: GuestFindings, landing: LandingMode, parts: WindowsParts | None, keys: int
) -> Iterator[Concern]:
    yield from _asleep(machine, findings)
    for doubt in findings.doubts:
        yield GUEST_DOUBT(machine.name, doubt)
    if landing is LandingMode.CONVERT:
        yield from windows_guest_concerns(machine, findings, landing, converted=True)
        yield from _conversion(machine, findings, parts, keys)
        return
    yield from _asks_for_key(machine.name, (("LUKS", findings.luks), ("BitLocker", findings.bitlocker)))
    if landing is LandingMode.AS_IS:
        hardware, concerns = choose_hardware(machine, findings.drivers)
        yield from concerns
        yield from windows_guest_concerns(machine, findings, landing, converted=hardware is None)
        if hardware is None:  # then it is converted
            yield from _conversion(machine, findings, parts, keys)
    elif findings.drivers.inspected and not {"virtio_blk", "virtio_scsi"} & set(findings.drivers.boot):
        known = ", ".join(findings.drivers.boot) or "none"
        yield GUEST_NO_VIRTIO(
            machine.name,
            f"{machine.name} can't boot from the target's virtio disks: its drivers for booting are {known}.",
        )
    if landing is LandingMode.UNCHANGED:
        yield from windows_guest_concerns(machine, findings, landing, converted=False)
        yield from _disk_names(machine.name, findings, _NAMES_OF_VIRTIO)


def _asks_for_key(name: str, encrypted: Iterable[tuple[str, tuple[str, ...]]]) -> Iterator[Concern]:
    for what, devices in encrypted:
        if devices:
            text = f"{what} encrypts {_listed(devices)} of {name}: its first boot may ask for the key."
            yield GUEST_ASKS_FOR_KEY(name, text)


def _asleep(machine: Machine, findings: GuestFindings) -> Iterator[Concern]:
    name = machine.name
    if findings.hibernated:
        yield GUEST_HIBERNATED(name, f"Windows of {name} is hibernated, or was shut down by its fast startup.")
    elif findings.fast_startup:
        yield GUEST_FAST_STARTUP(name, f"{name} has Windows' fast startup on: its own menu hibernates it.")
    if findings.suspended:
        yield GUEST_SUSPENDED(name, f"Linux of {name} is suspended: its memory is on {_listed(findings.suspended)}.")
    if findings.dirty and machine.power is PowerState.OFF:
        yield GUEST_UNCLEAN(name, f"{name} is off, and Windows hasn't closed {_listed(findings.dirty)}.")


def _conversion(machine: Machine, findings: GuestFindings, parts: WindowsParts | None, keys: int) -> Iterator[Concern]:
    name = machine.name
    yield from _encrypted(name, findings, keys)
    if len(findings.systems) > 1:
        systems = ", ".join(f"{system.product} on {system.root}" for system in findings.systems)
        yield GUEST_SEVERAL_SYSTEMS(name, f"The disks of {name} hold several operating systems: {systems}.")
    elif not findings.inspected and not (findings.luks or findings.bitlocker):
        yield GUEST_NOT_INSPECTED(name, f"{name} can't be converted: {findings.why_not}")
    if not findings.root_in_fstab:
        text = f"The fstab of {name} doesn't say that {findings.systems[0].root} is its root: only its boot menu does."
        yield GUEST_ROOT_NOT_IN_FSTAB(name, text)
    for system in findings.systems:
        if system.family == "windows" and parts is not None:
            yield from windows_concerns(name, by_system(system), parts)
        elif system.family not in ("windows", "linux") or (
            system.family == "linux" and system.distribution not in _CONVERTED
        ):
            yield guest_checks.OS_UNSUPPORTED(name, f"virt-v2v doesn't convert the guest of {name}: {system.product}.")
    for room in findings.file_systems:
        needed = room_needed(room)
        if room.free < needed:
            text = f"{room.path} of {name} has {room.free // MIB} MiB left; converting it needs {needed // MIB}."
            yield GUEST_NO_ROOM(room.path, text)
    yield from _of_linux(name, findings)
    if findings.dynamic_disks:
        yield GUEST_DYNAMIC_DISKS(name, f"{_listed(findings.dynamic_disks)} of {name} are dynamic disks of Windows.")
    if findings.pending_reboot:
        text = f"Windows of {name} waits for a reboot: {', '.join(findings.pending_reboot)}."
        yield GUEST_PENDING_REBOOT(name, text)


def _of_linux(name: str, findings: GuestFindings) -> Iterator[Concern]:
    """Yield what virt-v2v would fail at, or leave as it is so that the guest doesn't boot."""
    if findings.read_only:
        yield GUEST_READ_ONLY(name, f"{_listed(findings.read_only)} of {name} can't be written to.")
    if findings.immutable:
        yield GUEST_READ_ONLY(name, f"{_listed(findings.immutable)} of {name} can't be changed: chattr forbids it.")
    if findings.without_inodes:
        yield GUEST_NO_INODES(name, f"{_listed(findings.without_inodes)} of {name} has hardly an inode left.")
    if findings.not_mounted:
        text = f"What the fstab of {name} mounts as a part of its system wasn't found: {_listed(findings.not_mounted)}."
        yield GUEST_PART_NOT_MOUNTED(name, text)
    if findings.without_kernel:
        yield GUEST_NO_KERNEL(name, f"{name} has no kernel whose modules are there as well.")
    if findings.without_initramfs_tool:
        yield GUEST_NO_INITRAMFS_TOOL(name, f"{name} has nothing that its initramfs could be made anew with.")
    if findings.without_boot_menu:
        yield GUEST_NO_BOOT_MENU(name, f"{name} has no boot menu of GRUB where virt-v2v looks for one.")
    yield from _disk_names(name, findings, _NAMES_RENAMED)


def _disk_names(name: str, findings: GuestFindings, known: tuple[str, ...]) -> Iterator[Concern]:
    """`known` are the beginnings of names that disks will have, or that are changed to those."""
    lasting = findings.drivers.lasting_names
    lost = tuple(
        device
        for device in findings.drivers.device_names
        if not device.startswith(_NAMES_OF_VIRTIO if device in lasting else known)
    )
    needed = tuple(device for device in lost if device in findings.drivers.needed_names)
    if needed:
        text = f"{name} boots with disks that it calls {_listed(needed)}: they have other names on the target."
        yield GUEST_DISK_NAMES(name, text)
    if others := tuple(device for device in lost if device not in needed):
        text = f"{name} has disks that it calls {_listed(others)}: they have other names on the target."
        yield GUEST_DATA_DISK_NAMES(name, text)


def _encrypted(name: str, findings: GuestFindings, keys: int) -> Iterator[Concern]:
    if locked := tuple(device for device in findings.luks if device not in findings.unlocked):
        text = f"{_listed(locked)} of {name} is encrypted by LUKS"
        if findings.network_bound:
            text += (
                f", and Clevis opens {_listed(findings.network_bound)} by a server in the machine's network: a guest "
                "is converted without any network, so that takes a passphrase"
            )
        elif keys:
            text += ", and none of the keys that were given opens it"
        yield GUEST_ENCRYPTED(name, f"{text}.")
    yield from _asks_for_key(name, [("LUKS", findings.unlocked)])
    if findings.bitlocker:
        yield GUEST_BITLOCKER(name, f"{_listed(findings.bitlocker)} of {name} is encrypted by BitLocker.")


def _listed(devices: tuple[str, ...]) -> str:
    return ", ".join(devices)
