"""File systems on served disks, read without mounting them: ext2 to ext4, NTFS, FAT and exFAT, by The Sleuth Kit.

What is on the disks is a stranger's, so this runs in the confined process alone (longshore.guests.files_confined).
What partitions and superblocks say is looked at here only as far as it tells which of them there are.
"""

import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import nbd
import pytsk3

_BLOCK = 1 << 17  # bytes that are read at once, as a vault has them
_KEPT = 512  # blocks of all disks: 64 MiB
_SECTOR = 512
_OPEN = 64  # files that are kept open
_EXT, _XFS, _BTRFS = b"\x53\xef", b"XFSB", b"_BHRfS_M"
_NEEDS_RECOVERY = 0x4  # of ext's incompatible features: what its journal has isn't all in its places
_UNREADABLE = (  # what it is, its mark and where that is
    ("XFS", _XFS, 0),
    ("Btrfs", _BTRFS, 0x10040),
    ("LVM", b"LABELONE", 512),
    ("LUKS", b"LUKS\xba\xbe", 0),
    ("BitLocker", b"-FVE-FS-", 3),
    ("RAID", b"\xfc\x4e\x2b\xa9", 4096),
    ("swap", b"SWAPSPACE2", 4086),
)


_kept: OrderedDict[tuple[str, int], bytes] = OrderedDict()  # what was read last


class Disk(pytsk3.Img_Info):  # type: ignore[misc]
    """One behind an NBD server's Unix socket."""

    def __init__(self, socket: str) -> None:
        self._nbd = nbd.NBD()
        self._nbd.connect_unix(socket)
        self.length: int = self._nbd.get_size()
        self._socket = socket
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def get_size(self) -> int:
        """Asked for by The Sleuth Kit, as what follows."""
        return self.length

    def close(self) -> None:
        self._nbd.shutdown()

    def read(self, offset: int, length: int) -> bytes:
        """As much of it as there is. Raises OSError."""
        end = min(offset + length, self.length)
        parts, at = [], offset
        while at < end:
            number, start = divmod(at, _BLOCK)
            part = self._block(number)[start : start + end - at]
            parts.append(part)
            at += len(part)
        return b"".join(parts)

    def _block(self, number: int) -> bytes:
        key = self._socket, number
        if (found := _kept.get(key)) is not None:
            _kept.move_to_end(key)
            return found
        try:
            read = bytes(self._nbd.pread(min(_BLOCK, self.length - number * _BLOCK), number * _BLOCK))
        except nbd.Error as error:
            raise OSError(f"bytes from {number * _BLOCK} of the disk can't be read: {error}") from None
        _kept[key] = read
        if len(_kept) > _KEPT:
            _kept.popitem(last=False)
        return read


@dataclass(frozen=True)
class Part:
    """A partition, or a whole disk that has none."""

    disk: Disk
    position: int  # of the disk, from 1
    number: int  # of the partition, as its system counts; 0: the whole disk
    start: int  # bytes
    size: int

    @property
    def place(self) -> str:
        return f"{self.position}.{self.number}"

    @cached_property
    def kind(self) -> str:
        """What is on it, in a word; empty where that isn't known."""
        for kind, mark, at in _UNREADABLE:
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
        """By which a table of mounted file systems may call it."""
        letters = chr(ord("a") + self.position - 1)
        found = {f"/dev/{bus}{letters}{self.number or ''}" for bus in ("sd", "vd", "xvd", "hd")}
        found.add(f"/dev/nvme0n{self.position}{f'p{self.number}' if self.number else ''}")
        match self.kind:
            case "ext":
                uuid, label = self._at(1024 + 0x68, 16).hex(), self._at(1024 + 0x78, 16)
                parts = (uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:])
                found |= {f"UUID={'-'.join(parts)}", f"LABEL={label.rstrip(bytes(1)).decode(errors='replace')}"}
            case "FAT":
                at = 0x43 if self._at(82, 5) == b"FAT32" else 0x27
                (serial,) = struct.unpack("<I", self._at(at, 4))
                found.add(f"UUID={serial >> 16:04X}-{serial & 0xFFFF:04X}")
            case "NTFS":
                found.add(f"UUID={struct.unpack('<Q', self._at(0x48, 8))[0]:016X}")
        return frozenset(found)

    @cached_property
    def interrupted(self) -> bool:
        """Whether it was in use, so that the newest changes may be in its journal alone."""
        return self.kind == "ext" and bool(struct.unpack("<I", self._at(1024 + 0x60, 4))[0] & _NEEDS_RECOVERY)

    def _at(self, offset: int, length: int) -> bytes:
        read = self.disk.read(self.start + offset, length) if offset + length <= self.size else b""
        return read if len(read) == length else bytes(length)


_TYPES = {
    "ext": pytsk3.TSK_FS_TYPE_EXT_DETECT,
    "NTFS": pytsk3.TSK_FS_TYPE_NTFS_DETECT,
    "FAT": pytsk3.TSK_FS_TYPE_FAT_DETECT,
    "exFAT": pytsk3.TSK_FS_TYPE_EXFAT,
}


def parts_of(disk: Disk, position: int) -> Iterator[Part]:
    """In the order of their places."""
    whole = Part(disk, position, 0, 0, disk.length)
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
            yield Part(disk, position, _number(found, table.info.vstype), first, min(length, disk.length - first))


def _number(found: Any, kind: Any) -> int:
    """As Linux counts: of DOS' partitions those in the extended one begin at 5."""
    if kind == pytsk3.TSK_VS_TYPE_DOS and found.table_num > 0:
        return int(4 + found.table_num)
    return int(found.slot_num) + 1


@dataclass(frozen=True)
class Node:
    """A file, a directory, a link or something else in a file system."""

    system: "FileSystem"
    number: int
    kind: str  # "file", "directory", "link", "other"
    size: int  # bytes
    modified: int  # seconds since 1970
    mode: int
    user: int
    group: int
    target: bytes  # of a link

    def pieces(self) -> Iterator[bytes]:
        """Its content. Raises OSError when not all of it can be read."""
        opened = self.system.opened.open_meta(inode=self.number)
        at = 0
        while at < self.size:
            piece = opened.read_random(at, min(1 << 20, self.size - at))
            if not piece:
                raise OSError("not all of it can be read")
            at += len(piece)
            yield piece


class FileSystem:
    def __init__(self, part: Part) -> None:
        """Raises OSError when it can't be read."""
        self.part = part
        self.opened = pytsk3.FS_Info(part.disk, offset=part.start, type=_TYPES[part.kind])
        self.any_case = part.kind != "ext"
        self._files: OrderedDict[int, Any] = OrderedDict()  # that were read from here and there

    @cached_property
    def root(self) -> Node:
        return self.node(int(self.opened.info.root_inum))

    def node(self, number: int) -> Node:
        """Raises OSError."""
        meta = self.opened.open_meta(inode=number).info.meta
        return Node(
            self,
            number,
            _kind(meta.type),
            int(meta.size),
            int(meta.mtime),
            int(meta.mode) & 0o7777,
            int(meta.uid),
            int(meta.gid),
            _bytes(meta.link) if meta.link else b"",
        )

    def read(self, number: int, offset: int, length: int) -> bytes:
        """Of a file's content; less at its end. Raises OSError."""
        opened = self._files.get(number)
        if opened is None:
            opened = self._files[number] = self.opened.open_meta(inode=number)
            if len(self._files) > _OPEN:
                self._files.popitem(last=False)
        if (left := int(opened.info.meta.size) - offset) <= 0:
            return b""
        return bytes(opened.read_random(offset, min(length, left)))

    def entries(self, directory: Node) -> Iterator[tuple[bytes, int]]:
        """Names and numbers of what is in a directory and wasn't deleted. Raises OSError."""
        for entry in self.opened.open_dir(inode=directory.number):
            name = entry.info.name
            if name is None or name.name is None or int(name.flags) != int(pytsk3.TSK_FS_NAME_FLAG_ALLOC):
                continue
            said = _bytes(name.name)
            if said in {b"", b".", b".."} or b"/" in said or name.type == pytsk3.TSK_FS_NAME_TYPE_VIRT:
                continue
            if said == b"$OrphanFiles" or (self.part.kind == "NTFS" and said[:1] == b"$" and name.meta_addr < 24):
                continue  # The Sleuth Kit's own; NTFS' own
            if self.part.kind in {"FAT", "exFAT"} and said[:1] == b"$" and entry.info.meta is None:
                continue
            yield said, int(name.meta_addr)


def _kind(kind: Any) -> str:
    if kind == pytsk3.TSK_FS_META_TYPE_REG:
        return "file"
    if kind in {pytsk3.TSK_FS_META_TYPE_DIR, pytsk3.TSK_FS_META_TYPE_VIRT_DIR}:
        return "directory"
    return "link" if kind == pytsk3.TSK_FS_META_TYPE_LNK else "other"


def _bytes(said: str | bytes) -> bytes:
    return said if isinstance(said, bytes) else said.encode(errors="surrogateescape")


def file_systems(disks: Sequence[Disk]) -> tuple[list[FileSystem], list[Part], list[Part]]:
    """Those that can be read; parts that hold something else; and those that could, but can't be opened."""
    found, others, broken = [], list[Part](), list[Part]()
    for position, disk in enumerate(disks, start=1):
        for part in parts_of(disk, position):
            if part.kind not in _TYPES:
                others.append(part)
                continue
            try:
                found.append(FileSystem(part))
            except OSError:
                broken.append(part)
    return found, others, broken
