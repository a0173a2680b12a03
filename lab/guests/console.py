"""What ledgerd says on a guest's console, as Python objects.

The format is described in README.md beside this file. The text may come from the serial log of a QEMU or from Nova's
console log: other programs' output in between is passed over, a line that is still being written is left for next time.

    said = read(Path("console.log").read_text(errors="replace"))
    said.boots[-1].verified.bad == 0
    said.last_acknowledged
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_KERNEL = re.compile(r"\[ *\d+\.\d{6}\] [^\r\n]*\r*\n")
"""A message of the kernel's. It doesn't wait for the end of another's line: ours may go on behind it."""
_LINE = re.compile(r"LONGSHORE-WRITER ([a-z]+)(?: ([^\r\n]*))?\r*\n")
_ACKNOWLEDGED = re.compile(r"(\d+)")
_NEXT = re.compile(r"next=(\d+)")
_LAST = re.compile(r"last=(\d+)")
_VERIFIED = re.compile(r"last=(\d+) root=(\d+) data=(\d+) bad=(\d+)")
_DISK = re.compile(r"name=(\S+) driver=(\S+) size=(\d+)")
_NIC = re.compile(r"name=(\S+) mac=(\S+) driver=(\S+) addr=(\S+)")
_MOUNT = re.compile(r"(\S+) (\S+)")
_FIRMWARE = re.compile(r"(bios|uefi)(?: secure-boot=(on|off))?")


@dataclass(frozen=True)
class Disk:
    name: str
    driver: str
    """Of the adapter: vmw_pvscsi, virtio_blk, virtio_scsi, ahci …"""
    size: int
    """Bytes."""


@dataclass(frozen=True)
class Nic:
    name: str
    mac: str
    driver: str
    addresses: tuple[str, ...]
    """With prefix length: 10.20.30.41/24; link-local ones are left out."""


@dataclass(frozen=True)
class Verified:
    last: int
    """The last record that is on both disks; the next one written follows it."""
    root: int
    data: int
    bad: int
    """Places on either disk that don't hold what they must; 0 on a good copy."""


@dataclass
class Boot:
    """One life of the guest, from the first line that ledgerd said to the last."""

    disks: list[Disk] = field(default_factory=list)
    mounts: dict[str, str] = field(default_factory=dict)
    """Mount point to device."""
    firmware: str = ""
    """bios or uefi; empty while the guest hasn't said it."""
    secure_boot: bool = False
    nics: dict[str, Nic] = field(default_factory=dict)
    """By name, as last said: a card is said again when its addresses change."""
    verified: Verified | None = None
    ready: int | None = None
    """The record the writer begins with; None while the guest isn't that far."""
    acknowledged: int | None = None
    """The last record the guest said to be on both disks in this life."""
    stopped: int | None = None
    """The last record of all, when the guest stopped in order."""
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Console:
    boots: tuple[Boot, ...]

    @property
    def last_acknowledged(self) -> int:
        """The highest record that must be on any copy made later; 0 when there is none."""
        return max((number for boot in self.boots for number in (boot.acknowledged, boot.stopped) if number), default=0)


def read(text: str) -> Console:
    """All that ledgerd said in this text. Never raises: what can't be read is as if it hadn't been said."""
    boots: list[Boot] = []
    for kind, rest in _LINE.findall(_KERNEL.sub("", text)):
        if kind == "disk" and (not boots or boots[-1].verified or boots[-1].failures):
            boots.append(Boot())  # the disks are what a life begins with
        if not boots:
            boots.append(Boot())  # a log whose beginning was cut off
        _add(boots[-1], kind, rest)
    return Console(tuple(boots))


def _add(boot: Boot, kind: str, rest: str) -> None:
    if kind == "failed":
        boot.failures.append(rest)
    elif kind == "acknowledged" and (match := _ACKNOWLEDGED.fullmatch(rest)):
        boot.acknowledged = int(match[1])
    elif kind == "disk" and (match := _DISK.fullmatch(rest)):
        boot.disks.append(Disk(match[1], match[2], int(match[3])))
    elif kind == "nic" and (match := _NIC.fullmatch(rest)):
        addresses = () if match[4] == "-" else tuple(match[4].split(","))
        boot.nics[match[1]] = Nic(match[1], match[2], match[3], addresses)
    elif kind == "mount" and (match := _MOUNT.fullmatch(rest)):
        boot.mounts[match[1]] = match[2]
    elif kind == "firmware" and (match := _FIRMWARE.fullmatch(rest)):
        boot.firmware, boot.secure_boot = match[1], match[2] == "on"
    elif kind == "verified" and (match := _VERIFIED.fullmatch(rest)):
        boot.verified = Verified(*(int(number) for number in match.groups()))
    elif kind == "ready" and (match := _NEXT.fullmatch(rest)):
        boot.ready = int(match[1])
    elif kind == "stopping" and (match := _LAST.fullmatch(rest)):
        boot.stopped = int(match[1])
