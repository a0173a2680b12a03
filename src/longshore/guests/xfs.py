"""XFS, versions 4 and 5, read-only: directories, files and links.

Written from the format's description. Whatever a structure says is checked before it is used: depths and numbers
against what the format allows, places against the size of the file system. A tree's records have to go upwards, so that
one that leads back into itself ends.
"""

import stat
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from longshore.guests.nodes import DirectoryEntry, FileSystem, Node, NotReadHere, harmless, kind_of, unpacked
from longshore.guests.parts import GuestVolume
from longshore.guests.xfs_log import is_interrupted

_INODE = struct.Struct(">HHBBxxII")  # up to the group
_DIRECTORY_DATA = {b"XD2B": 16, b"XD2D": 16, b"XDB3": 64, b"XDD3": 64}  # bytes before the first entry
_DIRECTORY_BLOCK = {b"XD2B", b"XDB3"}  # the only block of a directory, with a table at its end
_LEAVES = 32 << 30  # where a directory's own tables begin, in bytes of it
_LINK_HEADER = 56
_LONGEST_LINK = 1024
_DEEPEST = 9  # levels of a tree
_DEVICE, _LOCAL, _EXTENTS, _TREE = 0, 1, 2, 3  # forms of what an inode has
_REALTIME = 0x1  # flag of a file that is on another device
_BIG_TIMES, _MANY_EXTENTS = 0x8, 0x10  # of an inode's newer flags
_KNOWN_FEATURES = 0xEF  # that change how a file system is read, and that this reads; not one that wants a repair
_TYPED_ENTRIES, _OLD_TYPED_ENTRIES = 0x1, 0x200
_DAMAGED = "its structures are damaged"

_U32, _U64, _U16 = struct.Struct(">I"), struct.Struct(">Q"), struct.Struct(">H")
_RECORD = struct.Struct(">QQ")  # of an extent
_LEVEL = struct.Struct(">HH")  # of a tree's block, and how many records are in it
_SHORT = struct.Struct("BB")  # how many entries an inode's own directory has, and whether their numbers are long
_LENGTH = struct.Struct("B")
_ENTRY = struct.Struct(">QB")


@dataclass(frozen=True)
class _Inode:
    mode: int
    form: int
    size: int
    modified: int
    user: int
    group: int
    links: int
    flags: int
    extents: int
    fork: bytes  # what it has itself of its content, or of where that is


@dataclass(frozen=True)
class _Extent:
    at: int  # all in blocks
    block: int
    count: int
    unwritten: bool


class XFS(FileSystem):
    def __init__(self, part: GuestVolume) -> None:
        """Open the file system. Raises OSError when it can't be read."""
        super().__init__(part)
        head = part.read(0, 512)
        self._block_size: int = _U32.unpack_from(head, 4)[0]
        self._root: int = _U64.unpack_from(head, 56)[0]
        self._group_blocks: int
        self._groups: int
        self._group_blocks, self._groups = struct.unpack_from(">II", head, 84)
        version, _, self._inode_size = struct.unpack_from(">HHH", head, 100)
        self._block_bits, _, self._inode_bits, self._inodes_bits, self._group_bits = head[120:125]
        self._directory_bits, self._newest = head[192], version & 0xF == 5
        if (
            head[:4] != b"XFSB"
            or version & 0xF not in {4, 5}
            or not 9 <= self._block_bits <= 16
            or self._block_size != 1 << self._block_bits
            or not 8 <= self._inode_bits <= 11
            or self._inode_size != 1 << self._inode_bits
            or self._inodes_bits != self._block_bits - self._inode_bits
            or self._directory_bits + self._block_bits > 16
            or not 0 < self._group_blocks <= 1 << self._group_bits <= 1 << 31
            or self._groups == 0
        ):
            raise OSError(_DAMAGED)
        (features,) = _U32.unpack_from(head, 216)
        if self._newest and features & ~_KNOWN_FEATURES:
            raise OSError("it has features that aren't known here")
        (older,) = _U32.unpack_from(head, 200)
        self._typed = bool(features & _TYPED_ENTRIES) if self._newest else bool(older & _OLD_TYPED_ENTRIES)
        self.root  # noqa: B018 it can be read
        self.interrupted = self._is_interrupted(head)

    @cached_property
    def root(self) -> Node:
        return self.node(self._root)

    def node(self, number: int) -> Node:
        inode = self._inode(number)
        kind = kind_of(inode.mode)
        return Node(
            self,
            number,
            kind,
            inode.size,
            inode.modified,
            inode.mode & 0o7777,
            inode.user,
            inode.group,
            self._target(inode) if kind == "link" else b"",
            inode.links,
            stat.S_IFMT(inode.mode),
            _device(inode) if kind == "other" else (0, 0),
        )

    def read(self, number: int, offset: int, length: int) -> bytes:
        inode = self._file(number)
        return self._content(inode, offset, min(length, inode.size - offset))

    def runs(self, number: int) -> Iterator[tuple[int, int]]:
        inode, bits = self._file(number), self._block_bits
        for extent in self._extents(inode, 0, -(-inode.size >> bits)):
            begin, end = extent.at << bits, min((extent.at + extent.count) << bits, inode.size)
            if not extent.unwritten and begin < end:
                yield begin, end - begin

    def entries(self, directory: Node) -> Iterator[DirectoryEntry]:
        inode = self._inode(directory.number)
        if kind_of(inode.mode) != "directory":
            raise OSError(_DAMAGED)
        found = self._short_entries(inode.fork) if inode.form == _LOCAL else self._long_entries(inode)
        return (DirectoryEntry(name, number) for name, number in found if harmless(name))

    def _file(self, number: int) -> _Inode:
        inode = self._inode(number)
        if kind_of(inode.mode) != "file":
            raise OSError(_DAMAGED)
        if inode.flags & _REALTIME:
            raise NotReadHere("it is on a device of its own (a real-time one)")
        return inode

    def _is_interrupted(self, head: bytes) -> bool:
        (start,), (blocks,) = _U64.unpack_from(head, 48), _U32.unpack_from(head, 96)
        try:  # without a start it is on another disk
            return start == 0 or is_interrupted(self.part, self._place(start), blocks << self._block_bits >> 9)
        except OSError:
            return True

    def _inode(self, number: int) -> _Inode:
        group, within = number >> (self._group_bits + self._inodes_bits), number >> self._inodes_bits
        place = self._place(group << self._group_bits | within & ((1 << self._group_bits) - 1))
        data = self.part.read(place + ((number & ((1 << self._inodes_bits) - 1)) << self._inode_bits), self._inode_size)
        magic, mode, version, form, user, group_id = _INODE.unpack_from(data)
        if magic != 0x494E or not 1 <= version <= 3:
            raise OSError(_DAMAGED)
        core = 176 if version == 3 else 100
        (seconds,), (size,) = struct.unpack_from(">i", data, 40), _U64.unpack_from(data, 56)
        (extents,), (flags,) = _U32.unpack_from(data, 76), _U16.unpack_from(data, 90)
        if version == 3:
            (newer,), (itself,) = _U64.unpack_from(data, 120), _U64.unpack_from(data, 152)
            if itself != number:
                raise OSError(_DAMAGED)
            if newer & _BIG_TIMES:
                seconds = _U64.unpack_from(data, 40)[0] // 10**9 - (1 << 31)
            if newer & _MANY_EXTENTS:
                (extents,) = _U64.unpack_from(data, 24)
        if mode == 0 or size >= 1 << 63:
            raise OSError(_DAMAGED)
        fork = data[core : core + data[82] * 8] if data[82] else data[core:]
        links = _U32.unpack_from(data, 16)[0] if version > 1 else _U16.unpack_from(data, 6)[0]
        return _Inode(mode, form, size, seconds, user, group_id, links, flags, extents, fork)

    def _place(self, block: int) -> int:
        """Return the place, in bytes, of a block as the file system names it: group and block in it."""
        group, within = block >> self._group_bits, block & ((1 << self._group_bits) - 1)
        if group >= self._groups or within >= self._group_blocks:
            raise OSError(_DAMAGED)
        return (group * self._group_blocks + within) << self._block_bits

    def _content(self, inode: _Inode, offset: int, length: int) -> bytes:
        """Return a file's content."""
        if length <= 0:
            return b""
        found, bits = bytearray(length), self._block_bits
        for extent in self._extents(inode, offset >> bits, ((offset + length - 1) >> bits) + 1):
            if extent.unwritten:
                continue
            begin = max(offset, extent.at << bits)
            end = min(offset + length, (extent.at + extent.count) << bits)
            place = self._place(extent.block)
            self._place(extent.block + extent.count - 1)
            found[begin - offset : end - offset] = self.part.read(place + begin - (extent.at << bits), end - begin)
        return bytes(found)

    def _extents(self, inode: _Inode, first: int, end: int) -> Iterator[_Extent]:
        """Yield the extents that have some of the blocks from `first` to before `end`."""
        done = 0
        for extent in self._records(inode, first):
            if extent.at < done or extent.count == 0:
                raise OSError(_DAMAGED)
            done = extent.at + extent.count
            if extent.at >= end:
                return
            if done > first:
                yield extent

    def _records(self, inode: _Inode, first: int) -> Iterator[_Extent]:
        fork = inode.fork
        if inode.form == _EXTENTS:
            if inode.extents * _RECORD.size > len(fork):
                raise OSError(_DAMAGED)
            return self._unpacked_records(fork[: inode.extents * _RECORD.size])
        if inode.form != _TREE:
            raise OSError(_DAMAGED)
        level, count = unpacked(_LEVEL, fork)
        most = (len(fork) - _LEVEL.size) // 16
        if not 1 <= level <= _DEEPEST or not 1 <= count <= most:
            raise OSError(_DAMAGED)
        return self._branch(fork, _LEVEL.size, count, most, level, first)

    def _branch(self, data: bytes, at: int, count: int, most: int, level: int, first: int) -> Iterator[_Extent]:  # noqa: PLR0917
        keys = struct.unpack_from(f">{count}Q", data, at)
        below = struct.unpack_from(f">{count}Q", data, at + most * 8)
        for number in range(max(bisect_right(keys, first) - 1, 0), count):
            yield from self._block_of_tree(below[number], level - 1, first)

    def _block_of_tree(self, block: int, level: int, first: int) -> Iterator[_Extent]:
        data = self.part.read(self._place(block), self._block_size)
        magic, found, count = data[:4], *_LEVEL.unpack_from(data, 4)
        head = {b"BMAP": 24, b"BMA3": 72}.get(magic, 0)
        most = (self._block_size - head) // 16
        if not head or found != level or not 1 <= count <= most:
            raise OSError(_DAMAGED)
        if level:
            return self._branch(data, head, count, most, level, first)
        return self._unpacked_records(data[head : head + count * 16])

    @staticmethod
    def _unpacked_records(data: bytes) -> Iterator[_Extent]:
        for high, low in _RECORD.iter_unpack(data):
            at, block = high >> 9 & ((1 << 54) - 1), (high & 0x1FF) << 43 | low >> 21
            yield _Extent(at, block, low & 0x1FFFFF, bool(high >> 63))

    def _short_entries(self, fork: bytes) -> Iterator[tuple[bytes, int]]:
        count, wide = unpacked(_SHORT, fork)
        form = _U64 if wide else _U32
        at = 2 + form.size
        for _ in range(count):
            (length,) = unpacked(_LENGTH, fork, at)
            name = fork[at + 3 : at + 3 + length]
            at += 3 + length + self._typed
            (number,) = unpacked(form, fork, at)
            at += form.size
            yield name, number

    def _long_entries(self, inode: _Inode) -> Iterator[tuple[bytes, int]]:
        per_block, size = 1 << self._directory_bits, self._block_size << self._directory_bits
        done = 0
        for extent in self._extents(inode, 0, min(_LEAVES, inode.size) >> self._block_bits):
            end = min(extent.at + extent.count + per_block - 1, inode.size >> self._block_bits) // per_block
            for number in range(max(extent.at // per_block, done), end):
                yield from self._entries_of_block(self._content(inode, number * size, size))
                done = number + 1

    def _entries_of_block(self, data: bytes) -> Iterator[tuple[bytes, int]]:
        at, end = _DIRECTORY_DATA.get(data[:4], 0), len(data)
        if not at:
            raise OSError(_DAMAGED)
        if data[:4] in _DIRECTORY_BLOCK:
            end -= 8 + 8 * unpacked(_U32, data, end - 8)[0]
        while at < end:
            if data[at : at + 2] == b"\xff\xff":  # nothing, so many bytes of it
                (length,) = unpacked(_U16, data, at + 2)
                if length == 0 or length % 8:
                    raise OSError(_DAMAGED)
                at += length
                continue
            number, length = unpacked(_ENTRY, data, at)
            name = data[at + 9 : at + 9 + length]
            at += (9 + length + self._typed + 2 + 7) & ~7
            if at > end:
                raise OSError(_DAMAGED)
            yield name, number

    def _target(self, inode: _Inode) -> bytes:
        if inode.size > _LONGEST_LINK:
            raise OSError(_DAMAGED)
        if inode.form == _LOCAL:
            return inode.fork[: inode.size]
        found = b""
        for extent in self._extents(inode, 0, _LONGEST_LINK):
            blocks = min(extent.count, (_LONGEST_LINK + _LINK_HEADER >> self._block_bits) + 1)
            data = self.part.read(self._place(extent.block), blocks << self._block_bits)
            if self._newest:
                magic, length = data[:4], _U32.unpack_from(data, 8)[0]
                if magic != b"XSLM":
                    raise OSError(_DAMAGED)
                data = data[_LINK_HEADER : _LINK_HEADER + length]
            found += data
            if len(found) >= inode.size:
                return found[: inode.size]
        raise OSError(_DAMAGED)


def _device(inode: _Inode) -> tuple[int, int]:
    """Return the major and minor number of a device."""
    if inode.form != _DEVICE:
        return 0, 0
    (device,) = unpacked(_U32, inode.fork)
    return device >> 18, device & 0x3FFFF
