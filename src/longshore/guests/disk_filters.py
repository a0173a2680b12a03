"""The disks that a Linux guest's configuration lists besides what it mounts: those that its LVM and its arrays may use,
and what its own scripts, rules and services work on.

On hardware that calls the disks otherwise, volume groups and arrays that are restricted to such names don't come up.
virt-v2v changes none of these files but LVM's devices file, which it removes.
"""

import re
from collections.abc import Iterable, Iterator

from longshore.border.texts import some
from longshore.guests.appliance import Guest
from longshore.guests.fstab import is_by_hardware

DEVICES_FILE = "/etc/lvm/devices/system.devices"
_LVM = ("/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf")
_ARRAYS = ("/etc/mdadm.conf", "/etc/mdadm/mdadm.conf")
_ALIAS = re.compile(r"(?m)^[^#!\n]*\balias[ \t]+\"?([\w.-]+)")
_FILTER = re.compile(r"""(?m)^[ \t]*(?:global_)?filter[ \t]*=[ \t]*(\[(?:"[^"\n]*"|[^\]"])*\]|"[^"\n]*")""")
_PATTERN = re.compile(r'"([ar])(.)([^"\n]*)\2"')  # r|.*| refuses all that none before it has accepted
_ALL = (".*", ".*/", "", "/.*/", "/dev/.*", ".")
_NAME = re.compile(r"[\w:./+-]*[\w:+-]")
_OF_VIRTIO = ("/dev/v", "/dev/disk/by-uuid")
_KEPT_ANYWHERE = re.compile(r"/dev/(?:mapper|md|dm-|disk/by-id/(?:dm-|md-|lvm-))")  # of LVM, md and LUKS themselves
# How LVM knows a disk: these are the hardware's own, and of the others it looks for the volume's UUID
_BY_HARDWARE = re.compile(r"(?m)^[^#\n]*\bIDTYPE=(sys_wwid|sys_serial|mpath_uuid)\b[^\n]*?\bIDNAME=(\S+)")
# What else may call disks by name: files, and directories with what their files' names end with
_OTHERS = (
    *("/etc/rc.local", "/etc/rc.d/rc.local", "/etc/rc.d/boot.local", "/etc/init.d/boot.local", "/etc/kdump.conf"),
    *("/etc/smartd.conf", "/etc/smartmontools/smartd.conf", "/etc/hdparm.conf", "/etc/drbd.conf"),
    *("/etc/sysconfig/rawdevices", "/etc/sysconfig/oracleasm", "/etc/initramfs-tools/conf.d/resume"),
)
_OTHERS_IN = (("/etc/udev/rules.d", ".rules"), ("/etc/drbd.d", ".res"), ("/etc/systemd/system", ".service"))
_PATH = re.compile(r"/dev/[\w:/.+-]*\w")
# A rule of udev that names a disk or gives it to somebody, as Oracle's ASM has it, and by what it knows the disk
_GIVES = re.compile(r"\b(?:SYMLINK|NAME|OWNER|GROUP|MODE|RUN)(?:\{\w+\})?[ \t]*[+:]?=(?!=)")
_KNOWS = re.compile(
    r"""(?:\bKERNELS?[ \t]*==[ \t]*"(?=(?:[shv]d|xvd|nvme))|\bRESULT[ \t]*==[ \t]*"|"""
    r"""\{(?:ID_SERIAL(?:_SHORT)?|ID_WWN|ID_PATH|serial|wwid)\}[ \t]*==[ \t]*"|"""
    r"""\{DM_(?:UUID|NAME)\}[ \t]*==[ \t]*"(?=mpath|3[0-9a-f]{16}))([^"\n]+)"""
)
_NO_DISK = ("ID_CDROM", '"net"', '"tty"', '"usb"')  # in rules for other devices
_NAMED = 4  # names of a file that are told; of more, how many there are


def doubts_of_names(guest: Guest) -> Iterator[str]:
    """Yield a sentence for each file in which other hardware's disks have other names, and that nothing changes."""
    below = (
        (f"{place}/{name}", name) for place, end in _OTHERS_IN for name in guest.names_in(place) if name.endswith(end)
    )
    for path in (*_OTHERS, *(path for path, _ in below)):
        text = _settings(guest, path)
        found = list(_known_by(text)) if path.endswith(".rules") else []
        found += [name for name in _PATH.findall(text) if is_by_hardware(name)]
        if names := list(dict.fromkeys(name for name in found if not name.startswith(("/dev/vd", "vd")))):
            yield (
                f"Its {path} calls disks by what their hardware calls them ({some(names, _NAMED)}): they may be called "
                "otherwise on the target, and nothing changes that file. Name them there by UUID or label."
            )


def _known_by(rules: str) -> Iterator[str]:
    for rule in rules.replace("\\\n", " ").splitlines():
        if _GIVES.search(rule) and not any(word in rule for word in _NO_DISK):
            yield from _KNOWS.findall(rule)


def listed_disks(guest: Guest) -> Iterator[str]:
    """Yield the names of disks, or what they begin with, that LVM or an array is restricted to and other hardware gives
    no disk."""
    for path in _LVM:
        for match in _FILTER.finditer(_settings(guest, path)):
            yield from _accepted(match[1])
    for path in _ARRAYS:
        text = _settings(guest, path)
        scanned = [word for line in re.findall(r"(?mi)^DEV\w*[ \t]+(.*)$", text) for word in line.split()]
        if not {"partitions", "containers"} & set(scanned):
            yield from _likeliest(map(_name, scanned))
        for members in re.findall(r"(?mi)^ARRAY\b[^\n]*\bdevices=(\S+)", text):
            yield from filter(_is_elsewhere, map(_name, members.split(",")))


def multipath_names(guest: Guest) -> re.Pattern[str]:
    """Return a pattern of the names that multipath's configuration gives disks by their WWIDs, which other hardware's
    disks don't have, and their partitions."""
    names = "|".join(map(re.escape, _ALIAS.findall(guest.settings("/etc/multipath.conf"))))
    return re.compile(rf"/dev/mapper/(?:{names})(?:-?p(?:art)?)?\d*" if names else "(?!)")


def known_by_hardware(guest: Guest) -> tuple[str, ...]:
    """Return the identities of disks in LVM's devices file that come from the hardware."""
    return tuple(name for _, name in _BY_HARDWARE.findall(_settings(guest, DEVICES_FILE)))


def _accepted(patterns: str) -> Iterator[str]:
    """Yield what a filter of LVM accepts, if it refuses the rest, and no virtio disk is accepted."""
    found: list[str] = []
    for does, _, pattern in _PATTERN.findall(patterns):
        plain = pattern.strip("^$").replace("\\", "")
        if does == "a" and (plain in _ALL or _name(plain).startswith(_OF_VIRTIO)):
            return
        if does == "r" and plain in _ALL:
            yield from _likeliest(found)
            return
        if does == "a":
            found.append(_name(plain))


def _likeliest(names: Iterable[str]) -> list[str]:
    """Return those of several alternatives by which a disk may be found yet: as one of SCSI, if that is among them."""
    elsewhere = list(filter(_is_elsewhere, names))
    return [name for name in elsewhere if name.startswith("/dev/sd")] or elsewhere


def _name(pattern: str) -> str:
    """Return a path of what begins a pattern: /dev/sd of /dev/sd[a-z]."""
    begin = _NAME.match(pattern)
    name = begin[0] if begin else ""
    return name if not name or name.startswith("/dev/") else f"/dev/{name}"


def _is_elsewhere(name: str) -> bool:
    return name.startswith("/dev/") and not _KEPT_ANYWHERE.match(name) and not name.startswith(_OF_VIRTIO)


def _settings(guest: Guest, path: str) -> str:
    """Return a file without its comments; "" where there is none."""
    return re.sub(r"(?m)^[ \t]*#.*$", "", guest.settings(path))
