"""Where ext2 to ext4 keep a directory: so that its blocks are read ahead, several at once.

The Sleuth Kit reads them and waits for each block. Its answers alone count: what is found here only makes blocks be
asked for earlier, and what makes no sense isn't.
"""

import struct
from collections.abc import Iterator

from longshore.guests.nodes import unpacked
from longshore.guests.parts import Part

_SUPERBLOCK = 1024
_META_GROUPS, _WIDE = 0x10, 0x80  # of incompatible features: descriptors lie elsewhere, or have 64 bits
_EXTENTS, _INLINE = 0x80000, 0x10000000  # flags of an inode
_FIRST_DESCRIPTOR_SIZE, _FIRST_INODE_SIZE = 32, 128
_EXTENT_MAGIC = 0xF30A
_LARGEST_SHIFT = 6  # of 1 KiB, to a block's size
_MOST = 16  # blocks of a directory: hardly one has more

_U32 = struct.Struct("<I")
_U16 = struct.Struct("<H")
_HEADER = struct.Struct("<HHHH")  # of extents: magic, how many, how many there could be, levels below
_EXTENT = struct.Struct("<IHHI")  # from which block of the file, how many, and where
_BLOCKS = struct.Struct("<12I")  # that an inode has without extents


class DirectoriesAhead:
    def __init__(self, part: Part) -> None:
        """Raises OSError when it can't be told."""
        self._part = part
        head = part.read(_SUPERBLOCK, 1024)
        first, shift, per_group, revision, features = (_U32.unpack_from(head, at)[0] for at in (20, 24, 40, 76, 96))
        if shift > _LARGEST_SHIFT or not per_group or features & _META_GROUPS:
            raise OSError("where its inodes are can't be told")
        self._per_group: int = per_group
        self._block: int = 1024 << shift
        self._descriptors = (first + 1) * self._block
        self._descriptor: int = _U16.unpack_from(head, 254)[0] if features & _WIDE else _FIRST_DESCRIPTOR_SIZE
        self._inode: int = _U16.unpack_from(head, 88)[0] if revision else _FIRST_INODE_SIZE
        self._tables: dict[int, int] = {}  # where a group's inodes begin, in bytes

    def ask(self, number: int) -> None:
        """For a directory's inode, by its number, and when that is there for what is in it. Raises OSError."""
        place = self._place(number)
        self._part.ahead([(place, self._inode)])
        self._part.ahead(list(self._content(self._part.read(place, self._inode))))

    def _place(self, number: int) -> int:
        group, index = divmod(number - 1, self._per_group)
        table = self._tables.get(group)
        if table is None:
            descriptor = self._part.read(self._descriptors + group * self._descriptor, self._descriptor)
            (low,) = unpacked(_U32, descriptor, 8)
            high = unpacked(_U32, descriptor, 40)[0] if self._descriptor > _FIRST_DESCRIPTOR_SIZE else 0
            table = self._tables[group] = (low | high << 32) * self._block
        return table + index * self._inode

    def _content(self, inode: bytes) -> Iterator[tuple[int, int]]:
        """Its first blocks, each place with its length in bytes."""
        (flags,) = unpacked(_U32, inode, 32)
        if flags & _INLINE:
            return
        if not flags & _EXTENTS:
            yield from ((block * self._block, self._block) for block in unpacked(_BLOCKS, inode, 40) if block)
            return
        magic, count, _, below = unpacked(_HEADER, inode, 40)
        if magic != _EXTENT_MAGIC or below:
            return
        left = _MOST
        for number in range(min(count, 4)):
            _, length, high, low = unpacked(_EXTENT, inode, 52 + number * _EXTENT.size)
            length = min(length, left)
            left -= length
            yield (low | high << 32) * self._block, length * self._block
