"""The disks that a Linux guest's LVM and its arrays may use, where its configuration lists them.

What isn't listed isn't looked at, whatever is on it: on hardware that calls the disks otherwise, volume groups and
arrays don't come up. virt-v2v changes none of these files but LVM's devices file, which it removes.
"""

import re
from collections.abc import Iterable, Iterator

from longshore.guests.appliance import Guest

DEVICES_FILE = "/etc/lvm/devices/system.devices"
_LVM = ("/etc/lvm/lvm.conf", "/etc/lvm/lvmlocal.conf")
_ARRAYS = ("/etc/mdadm.conf", "/etc/mdadm/mdadm.conf")
_FILTER = re.compile(r"""(?m)^[ \t]*(?:global_)?filter[ \t]*=[ \t]*(\[(?:"[^"\n]*"|[^\]"])*\]|"[^"\n]*")""")
_PATTERN = re.compile(r'"([ar])(.)([^"\n]*)\2"')  # r|.*| refuses all that none before it has accepted
_ALL = (".*", ".*/", "", "/.*/", "/dev/.*", ".")
_NAME = re.compile(r"[\w:./+-]*[\w:+-]")
_OF_VIRTIO = ("/dev/v", "/dev/disk/by-uuid")
_KEPT_ANYWHERE = re.compile(r"/dev/(?:mapper|md|dm-|disk/by-id/(?:dm-|md-|lvm-))")  # of LVM, md and LUKS themselves
# How LVM knows a disk: these are the hardware's own, and of the others it looks for the volume's UUID
_BY_HARDWARE = re.compile(r"(?m)^[^#\n]*\bIDTYPE=(sys_wwid|sys_serial|mpath_uuid)\b[^\n]*?\bIDNAME=(\S+)")


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
    return re.sub(r"(?m)^[ \t]*#.*$", "", guest.text(path)) if guest.has_file(path) else ""
