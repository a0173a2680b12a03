"""Checks of what a Windows guest needs to be converted: drivers for just this version, and who installs them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from longshore.model.concern import Concern
from longshore.model.guest import FoundSystem, GuestFindings
from longshore.model.machine import Machine
from longshore.model.request import LandingMode
from longshore.model.windows import WindowsParts
from longshore.planning.kinds import blocker, information, warning

_HOW = "docs/howto/windows.md says where from; `longshore check guests` shows what is found."
WINDOWS_PARTS_MISSING = blocker(
    "windows-parts-missing",
    "A Windows guest is to be converted, and virtio-win or rhsrvany isn't on the machine that would do it.",
    f"Install them, or choose another landing. {_HOW}",
)
WINDOWS_DRIVERS_MISSING = blocker(
    "windows-drivers-missing",
    "virtio-win has no drivers for the guest's version of Windows, or virt-v2v doesn't know that version. It takes no "
    "other version's.",
    "Install a virtio-win that has them, or let it land as it is: --landing as-is.",
    acceptable=True,
)
GUEST_DOMAIN_CONTROLLER = warning(
    "guest-domain-controller",
    "The guest is a domain controller. OpenStack gives no VM-GenerationID, by which Active Directory would notice that "
    "it goes on from an earlier state: if two of it run, or an older copy does, changes are lost and its replication "
    "stops (USN rollback).",
    "Move it cold, never start the source again, and try it (dry run, test of a point) on isolated networks alone. "
    "Better: promote a new server on the target, and demote this one.",
)
GUEST_DRIVE_LETTERS = warning(
    "guest-drive-letters",
    "Windows has drive letters for parts of disks that aren't among the machine's: a disk was removed long ago, or is "
    "one that doesn't come along. All other letters stay, as what they are bound to is on the disks.",
    "See whether something needs them: disks of another storage have to be attached on the target.",
)
GUEST_DISKS_OFFLINE_BY_POLICY = information(
    "guest-disks-offline-by-policy",
    "Windows' own policy (SAN policy) leaves disks offline that are new to it. A conversion brings all its further "
    "disks online once, also such as are offline on purpose, and puts the policy back.",
    "Put those offline again that are to be.",
)
GUEST_DISKS_OFFLINE = warning(
    "guest-disks-offline",
    "A Windows guest with several disks lands as it is: they are new to it there, so its policy for disks (SAN policy) "
    "may leave all but the first offline.",
    "Before the move, run `Set-StorageSetting -NewDiskPolicy OnlineAll` in it; or bring them online on the target "
    "(`Get-Disk | Set-Disk -IsOffline $false`).",
)

_NARROW = ("i386", "i686", "x86")


@dataclass(frozen=True, slots=True)
class WindowsVersion:
    name: str  # for people
    drivers: str  # directory of virtio-win, in lower case
    told_apart: bool = False  # by its build alone, so that not every virt-v2v knows it
    bits: str = "amd64"  # or x86


# vSphere's guest ids begin so, the more particular first. It knows a version under the name of the one before
_BY_GUEST_ID = (
    ("windows2022srvnext", WindowsVersion("Windows Server 2025", "2k25", True)),
    ("windows2025", WindowsVersion("Windows Server 2025", "2k25", True)),
    ("windows2019srvnext", WindowsVersion("Windows Server 2022", "2k22", True)),
    ("windows2022", WindowsVersion("Windows Server 2022", "2k22", True)),
    ("windows2019", WindowsVersion("Windows Server 2019", "2k19", True)),
    ("windows9server", WindowsVersion("Windows Server 2016", "2k16")),
    ("windows11", WindowsVersion("Windows 11", "w11", True)),
    ("windows12", WindowsVersion("Windows 11", "w11", True)),
    ("windows9", WindowsVersion("Windows 10", "w10")),
    ("windows8server", WindowsVersion("Windows Server 2012", "2k12")),
    ("windows8", WindowsVersion("Windows 8", "w8")),
    ("windows7server", WindowsVersion("Windows Server 2008 R2", "2k8r2")),
    ("windows7", WindowsVersion("Windows 7", "w7")),
    ("winlonghorn", WindowsVersion("Windows Server 2008", "2k8")),
    ("winvista", WindowsVersion("Windows Vista", "vista")),
    ("winnet", WindowsVersion("Windows Server 2003", "2k3")),
    ("winxp", WindowsVersion("Windows XP", "xp")),
)
_BY_NUMBER = {
    ("5.1", True): ("Windows XP", "xp"),
    ("5.2", True): ("Windows XP", "xp"),
    ("5.2", False): ("Windows Server 2003", "2k3"),
    ("6.0", True): ("Windows Vista", "vista"),
    ("6.0", False): ("Windows Server 2008", "2k8"),
    ("6.1", True): ("Windows 7", "w7"),
    ("6.1", False): ("Windows Server 2008 R2", "2k8r2"),
    ("6.2", True): ("Windows 8", "w8"),
    ("6.2", False): ("Windows Server 2012", "2k12"),
    ("6.3", True): ("Windows 8.1", "w8.1"),
    ("6.3", False): ("Windows Server 2012 R2", "2k12r2"),
}
# Of 10.0, from this build on
_SERVERS = (
    (26100, "Windows Server 2025", "2k25"),
    (20348, "Windows Server 2022", "2k22"),
    (17763, "Windows Server 2019", "2k19"),
    (0, "Windows Server 2016", "2k16"),
)
# Of Windows' SAN policy; 2 is what servers do by themselves: disks on a bus that others may share are left offline
_ONLINE = 1
_OFFLINE_ON_PURPOSE = {3: "all new disks", 4: "new disks inside the machine"}
_CLIENTS = ((22000, "Windows 11", "w11"), (0, "Windows 10", "w10"))


def by_guest_id(guest_id: str) -> WindowsVersion | None:
    """Return the version of Windows as far as a source tells it; None for what isn't Windows, or one it doesn't tell
    apart."""
    guest = guest_id.lower()
    for beginning, version in _BY_GUEST_ID:
        if guest.startswith(beginning):
            wide = "64" in guest or version.drivers.startswith(("2k1", "2k2"))
            return version if wide else WindowsVersion(version.name, version.drivers, version.told_apart, "x86")
    return None


def by_system(system: FoundSystem) -> WindowsVersion | None:
    """Return the version of Windows as a guest's own disks tell it."""
    if system.family != "windows":
        return None
    client = system.variant == "Client"
    bits = "x86" if system.architecture in _NARROW else "amd64"
    if system.version == "10.0":
        build = int(system.build) if re.fullmatch(r"\d{1,9}", system.build) else 0
        _, name, drivers = next(known for known in (_CLIENTS if client else _SERVERS) if build >= known[0])
        return WindowsVersion(name, drivers, drivers not in ("w10", "2k16"), bits)
    known = _BY_NUMBER.get((system.version, client))
    return WindowsVersion(*known, bits=bits) if known else None


def windows_concerns(name: str, version: WindowsVersion | None, parts: WindowsParts) -> Iterator[Concern]:
    """Yield concerns about a Windows guest that is to be converted; `version` is None when it isn't known which."""
    missing = [
        what for what, there in (("virtio-win", parts.virtio_win), ("rhsrvany.exe", parts.first_boot)) if not there
    ]
    if missing:
        text = f"{name} runs Windows and can't be converted without {' and '.join(missing)}. {' '.join(parts.faults)}"
        yield WINDOWS_PARTS_MISSING(name, text.strip())
    if not parts.virtio_win or version is None:
        return
    exact = f"{version.drivers}/{version.bits}"
    known = not version.told_apart or version.drivers in parts.converter_knows
    if exact in parts.drivers and known:
        return
    if exact in parts.drivers:
        text = f"virt-v2v knows no drivers for {version.name}, which {name} runs, and takes no other version's."
    else:
        has = ", ".join(parts.drivers) or "none at all"
        text = f"virtio-win has no drivers for {version.name} ({exact}), which {name} runs. It has: {has}."
    yield WINDOWS_DRIVERS_MISSING(name, text)


def windows_guest_concerns(
    machine: Machine, findings: GuestFindings, landing: LandingMode, *, converted: bool
) -> Iterator[Concern]:
    """Yield what a Windows guest's registry says against a move, or to be known before it. `converted`: whether it
    is."""
    name = machine.name
    if findings.domain_controller:
        yield GUEST_DOMAIN_CONTROLLER(name, f"{name} is a domain controller.")
    if findings.lost_letters:
        letters = ", ".join(findings.lost_letters)
        yield GUEST_DRIVE_LETTERS(
            name, f"Windows of {name} has letters for disks that aren't among its own: {letters}."
        )
    if len(machine.disks) < 2:
        return
    if converted and findings.san_policy in _OFFLINE_ON_PURPOSE:
        policy = _OFFLINE_ON_PURPOSE[findings.san_policy]
        yield GUEST_DISKS_OFFLINE_BY_POLICY(name, f"Windows of {name} is set to leave {policy} offline.")
    elif landing is LandingMode.AS_IS and not converted and _leaves_offline(findings):
        text = f"All but the first of the {len(machine.disks)} disks of {name} may be offline on the target."
        yield GUEST_DISKS_OFFLINE(name, text)


def _leaves_offline(findings: GuestFindings) -> bool:
    """Tell whether it is a Windows that leaves new disks offline. Where nothing is set, servers do, and clients
    don't."""
    if findings.san_policy is not None:
        return findings.san_policy != _ONLINE
    return any(system.family == "windows" and system.variant != "Client" for system in findings.systems)
