"""Btrfs, read-only, on one disk or several: subvolumes, directories, files, compressed ones too, and links.

Written from the format's description. Whatever a structure says is checked before it is used; a tree's keys have to go
upwards, so that one that leads back into itself ends. A subvolume is a directory, where it is, as for Linux.
"""

import stat
import struct
import zlib
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import zstandard

from longshore.guests.lzo import decompress
from longshore.guests.nodes import DirectoryEntry, FileSystem, Node, NotReadHere, harmless, kind_of, unpacked
from longshore.guests.parts import GuestVolume

_PLACE, _SIZE = 0x10000, 4096  # of the superblock
_KNOWN_FEATURES = 0x10FFF  # that change how it is read
_KEY = struct.Struct("<QBQ")
_CHUNK = struct.Struct("<QQQQIIIHH")
_STRIPE = struct.Struct("<QQ16x")
_HEADER = 101  # bytes of a tree's block before its entries
_POINTER = struct.Struct("<QBQQ8x")
_ITEM = struct.Struct("<QBQII")
_INODE = struct.Struct("<16xQ16xIIIIQ72xQ")  # size, links, user, group, mode, device, when it was changed
_ENTRY = struct.Struct("<QBQ8xHHB")
_EXTENT = struct.Struct("<8xQBBHB")
_EXTENT_PLACE = struct.Struct("<QQQQ")
_REFERENCE = struct.Struct("<QQH")
_U64 = struct.Struct("<Q")
_IS_INODE, _IS_ENTRY_BY_NAME, _IS_ENTRY, _IS_EXTENT, _IS_ROOT, _IS_REFERENCE = 1, 84, 96, 108, 132, 156  # keys
_ROOTS, _CHUNKS, _TOP, _FIRST_SUBVOLUME, _TOP_DIRECTORY = 1, 3, 5, 256, 256  # trees, and a subvolume's own directory
_LEAVES = {1, 3, 4, 5, 6, 7}  # what an entry says that is no directory
_DEFAULT = 6  # the directory that names the default subvolume
_RAID0, _RAID10, _RAID5, _RAID6 = 0x8, 0x40, 0x80, 0x100
_KEPT = 256  # blocks of trees
_DEEPEST = 8
_MOST_CHUNKS = 1 << 20
_MOST_SUBVOLUMES = 1000  # that are looked at for the guest's root
_LONGEST_LINK = 4096
_MOST_COMPRESSED = 1 << 20  # bytes; Linux writes 128 KiB
_INLINE, _WRITTEN = 0, 1
_DAMAGED = "its structures are damaged"

Key = tuple[int, int, int]


@dataclass(frozen=True)
class _Chunk:
    """A range of the file system's own addresses, and where it is on disks."""

    length: int
    kind: int
    width: int  # of a stripe
    copies: int  # of RAID 10
    stripes: Sequence[tuple[int, int]]  # disk, and where on it


@dataclass(frozen=True)
class _Block:
    """A block of a tree."""

    keys: Sequence[Key]
    below: Sequence[int]  # addresses; of a leaf none
    items: Sequence[bytes]


class Btrfs(FileSystem):
    def __init__(self, parts: Sequence[GuestVolume]) -> None:
        """Open one file system from all its parts that are there. Raises OSError when it can't be read."""
        super().__init__(parts[0])
        heads = [(part, part.read(_PLACE, _SIZE)) for part in parts]
        self._disks = {_U64.unpack_from(head, 0xC9)[0]: part for part, head in reversed(heads)}
        head = max((head for _, head in heads), key=lambda one: _U64.unpack_from(one, 0x48)[0])
        self._uuid = head[0x20:0x30]
        root, chunks, log = struct.unpack_from("<QQQ", head, 0x50)
        self._sector, self._block_size = struct.unpack_from("<II", head, 0x90)
        (features,) = _U64.unpack_from(head, 0xBC)
        if features & ~_KNOWN_FEATURES:
            raise OSError("it has features that aren't known here")
        if self._block_size not in {1 << bits for bits in range(12, 17)} or not 512 <= self._sector <= 65536:
            raise OSError(_DAMAGED)
        self.interrupted = log != 0
        self._blocks: OrderedDict[int, _Block] = OrderedDict()
        self._chunks: dict[int, _Chunk] = {}
        self._begins: list[int] = []
        self._read_first_chunks(head[0x32B : 0x32B + min(struct.unpack_from("<I", head, 0xA0)[0], 2048)])
        for key, item in self._items(chunks, (0, 0, 0)):
            if key[1] == 228:
                self._add_chunk(key[2], item)
        self._begins = sorted(self._chunks)
        self._root_tree = root
        self._trees: dict[int, int] = {}
        self.root  # noqa: B018 it can be read

    @cached_property
    def root(self) -> Node:
        return self._subvolume(_TOP)

    @cached_property
    def tops(self) -> Sequence[Node]:
        found = [self._default, self.root]
        for key, _ in self._items(self._root_tree, (_FIRST_SUBVOLUME, _IS_ROOT, 0)):
            if key[1] == _IS_ROOT and _FIRST_SUBVOLUME <= key[0] < 1 << 63:
                found.append(self._subvolume(key[0]))
            if len(found) > _MOST_SUBVOLUMES:
                break
        return list(dict.fromkeys(found))

    def top(self, options: str) -> Node:
        for option in options.split(","):
            name, _, value = option.partition("=")
            if name == "subvolid" and value.isascii() and value.isdigit():
                return self._subvolume(int(value) or _TOP)
            if name == "subvol":
                return self._walked(value.encode(errors="surrogateescape"))
        return self._default

    def node(self, number: int) -> Node:
        tree, inode = number >> 64, number & ((1 << 64) - 1)
        item = self._item(self._tree(tree), (inode, _IS_INODE, 0))
        size, links, user, group, mode, device, modified = unpacked(_INODE, item)
        kind = kind_of(mode)
        target = b""
        if kind == "link":
            if size > _LONGEST_LINK:
                raise OSError(_DAMAGED)
            target = self._content(number, 0, size)
        modified -= (modified >> 63) << 64
        numbers = (device >> 20, device & 0xFFFFF)
        return Node(
            *(self, number, kind, size, modified, mode & 0o7777, user, group, target, links, stat.S_IFMT(mode), numbers)
        )

    def read(self, number: int, offset: int, length: int) -> bytes:
        node = self.node(number)
        if node.kind != "file":
            raise OSError(_DAMAGED)
        return self._content(number, offset, min(length, node.size - offset))

    def runs(self, number: int) -> Iterator[tuple[int, int]]:
        node, done = self.node(number), 0
        for at, item in self._extents(self._tree(number >> 64), number & ((1 << 64) - 1), 0):
            whole, _, _, _, form = unpacked(_EXTENT, item)
            length, written = whole, True
            if form != _INLINE:
                address, _, _, length = unpacked(_EXTENT_PLACE, item, _EXTENT.size)
                written = address != 0 and form == _WRITTEN
            begin, end = max(at, done), min(at + length, node.size)
            if written and begin < end:
                yield begin, end - begin
            done = max(done, end)

    def entries(self, directory: Node) -> Iterator[DirectoryEntry]:
        tree, inode = directory.number >> 64, directory.number & ((1 << 64) - 1)
        for key, item in self._items(self._tree(tree), (inode, _IS_ENTRY, 0)):
            if key[:2] != (inode, _IS_ENTRY):
                return
            where, kind, _, _, length, of = unpacked(_ENTRY, item)
            name = item[_ENTRY.size : _ENTRY.size + length]
            if not harmless(name):
                continue
            if kind == _IS_INODE:
                yield DirectoryEntry(name, tree << 64 | where, of in _LEAVES)
            elif kind == _IS_ROOT and self._refers(tree, where, inode):
                yield DirectoryEntry(name, where << 64 | _TOP_DIRECTORY)

    def _refers(self, tree: int, to: int, directory: int) -> bool:
        """A snapshot has names of the subvolumes that were below what it was made of, but not these."""
        try:
            item = self._item(self._root_tree, (tree, _IS_REFERENCE, to))
        except OSError:
            return False
        return unpacked(_REFERENCE, item)[0] == directory

    @cached_property
    def _default(self) -> Node:
        for key, item in self._items(self._root_tree, (_DEFAULT, _IS_ENTRY_BY_NAME, 0)):
            if key[:2] != (_DEFAULT, _IS_ENTRY_BY_NAME):
                break
            where, kind, _, _, length, _ = unpacked(_ENTRY, item)
            if kind == _IS_ROOT and item[_ENTRY.size : _ENTRY.size + length] == b"default":
                return self._subvolume(where)
        return self.root

    def _subvolume(self, tree: int) -> Node:
        return self.node(tree << 64 | _TOP_DIRECTORY)

    def _walked(self, path: bytes) -> Node:
        found = self.root
        for wanted in path.split(b"/"):
            if wanted:
                found = self.node(next((one.number for one in self.entries(found) if one.name == wanted), 0))
        return found

    def _tree(self, tree: int) -> int:
        """Return the address of a tree's root."""
        if (found := self._trees.get(tree)) is not None:
            return found
        if tree != _TOP and not _FIRST_SUBVOLUME <= tree < 1 << 63:
            raise OSError(_DAMAGED)
        for key, item in self._items(self._root_tree, (tree, _IS_ROOT, 0)):
            if key[:2] != (tree, _IS_ROOT):
                break
            (self._trees[tree],) = unpacked(_U64, item, 176)
            return self._trees[tree]
        raise OSError("it has no such subvolume")

    def _content(self, number: int, offset: int, length: int) -> bytes:
        """Return a file's content."""
        if length <= 0:
            return b""
        tree, inode = self._tree(number >> 64), number & ((1 << 64) - 1)
        found, end = bytearray(length), offset + length
        for at, item in self._extents(tree, inode, offset):
            if at >= end:
                break
            size, data = self._extent(item, max(offset - at, 0), end - at)
            begin = max(at, offset)
            data = data[: max(min(at + size, end) - begin, 0)]
            found[begin - offset : begin - offset + len(data)] = data
        return bytes(found)

    def _extents(self, tree: int, inode: int, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield a file's extents, from the one on that has that offset, or the last before it."""
        before = self._last_before(tree, (inode, _IS_EXTENT, offset + 1))
        first = before if before is not None and before[:2] == (inode, _IS_EXTENT) else (inode, _IS_EXTENT, 0)
        for key, item in self._items(tree, first):
            if key[:2] != (inode, _IS_EXTENT):
                return
            yield key[2], item

    def _extent(self, item: bytes, begin: int, end: int) -> tuple[int, bytes]:
        """Return how long an extent is, and its bytes from `begin` to before `end`, or to its own end."""
        whole, compression, encryption, other, form = unpacked(_EXTENT, item)
        if encryption or other:
            raise NotReadHere("it is encrypted, or written in a way that isn't known here")
        if form == _INLINE:
            data = item[_EXTENT.size :]
            data = self._decompressed(compression, data, whole)[:whole] if compression else data
            return len(data), data[begin:end]
        address, stored, start, size = unpacked(_EXTENT_PLACE, item, _EXTENT.size)
        end = min(end, size)
        if address == 0 or form != _WRITTEN or begin >= end:
            return size, b""
        if not compression:
            return size, self._read(address + start + begin, end - begin)
        if stored > _MOST_COMPRESSED:
            raise OSError(_DAMAGED)
        data = self._decompressed(compression, self._read(address, stored), whole)
        return size, data[start + begin : start + end].ljust(end - begin, b"\0")

    def _decompressed(self, compression: int, data: bytes, most: int) -> bytes:
        if most > _MOST_COMPRESSED:
            raise OSError(_DAMAGED)
        try:
            match compression:
                case 1:
                    return zlib.decompressobj().decompress(data, most)
                case 2:
                    return self._decompressed_lzo(data, most)
                case 3:
                    return zstandard.ZstdDecompressor(max_window_size=1 << 20).stream_reader(data).read(most)
        except (zlib.error, zstandard.ZstdError):
            pass
        raise OSError("what is compressed is damaged")

    def _decompressed_lzo(self, data: bytes, most: int) -> bytes:
        """Decompress sector by sector, each with its length before it, which never lies across the end of a sector."""
        found, at = b"", 4
        (end,) = unpacked(struct.Struct("<I"), data)
        while at < min(end, len(data)) and len(found) < most:
            if self._sector - at % self._sector < 4:
                at += self._sector - at % self._sector
            (length,) = unpacked(struct.Struct("<I"), data, at)
            found += decompress(data[at + 4 : at + 4 + length], self._sector)
            at += 4 + length
        return found

    def _item(self, tree: int, key: Key) -> bytes:
        for found, item in self._items(tree, key):
            if found == key:
                return item
            break
        raise OSError(_DAMAGED)

    def _items(self, address: int, first: Key) -> Iterator[tuple[Key, bytes]]:
        """Yield the items of a tree, from a key on."""
        last = -1, 0, 0
        for key, item in self._below(address, first, _DEEPEST):
            if key <= last:
                raise OSError(_DAMAGED)
            last = key
            yield key, item

    def _below(self, address: int, first: Key, level: int) -> Iterator[tuple[Key, bytes]]:
        block = self._block(address, level)
        if not block.below:
            start = bisect_left(block.keys, first)
            yield from zip(block.keys[start:], block.items[start:], strict=True)
            return
        for number in range(max(bisect_right(block.keys, first) - 1, 0), len(block.keys)):
            yield from self._below(block.below[number], first, level - 1)

    def _last_before(self, address: int, limit: Key) -> Key | None:
        """Return the last key of a tree that is smaller."""
        for level in range(_DEEPEST, 0, -1):
            block = self._block(address, level)
            number = bisect_left(block.keys, limit) - 1
            if number < 0:
                return None
            if not block.below:
                return block.keys[number]
            address = block.below[number]
        raise OSError(_DAMAGED)

    def _block(self, address: int, below: int) -> _Block:
        """Read a block of a level below `below`."""
        if (found := self._blocks.get(address)) is not None:
            self._blocks.move_to_end(address)
            return found
        data = self._read(address, self._block_size)
        itself, (count, level) = _U64.unpack_from(data, 0x30)[0], struct.unpack_from("<IB", data, 0x60)
        form = _POINTER if level else _ITEM
        if itself != address or level >= below or count * form.size > len(data) - _HEADER or (level and not count):
            raise OSError(_DAMAGED)
        entries = list(form.iter_unpack(data[_HEADER : _HEADER + count * form.size]))
        keys = [entry[:3] for entry in entries]
        if any(one >= other for one, other in pairwise(keys)):
            raise OSError(_DAMAGED)
        if level:
            block = _Block(keys, [entry[3] for entry in entries], [])
        else:
            begins = ((_HEADER + entry[3], entry[4]) for entry in entries)
            block = _Block(keys, [], [data[begin : begin + size] for begin, size in begins])
        self._blocks[address] = block
        if len(self._blocks) > _KEPT:
            self._blocks.popitem(last=False)
        return block

    def _read_first_chunks(self, data: bytes) -> None:
        """Read the chunks that the chunks' own tree is in; the superblock has them."""
        at = 0
        while at < len(data):
            _, _, begin = unpacked(_KEY, data, at)
            at += _KEY.size
            at += self._add_chunk(begin, data[at:])
        self._begins = sorted(self._chunks)

    def _add_chunk(self, begin: int, item: bytes) -> int:
        """Add a chunk, and return the length of its description in bytes."""
        length, _, width, kind, _, _, _, count, copies = unpacked(_CHUNK, item)
        size = _CHUNK.size + count * _STRIPE.size
        if not count or size > len(item) or not width or not length or len(self._chunks) > _MOST_CHUNKS:
            raise OSError(_DAMAGED)
        if kind & _RAID10 and (not copies or count % copies):
            raise OSError(_DAMAGED)
        stripes = list(_STRIPE.iter_unpack(item[_CHUNK.size : size]))
        self._chunks[begin] = _Chunk(length, kind, width, copies, stripes)
        return size

    def _read(self, address: int, length: int) -> bytes:
        found = []
        while length:
            number = bisect_right(self._begins, address) - 1
            begin = self._begins[number] if number >= 0 else 0
            chunk = self._chunks.get(begin)
            if chunk is None or address - begin >= chunk.length:
                raise OSError(_DAMAGED)
            places, most = _places(chunk, address - begin)
            count = min(length, most, chunk.length - (address - begin))
            found.append(self._first_of(places, count))
            address, length = address + count, length - count
        return b"".join(found)

    def _first_of(self, places: Sequence[tuple[int, int]], count: int) -> bytes:
        for disk, at in places:
            if disk in self._disks:
                return self._disks[disk].read(at, count)
        raise OSError("a disk of it is missing")


def _places(chunk: _Chunk, offset: int) -> tuple[Sequence[tuple[int, int]], int]:
    """Return where a range is, each copy as a disk and a place on it; and how many bytes are behind each other
    there."""
    number, within = divmod(offset, chunk.width)
    stripes, count = chunk.stripes, len(chunk.stripes)
    if chunk.kind & _RAID0:
        stripes = stripes[number % count :][:1]
        row = number // count
    elif chunk.kind & _RAID10:
        first = number % (count // chunk.copies) * chunk.copies
        stripes = stripes[first : first + chunk.copies]
        row = number // (count // chunk.copies)
    elif chunk.kind & (_RAID5 | _RAID6):  # parity moves on by a disk with each row
        wide = count - (1 if chunk.kind & _RAID5 else 2)
        if wide <= 0:
            raise OSError(_DAMAGED)
        row = number // wide
        stripes = [stripes[(number % wide + row) % count]]
    else:
        return [(disk, at + offset) for disk, at in stripes], chunk.length
    return [(disk, at + row * chunk.width + within) for disk, at in stripes], chunk.width - within


def joined(parts: Sequence[GuestVolume]) -> list[list[GuestVolume]]:
    """Join parts that hold Btrfs, those of one file system together."""
    found: dict[bytes, list[GuestVolume]] = {}
    for part in parts:
        found.setdefault(part.read(_PLACE + 0x20, 16), []).append(part)
    return list(found.values())
