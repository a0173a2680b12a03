"""Inodes of ext2 to ext4, and the blocks that each of them has: what is read of a file, and where it has none.

Whatever a structure says is checked before it is used: depths against what the format allows, places against the size
of the file system (https://docs.kernel.org/filesystems/ext4/, "Block Groups", "Inodes", "Extended Attributes").
"""

import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

from longshore.guests.nodes import NotReadHere, unpacked
from longshore.guests.parts import GuestVolume

_SUPERBLOCK = 1024
_FILE_TYPES, _META_GROUPS, _WIDE, _VALUES_IN_INODES, _LARGE_DIRECTORIES = 0x2, 0x10, 0x80, 0x400, 0x4000
_KNOWN = 0x3E7D6  # incompatible features: not compressed, no journal's own disk, no data in names (of Lustre)
_FEW_COPIES, _FEWER_COPIES = 0x1, 0x200  # of superblocks: a read-only compatible feature, and a compatible one
_FIRST_DESCRIPTOR_SIZE, _FIRST_INODE_SIZE = 32, 128
_EXTENTS, _INLINE, _ENCRYPTED = 0x80000, 0x10000000, 0x800  # flags of an inode
_EXTENT_MAGIC, _VALUES_MAGIC = 0xF30A, 0xEA020000
_SYSTEM, _DATA = 7, b"data"  # the value that an inode's data go on in
_UNWRITTEN = 1 << 15  # an extent that is longer has nothing written, and is so much shorter
_LARGEST_SHIFT = 6  # of 1 KiB, to a block's size
_MOST_LEVELS = 5  # of a tree of extents
_IN_INODE = 60  # bytes
_DAMAGED = "its structures are damaged"

_U32 = struct.Struct("<I")
_U16 = struct.Struct("<H")
_HEADER = struct.Struct("<HHHH")  # of extents: magic, how many, how many there could be, levels below
_EXTENT = struct.Struct("<IHHI")  # from which block of the file, how many, and where
_INDEX = struct.Struct("<IIHH")  # from which block of the file, and where the extents from there on are
_BASE = struct.Struct("<HHIIiiiIHHII")  # mode, user, size, four times (that of the content is the third), …, flags
_VALUE = struct.Struct("<BBHIII")  # bytes of the name, its kind, where the value is, in which inode, how many bytes


class BlockRun(NamedTuple):
    """Blocks of a file that lie side by side."""

    at: int  # in the file, in blocks
    block: int
    length: int  # in blocks, too


class Inode(NamedTuple):
    number: int
    mode: int
    size: int  # bytes
    modified: int
    user: int
    group: int
    links: int
    flags: int
    fast: bool  # a link that has its target itself
    data: bytes  # all of it

    @property
    def own(self) -> bytes:
        """Return the inode's own bytes: what it has of its content, or of where that is."""
        return self.data[40 : 40 + _IN_INODE]

    @property
    def encrypted(self) -> bool:
        return bool(self.flags & _ENCRYPTED)

    @property
    def inline(self) -> bool:
        return bool(self.flags & _INLINE)

    @property
    def device(self) -> tuple[int, int]:
        old, new = struct.unpack_from("<II", self.data, 40)
        if old & 0xFFFF:
            return old >> 8 & 0xFF, old & 0xFF
        return new >> 8 & 0xFFF, new & 0xFF | new >> 12 & 0xFFF00


class Inodes:
    def __init__(self, part: GuestVolume) -> None:
        """Read where inodes are. Raises OSError when it can't be told."""
        self._part = part
        head = part.read(_SUPERBLOCK, 1024)
        self._count, first, shift, per_group, revision = (_U32.unpack_from(head, at)[0] for at in (0, 20, 24, 40, 76))
        compatible, features, read_only = struct.unpack_from("<III", head, 92)
        self.size: int = _U16.unpack_from(head, 88)[0] if revision else _FIRST_INODE_SIZE
        if shift > _LARGEST_SHIFT or not per_group or not _FIRST_INODE_SIZE <= self.size <= 1024 << shift:
            raise OSError(_DAMAGED)
        if features & ~_KNOWN:
            raise OSError("it has features that aren't known here")
        self.block: int = 1024 << shift
        self.typed = bool(features & _FILE_TYPES)
        self._per_group: int = per_group
        self._blocks_per_group: int = _U32.unpack_from(head, 32)[0]
        self._first: int = first
        self._descriptor: int = _U16.unpack_from(head, 254)[0] if features & _WIDE else _FIRST_DESCRIPTOR_SIZE
        if not _FIRST_DESCRIPTOR_SIZE <= self._descriptor <= self.block:
            raise OSError(_DAMAGED)
        self._first_scattered: int | None = _U32.unpack_from(head, 260)[0] if features & _META_GROUPS else None
        self._few_copies = bool(read_only & _FEW_COPIES)
        self._copies = {0, *struct.unpack_from("<II", head, 0x24C)} if compatible & _FEWER_COPIES else None
        self._large_directories = bool(features & _LARGE_DIRECTORIES)
        self._values_in_inodes = bool(features & _VALUES_IN_INODES)
        self._tables: dict[int, int] = {}  # where a group's inodes begin, in bytes

    def place(self, number: int) -> int:
        """Return where an inode is, in bytes. Raises OSError."""
        if not 1 <= number <= self._count:
            raise OSError(_DAMAGED)
        group, index = divmod(number - 1, self._per_group)
        table = self._tables.get(group)
        if table is None:
            descriptor = self._part.read(self._descriptor_of(group), self._descriptor)
            (low,) = unpacked(_U32, descriptor, 8)
            high = unpacked(_U32, descriptor, 40)[0] if self._descriptor > _FIRST_DESCRIPTOR_SIZE else 0
            table = self._tables[group] = (low | high << 32) * self.block
        return table + index * self.size

    def inode(self, number: int) -> Inode:
        """Read an inode. Raises OSError, also for one that isn't used."""
        data = self._part.read(self.place(number), self.size)
        mode, user, size, _, _, modified, _, group, links, blocks, flags, _ = _BASE.unpack_from(data)
        user, group = user | _U16.unpack_from(data, 0x78)[0] << 16, group | _U16.unpack_from(data, 0x7A)[0] << 16
        if not mode:
            raise OSError(_DAMAGED)
        if stat.S_ISREG(mode) or self._large_directories:
            size |= _U32.unpack_from(data, 0x6C)[0] << 32
        if self.size > _FIRST_INODE_SIZE and _U16.unpack_from(data, 0x80)[0] >= 0x8C - 0x80:
            modified += (_U32.unpack_from(data, 0x88)[0] & 3) << 32
        if size >= 1 << 63:
            raise OSError(_DAMAGED)
        values = self.block // 512 if _U32.unpack_from(data, 0x68)[0] else 0
        fast = 0 < size < _IN_INODE and (self._values_in_inodes or (blocks == values and not flags & _INLINE))
        return Inode(number, mode, size, modified, user, group, links, flags, fast, data)

    def content(self, inode: Inode, offset: int, length: int) -> bytes:
        """Read a file's content: less at its end. Raises OSError, NotReadHere."""
        if inode.encrypted:
            raise NotReadHere("it is encrypted, and its key isn't on the disk")
        length = min(length, inode.size - offset)
        if length <= 0:
            return b""
        if inode.inline:
            return self._inline(inode)[offset : offset + length]
        found = bytearray(length)
        for run in self.runs(inode, offset // self.block, -(-(offset + length) // self.block)):
            begin, end = max(offset, run.at * self.block), min(offset + length, (run.at + run.length) * self.block)
            place = run.block * self.block + begin - run.at * self.block
            found[begin - offset : end - offset] = self._part.read(place, end - begin)
        return bytes(found)

    def target(self, inode: Inode) -> bytes:
        """Return what a link leads to. Raises OSError, NotReadHere."""
        if inode.fast and not inode.encrypted:
            return inode.own[: inode.size]
        if inode.size > self.block:
            raise OSError(_DAMAGED)
        return self.content(inode, 0, inode.size)

    def runs(self, inode: Inode, first: int, end: int, most_levels: int = _MOST_LEVELS) -> Iterator[BlockRun]:
        """Yield what is written of the blocks from `first` to before `end`, upwards. Raises OSError."""
        done = first
        told = self._extents(inode.own, most_levels, first) if inode.flags & _EXTENTS else self._mapped(inode, first)
        for run in told:
            if run.at >= end:
                return
            begin, behind = max(run.at, first), min(run.at + run.length, end)
            if begin < done:
                raise OSError(_DAMAGED)
            yield BlockRun(begin, run.block + begin - run.at, behind - begin)
            done = behind

    def _extents(self, node: bytes, most_levels: int, first: int) -> Iterator[BlockRun]:
        magic, count, _, levels = unpacked(_HEADER, node)
        if magic != _EXTENT_MAGIC or levels > most_levels:
            raise OSError("its extents are damaged")
        places = range(_HEADER.size + 4, _HEADER.size + 4 + count * _EXTENT.size, _EXTENT.size)
        if not levels:
            for place in places:
                at, length, high, low = unpacked(_EXTENT, node, place)
                if length <= _UNWRITTEN and at + length > first:
                    yield BlockRun(at, low | high << 32, length)
            return
        below = [unpacked(_INDEX, node, place) for place in places]
        for number, (_, low, high, _) in enumerate(below):
            if number + 1 < len(below) and below[number + 1][0] <= first:
                continue
            data = self._part.read((low | high << 32) * self.block, self.block)
            yield from self._extents(data, levels - 1, first)

    def _mapped(self, inode: Inode, first: int) -> Iterator[BlockRun]:
        """Yield the runs of an inode that names each block: twelve in itself, the others in blocks that it names."""
        places = struct.unpack("<15I", inode.own)
        last: BlockRun | None = None
        for at, block in self._named(places, first):
            if last is not None and at == last.at + last.length and block == last.block + last.length:
                last = BlockRun(last.at, last.block, last.length + 1)
                continue
            if last is not None:
                yield last
            last = BlockRun(at, block, 1)
        if last is not None:
            yield last

    def _named(self, places: tuple[int, ...], first: int) -> Iterator[tuple[int, int]]:
        for at, block in enumerate(places[:12]):
            if block and at >= first:
                yield at, block
        at, each = 12, self.block // 4
        for levels, block in enumerate(places[12:], start=1):
            if block and at + each**levels > first:
                yield from self._named_below(block, at, levels, first)
            at += each**levels

    def _named_below(self, block: int, at: int, levels: int, first: int) -> Iterator[tuple[int, int]]:
        wide = (self.block // 4) ** (levels - 1)
        data = self._part.read(block * self.block, self.block)
        skipped = max((first - at) // wide, 0)
        for number, (found,) in enumerate(_U32.iter_unpack(data[skipped * 4 :]), start=skipped):
            if found and levels == 1:
                yield at + number, found
            elif found:
                yield from self._named_below(found, at + number * wide, levels - 1, first)

    def _inline(self, inode: Inode) -> bytes:
        """Return the content in an inode: sixty bytes where others have their blocks, the others as a value of the
        inode's."""
        found = inode.own
        if inode.size > len(found):
            found += self._value(inode.data)
        if inode.size > len(found):
            raise OSError(_DAMAGED)
        return found[: inode.size]

    def _value(self, data: bytes) -> bytes:
        begin = _FIRST_INODE_SIZE + unpacked(_U16, data, _FIRST_INODE_SIZE)[0]
        if unpacked(_U32, data, begin)[0] != _VALUES_MAGIC:
            raise OSError(_DAMAGED)
        at = begin = begin + 4
        while at + 4 <= len(data) and data[at : at + 4] != bytes(4):
            length, kind, place, _, size, _ = unpacked(_VALUE, data, at)
            name = data[at + _VALUE.size : at + _VALUE.size + length]
            if (kind, name) == (_SYSTEM, _DATA):
                return data[begin + place : begin + place + size]
            at += _VALUE.size + -(-length // 4) * 4
        raise OSError(_DAMAGED)

    def _descriptor_of(self, group: int) -> int:
        """Return where a group's descriptor is, in bytes. All are behind the first superblock, or those of some groups
        where these begin."""
        per_block = self.block // self._descriptor
        together = group // per_block
        if self._first_scattered is None or together < self._first_scattered:
            return (_SUPERBLOCK // self.block + 1) * self.block + group * self._descriptor
        first = together * per_block
        block = self._first + first * self._blocks_per_group + self._has_superblock(first)
        if first == 0 and self.block == _SUPERBLOCK and self._first == 0:  # with clusters the first block is counted
            block += 1
        return block * self.block + group % per_block * self._descriptor

    def _has_superblock(self, group: int) -> bool:
        if self._copies is not None:
            return group in self._copies
        return not self._few_copies or group <= 1 or any(_is_power(group, base) for base in (3, 5, 7))


def _is_power(number: int, base: int) -> bool:
    while number > 1 and number % base == 0:
        number //= base
    return number == 1
