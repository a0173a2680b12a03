"""Disks that are served, their partitions, and what is on each, as far as its first bytes tell.

What is on the disks is a stranger's, so this runs in the confined process alone (longshore.guests.files_confined).
"""

import mmap
import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, NamedTuple

import nbd
import pytsk3

from longshore.guests.disk_letters import disk_letters

_BLOCK = 1 << 17  # bytes that are read at once, as a vault has them
_KEPT = 256  # blocks of all disks: 32 MiB
_STRETCH = 1 << 23  # bytes of memory that are had at once
_MOST_AHEAD = 64  # blocks of a disk that were asked for and not needed yet
_EXT, _XFS, _BTRFS = b"\x53\xef", b"XFSB", b"_BHRfS_M"
_NEEDS_RECOVERY = 0x4  # of ext's incompatible features: what its journal has isn't all in its places
_SUPERBLOCK = 0x10000  # of Btrfs
_MARKS = (  # what it is, its mark and where that is
    ("XFS", _XFS, 0),
    ("Btrfs", _BTRFS, _SUPERBLOCK + 0x40),
    ("LVM", b"LABELONE", 512),
    ("LUKS", b"LUKS\xba\xbe", 0),
    ("BitLocker", b"-FVE-FS-", 3),
    ("RAID", b"\xfc\x4e\x2b\xa9", 4096),
    ("swap", b"SWAPSPACE2", 4086),
)


class _Room:
    """Memory for blocks, used again and again: fresh memory for each took an eighth of a walk's time."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []

    def take(self) -> memoryview:
        if not self._free:
            more = mmap.mmap(-1, _STRETCH, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            with suppress(OSError):
                more.madvise(mmap.MADV_HUGEPAGE)
            whole = memoryview(more)
            self._free = [whole[at : at + _BLOCK] for at in range(_STRETCH - _BLOCK, -1, -_BLOCK)]
        return self._free.pop()

    def give_back(self, block: memoryview) -> None:
        self._free.append(block)


_room = _Room()
_kept: OrderedDict[tuple[str, int], memoryview] = OrderedDict()  # what was read last


class ByteRange(pytsk3.Img_Info):  # type: ignore[misc]
    """A range of bytes that a file system may be on. The Sleuth Kit asks for its size, to read from it, and to close
    it."""

    length: int  # bytes

    def __init__(self) -> None:
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def get_size(self) -> int:
        return self.length

    def close(self) -> None:
        pass

    def read(self, offset: int, length: int) -> bytes:
        """Read a range, or as much of it as there is. Raises OSError."""
        raise NotImplementedError

    def ahead(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Announce ranges that are read soon: each an offset and a length. Raises OSError."""


class _Coming(NamedTuple):
    """A block that was asked for."""

    handle: nbd.NBD
    cookie: int
    block: memoryview

    def there(self) -> memoryview:
        """Wait for the block, and return it. Raises nbd.Error."""
        try:
            while not self.handle.aio_command_completed(self.cookie):
                self.handle.poll(-1)
        except nbd.Error:
            _room.give_back(self.block)
            raise
        return self.block


class Disk(ByteRange):
    """One behind an NBD server's Unix socket."""

    def __init__(self, socket: str, connections: int) -> None:
        """Connect to the disk. `connections`: by which it is read ahead, each answered on its own."""
        self._socket = socket
        self._nbd = self._connected()
        self._connections = connections
        self.length = self._nbd.get_size()
        self._others: list[nbd.NBD] = []  # connections by which it is read ahead
        self._coming: OrderedDict[int, _Coming] = OrderedDict()
        super().__init__()

    def close(self) -> None:
        for handle in (self._nbd, *self._others):
            handle.shutdown()

    def ahead(self, ranges: Sequence[tuple[int, int]]) -> None:
        wanted = {
            number
            for offset, length in ranges
            for number in range(offset // _BLOCK, -(-min(offset + length, self.length) // _BLOCK))
        }
        wanted = {n for n in wanted if n not in self._coming and (self._socket, n) not in _kept}
        for number in sorted(wanted):
            while len(self._coming) >= _MOST_AHEAD:
                self._block(next(iter(self._coming)))
            self._coming[number] = self._asked(self._other(number), number)
        if wanted:
            self._take()

    def _take(self) -> None:
        """Take in what was asked for: what has come makes room for what comes next."""
        for handle in self._others:
            handle.poll(0)

    def _other(self, number: int) -> nbd.NBD:
        """Return one of the connections for reading ahead, in turn."""
        if len(self._others) < self._connections:
            self._others.append(self._connected())
        return self._others[number % len(self._others)]

    def _asked(self, handle: nbd.NBD, number: int) -> "_Coming":
        """Ask for a block. Raises nbd.Error."""
        length = min(_BLOCK, self.length - number * _BLOCK)
        block = _room.take()
        # libnbd 1.14 never lets go of what was read into: of a slice made for each read there were more and more
        into = block if length == _BLOCK else block[:length]
        try:
            return _Coming(handle, handle.aio_pread(into, number * _BLOCK), block)
        except nbd.Error:
            _room.give_back(block)
            raise

    def _connected(self) -> nbd.NBD:
        handle = nbd.NBD()
        handle.set_pread_initialize(False)  # what failed is never looked at
        handle.connect_unix(self._socket)
        return handle

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.length)
        parts, at = [], offset
        while at < end:
            number, start = divmod(at, _BLOCK)
            part = bytes(self._block(number)[start : start + end - at])
            parts.append(part)
            at += len(part)
        return b"".join(parts)

    def _block(self, number: int) -> memoryview:
        key = self._socket, number
        if (found := _kept.get(key)) is not None:
            _kept.move_to_end(key)
            return found
        coming = self._coming.pop(number, None)
        try:
            if coming is not None:
                self._take()
            else:
                coming = self._asked(self._nbd, number)
            read = coming.there()
        except nbd.Error as error:
            raise OSError(f"bytes from {number * _BLOCK} of the disk can't be read: {error}") from None
        _kept[key] = read
        if len(_kept) > _KEPT:
            _room.give_back(_kept.popitem(last=False)[1])
        return read


class GuestVolume:
    """A partition, a whole disk that has none, or a logical volume."""

    def __init__(self, source: ByteRange, place: str, devices: frozenset[str], start: int, size: int) -> None:
        self.source = source
        self.place = place  # how it is called here
        self.devices = devices  # how its system may call it
        self.start = start  # bytes
        self.size = size

    @cached_property
    def kind(self) -> str:
        """Return what is on the part, in a word; empty where that isn't known."""
        for kind, mark, at in _MARKS:
            if self._at(at, len(mark)) == mark:
                return kind
        if self._at(1080, 2) == _EXT:
            return "ext"
        if self._at(3, 8) == b"NTFS    ":
            return "NTFS"
        if self._at(3, 8) == b"EXFAT   ":
            return "exFAT"
        if self._at(510, 2) == b"\x55\xaa" and (self._at(54, 3) == b"FAT" or self._at(82, 5) == b"FAT32"):
            return "FAT"
        return ""

    @cached_property
    def names(self) -> frozenset[str]:
        """Return the names by which a table of mounted file systems may call it."""
        match self.kind:
            case "ext":
                return self.devices | _named(self._at(1024 + 0x68, 16), self._at(1024 + 0x78, 16))
            case "XFS":
                return self.devices | _named(self._at(32, 16), self._at(108, 12))
            case "Btrfs":
                return self.devices | _named(self._at(_SUPERBLOCK + 0x20, 16), self._at(_SUPERBLOCK + 0x12B, 256))
            case "FAT":
                at = 0x43 if self._at(82, 5) == b"FAT32" else 0x27
                (serial,) = struct.unpack("<I", self._at(at, 4))
                return self.devices | {f"UUID={serial >> 16:04X}-{serial & 0xFFFF:04X}"}
            case "NTFS":
                return self.devices | {f"UUID={struct.unpack('<Q', self._at(0x48, 8))[0]:016X}"}
        return self.devices

    @cached_property
    def ext_needs_recovery(self) -> bool:
        return bool(struct.unpack("<I", self._at(1024 + 0x60, 4))[0] & _NEEDS_RECOVERY)

    def read(self, offset: int, length: int) -> bytes:
        """Read all of that. Raises OSError."""
        if offset < 0 or offset + length > self.size:
            raise OSError("it leads beyond its file system's end")
        read = self.source.read(self.start + offset, length)
        if len(read) != length:
            raise OSError("its disk ends before")
        return read

    def ahead(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Announce ranges that are read soon: each an offset in it, and a length. Raises OSError."""
        within = [(self.start + at, count) for at, count in ranges if at >= 0 and at + count <= self.size]
        self.source.ahead(within)

    def _at(self, offset: int, length: int) -> bytes:
        read = self.source.read(self.start + offset, length) if offset + length <= self.size else b""
        return read if len(read) == length else bytes(length)


class UnreadVolume(NamedTuple):
    """A part that can't be read."""

    place: str
    kind: str  # what it is; empty where that isn't known
    size: int


def _named(uuid: bytes, label: bytes) -> set[str]:
    said = uuid.hex()
    parts = (said[:8], said[8:12], said[12:16], said[16:20], said[20:])
    return {f"UUID={'-'.join(parts)}", f"LABEL={label.partition(bytes(1))[0].decode(errors='replace')}"}


def parts_of(disk: Disk, position: int) -> Iterator[GuestVolume]:
    """Yield the parts in the order of their places: DISK.PARTITION, both from 1; .0 is a whole disk."""
    whole = _part(disk, position, 0, 0, disk.length)
    if whole.kind not in {"", "FAT"}:  # a file system's first sector may look like a table of partitions
        yield whole
        return
    try:
        table = pytsk3.Volume_Info(disk)
    except OSError:
        yield whole
        return
    for found in table:
        if found.flags == pytsk3.TSK_VS_PART_FLAG_ALLOC:
            first, length = found.start * table.info.block_size, found.len * table.info.block_size
            yield _part(disk, position, _number(found, table.info.vstype), first, min(length, disk.length - first))


def _part(disk: Disk, position: int, number: int, start: int, size: int) -> GuestVolume:
    letters = disk_letters(position - 1)
    devices = {f"/dev/{bus}{letters}{number or ''}" for bus in ("sd", "vd", "xvd", "hd")}
    devices.add(f"/dev/nvme0n{position}{f'p{number}' if number else ''}")
    return GuestVolume(disk, f"{position}.{number}", frozenset(devices), start, size)


def _number(found: Any, kind: Any) -> int:
    """Number a partition as Linux does: of DOS' partitions those in the extended one begin at 5."""
    if kind == pytsk3.TSK_VS_TYPE_DOS and found.table_num > 0:
        return int(4 + found.table_num)
    return int(found.slot_num) + 1
