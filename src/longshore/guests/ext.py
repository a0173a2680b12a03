"""Directories of ext2 to ext4: where they are, so that several are read ahead at once, and what is in them.

The Sleuth Kit waits for each block, and opens the inode of every file in a directory, for which somebody who looks for
a name has no use. So most directories are read here. What isn't simple, or makes no sense, is left to it: names in
inodes, encrypted ones, damage (https://docs.kernel.org/filesystems/ext4/, "Directory Entries", "Block Groups").
"""

import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple

from longshore.guests.nodes import Entry, harmless, unpacked
from longshore.guests.parts import Part

_SUPERBLOCK = 1024
_KINDS, _META_GROUPS, _WIDE = 0x2, 0x10, 0x80  # incompatible features: names have kinds, descriptors elsewhere, 64 bits
_DATA_IN_NAMES = 0x1000
_EXTENTS, _INLINE, _ENCRYPTED = 0x80000, 0x10000000, 0x800  # flags of an inode
_FIRST_DESCRIPTOR_SIZE, _FIRST_INODE_SIZE = 32, 128
_EXTENT_MAGIC = 0xF30A
_LARGEST_SHIFT = 6  # of 1 KiB, to a block's size
_LARGEST_READ_SHIFT = 5  # in larger blocks the length of a name's record is written in another way
_MOST = 16  # blocks of a directory that are read ahead: hardly one has more
_MOST_READ = 4 << 20  # bytes of a directory that are read here
_MOST_LEVELS = 1  # of a tree of extents, above these: some 1,360 of them

_U32 = struct.Struct("<I")
_U16 = struct.Struct("<H")
_HEADER = struct.Struct("<HHHH")  # of extents: magic, how many, how many there could be, levels below
_EXTENT = struct.Struct("<IHHI")  # from which block of the file, how many, and where
_INDEX = struct.Struct("<IIHH")  # from which block of the file, and where the extents from there on are
_BLOCKS = struct.Struct("<12I")  # that an inode has without extents
_NAME = struct.Struct("<IHBB")  # inode, bytes of the record, of the name, kind
_DIRECTORY, _LINK = 2, 7  # kinds; those between 1 and 7 are all there are, 0 is unknown


class Run(NamedTuple):
    """Blocks of a directory that lie side by side."""

    place: int  # bytes
    length: int


class Directories:
    def __init__(self, part: Part) -> None:
        """Raises OSError when it can't be told where they are."""
        self._part = part
        head = part.read(_SUPERBLOCK, 1024)
        first, shift, per_group, revision, features = (_U32.unpack_from(head, at)[0] for at in (20, 24, 40, 76, 96))
        if shift > _LARGEST_SHIFT or not per_group or features & _META_GROUPS:
            raise OSError("where its inodes are can't be told")
        self._per_group: int = per_group
        self._block: int = 1024 << shift
        self._readable = shift <= _LARGEST_READ_SHIFT and bool(features & _KINDS) and not features & _DATA_IN_NAMES
        self._descriptors = (first + 1) * self._block
        self._descriptor: int = _U16.unpack_from(head, 254)[0] if features & _WIDE else _FIRST_DESCRIPTOR_SIZE
        self._inode: int = _U16.unpack_from(head, 88)[0] if revision else _FIRST_INODE_SIZE
        self._tables: dict[int, int] = {}  # where a group's inodes begin, in bytes

    def ask(self, number: int) -> None:
        """For a directory's inode, by its number, and when that is there for what is in it. Raises OSError."""
        place = self._place(number)
        self._part.ahead([(place, self._inode)])
        left = _MOST * self._block
        wanted = []
        for run in self._runs(self._part.read(place, self._inode)):
            wanted.append((run.place, min(run.length, left)))
            left -= run.length
            if left <= 0:
                break
        self._part.ahead(wanted)

    def entries(self, number: int) -> list[Entry]:
        """What is in a directory. Raises OSError when The Sleuth Kit has to be asked."""
        inode = self._part.read(self._place(number), self._inode)
        (flags,) = unpacked(_U32, inode, 32)
        (mode,), (size,) = unpacked(_U16, inode), unpacked(_U32, inode, 4)
        runs = list(self._runs(inode))
        simple = self._readable and stat.S_ISDIR(mode) and not flags & _ENCRYPTED
        if not simple or size > _MOST_READ or sum(run.length for run in runs) != size:
            raise OSError("it isn't simple")
        try:
            return [entry for run in runs for entry in self._in(self._part.read(run.place, run.length))]
        except struct.error:  # a record that begins too near to its block's end
            raise OSError("its names are damaged") from None

    def _in(self, blocks: bytes) -> Iterator[Entry]:
        """No record goes beyond its block. What is no name (an index, a checksum, one deleted) has no inode."""
        at = 0
        while at < len(blocks):
            number, length, name_length, kind = _NAME.unpack_from(blocks, at)
            if length < _NAME.size + name_length or length % 4 or at % self._block + length > self._block:
                raise OSError("its names are damaged")
            if number:
                name = blocks[at + _NAME.size : at + _NAME.size + name_length]
                if harmless(name):
                    yield Entry(name, number, kind != _DIRECTORY and 0 < kind <= _LINK)
            at += length

    def _place(self, number: int) -> int:
        group, index = divmod(number - 1, self._per_group)
        table = self._tables.get(group)
        if table is None:
            descriptor = self._part.read(self._descriptors + group * self._descriptor, self._descriptor)
            (low,) = unpacked(_U32, descriptor, 8)
            high = unpacked(_U32, descriptor, 40)[0] if self._descriptor > _FIRST_DESCRIPTOR_SIZE else 0
            table = self._tables[group] = (low | high << 32) * self._block
        return table + index * self._inode

    def _runs(self, inode: bytes) -> Iterator[Run]:
        """Its blocks, as far as the inode itself tells."""
        (flags,) = unpacked(_U32, inode, 32)
        if flags & _INLINE:
            return
        if not flags & _EXTENTS:
            yield from (Run(block * self._block, self._block) for block in unpacked(_BLOCKS, inode, 40) if block)
            return
        yield from self._extents(inode[40:100], _MOST_LEVELS)

    def _extents(self, node: bytes, most_levels: int) -> Iterator[Run]:
        magic, count, _, levels = unpacked(_HEADER, node)
        if magic != _EXTENT_MAGIC or levels > most_levels:
            raise OSError("its extents are damaged")
        for at in range(_HEADER.size + 4, _HEADER.size + 4 + count * _EXTENT.size, _EXTENT.size):
            if levels:
                _, low, high, _ = unpacked(_INDEX, node, at)
                yield from self._extents(self._part.read((low | high << 32) * self._block, self._block), levels - 1)
            else:
                _, length, high, low = unpacked(_EXTENT, node, at)
                yield Run((low | high << 32) * self._block, length * self._block)
