"""The lines of a Linux guest's fstab, crypttab and units about its disks, and which names for disks are only good on
its hardware."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from longshore.guests.appliance import Guest

FSTAB, CRYPTTAB = "/etc/fstab", "/etc/crypttab"
# Of the kernel, of the adapter's place, of the disk's serial number. Names that LVM, md and file systems have from
# UUIDs of their own mean the same disk on any hardware, also where they are in by-id (dm-uuid-LVM-…, md-uuid-…,
# lvm-pv-uuid-…); those of multipath have the disk's WWID, and clouds give names by places and serial numbers
_BY_HARDWARE = re.compile(
    r"/dev/(?:(?:[shv]d[a-z]+|xvd[a-z]+|dasd[a-z]+|(?:nvme\d+n|mmcblk)\d+p?)\d*|(?:cciss|ida|rd)/c\d+d\d+(?:p\d+)?|"
    r"i2o/hd[a-z]+\d*|oracleoci/oraclevd[a-z]+\d*|block/\d+:\d+|"
    r"mapper/(?:mpath[a-z]+|[23][0-9a-f]{16,32}|eui\.[0-9a-f]+|nvme\.[0-9a-f-]+)(?:-?p(?:art)?)?\d*|"
    r"disk/(?:by-path|by-diskseq|azure|cloud)/.*|"
    r"disk/by-id/(?:ata|scsi|nvme|wwn|virtio|usb|mmc|memstick|ieee1394|ccw|cciss|edd|google)-.*|"
    r"disk/by-id/(?:dm-uuid-(?:part\d+-)?mpath-|dm-name-mpath).*)"
)
_UNITS = "/etc/systemd/system"
# As the initramfs of systemd, Debian, Gentoo and Arch have them; boot= is for FIPS, rootflags= may name a log elsewhere
_OF_COMMAND_LINE = (
    *("root", "mount.usr", "real_root", "crypt_root", "cryptdevice", "resume", "real_resume"),
    *("boot", "rootflags", "mount.usrflags"),
)
_PATH = re.compile(r"/dev/[^\s=,]+")
_UNIT = re.compile(r"(?m)^[ \t]*(What|Where)[ \t]*=[ \t]*(\S+)")
_ESCAPED = re.compile(r"\\([0-7]{3})")  # a blank is \040
_TAG = re.compile(r"""([A-Z]+)=(["']?)(.*)\2""")


@dataclass(frozen=True, slots=True)
class Line:
    """A file system that the guest mounts by fstab or a unit, or a device that crypttab has it open."""

    device: str  # a path, or a tag as UUID=…
    place: str  # where it is mounted, or what it is opened as
    kind: str = ""
    options: tuple[str, ...] = ()

    @property
    def devices(self) -> tuple[str, ...]:
        """Return all devices that it needs: itself, and those that its options name, as a log or journal elsewhere."""
        return (self.device, *(name for option in self.options for name in _PATH.findall(option)))

    @property
    def at_boot(self) -> bool:
        return "noauto" not in self.options

    @property
    def needed(self) -> bool:
        """Tell whether the guest's boot stops where the device isn't there."""
        return self.at_boot and "nofail" not in self.options and self.kind != "swap"


def fstab(guest: Guest) -> list[Line]:
    """Read fstab(5). Lines that aren't any are left out, as mount does."""
    return [
        Line(_device(fields[0]), fields[1], "".join(fields[2:3]), _options(fields))
        for fields in _table(guest, FSTAB)
        if len(fields) > 1
    ]


def crypttab(guest: Guest) -> list[Line]:
    """Read crypttab(5). A key that is on a device is among the options."""
    return [
        Line(_device(fields[1]), fields[0], options=(*fields[2:3], *_options(fields)))
        for fields in _table(guest, CRYPTTAB)
        if len(fields) > 1
    ]


def mount_units(guest: Guest) -> list[Line]:
    """Read the file systems and swap of which units of systemd say what fstab could. None is taken for needed: whether
    the boot waits for it others say."""
    found = []
    for name in guest.names_in(_UNITS):
        path = f"{_UNITS}/{name}"
        if name.endswith((".mount", ".swap")) and guest.has_file(path):
            said = dict(_UNIT.findall(guest.text(path)))
            found.append(Line(_device(said.get("What", "")), said.get("Where", ""), options=("nofail",)))
    return found


def _options(fields: list[str]) -> tuple[str, ...]:
    return tuple("".join(fields[3:4]).split(","))


def is_by_hardware(name: str) -> bool:
    """Tell whether a device is called by a name that other hardware gives another disk, or none."""
    return _BY_HARDWARE.fullmatch(name) is not None


def of_command_line(options: str) -> Iterator[tuple[str, bool]]:
    """Yield (device, whether it doesn't boot without) of a kernel's command line."""
    for word in options.split():
        key, _, value = word.partition("=")
        said = value.strip("\"'")
        if key == "cryptdevice":  # what is behind a colon is how it is called when it is open
            said = said.partition(":")[0]
        for device in [_device(said)] if _TAG.fullmatch(said) else _PATH.findall(said):
            yield device, key in _OF_COMMAND_LINE and "resume" not in key


def _device(said: str) -> str:
    """The tag ID= is short for a name in by-id."""
    found = _TAG.fullmatch(said)
    if found is None:
        return said
    return f"/dev/disk/by-id/{found[3]}" if found[1] == "ID" else f"{found[1]}={found[3]}"


def _table(guest: Guest, path: str) -> Iterator[list[str]]:
    """Yield the fields of each line; comments are whole lines."""
    if guest.has_file(path):
        for line in guest.text(path).splitlines():
            fields = line.split()
            if fields and not fields[0].startswith("#"):
                yield [_ESCAPED.sub(lambda found: chr(int(found[1], 8) & 0xFF), field) for field in fields]
