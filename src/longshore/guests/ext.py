"""ext2 to ext4, read-only: directories, files and links.

Of what is asked for next several directories are read ahead at once, and nobody who looks for a name opens the inode of
every file (https://docs.kernel.org/filesystems/ext4/, "Directory Entries").
"""

import stat
import struct
from collections.abc import Iterator
from functools import cached_property

from longshore.guests.ext_inodes import Inode, Inodes
from longshore.guests.nodes import DirectoryEntry, FileSystem, Node, NotReadHere, harmless, kind_of
from longshore.guests.parts import GuestVolume

_ROOT = 2
_MOST = 16  # blocks of a directory that are read ahead: hardly one has more
_MOST_LEVELS = 1  # of a tree of extents that is looked at for that
_PIECE = 256  # blocks
_NAME = struct.Struct("<IHBB")  # inode, bytes of the record, of the name, kind
_DIRECTORY, _LINK = 2, 7  # kinds; those between 1 and 7 are all there are, 0 is unknown
_LARGEST = 1 << 16  # a block in which the length of a name's record is written in another way
_DAMAGED = "its names are damaged"


class Ext(FileSystem):
    def __init__(self, part: GuestVolume) -> None:
        """Open the file system. Raises OSError when it can't be read."""
        super().__init__(part)
        self.interrupted = part.ext_needs_recovery
        self._inodes = Inodes(part)
        self.root  # noqa: B018 it can be read

    @cached_property
    def root(self) -> Node:
        return self.node(_ROOT)

    def node(self, number: int) -> Node:
        inode = self._inodes.inode(number)
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
            self._inodes.target(inode) if kind == "link" else b"",
            inode.links,
            stat.S_IFMT(inode.mode),
            inode.device if kind == "other" else (0, 0),
        )

    def read(self, number: int, offset: int, length: int) -> bytes:
        return self._inodes.content(self._file(number), offset, length)

    def runs(self, number: int) -> Iterator[tuple[int, int]]:
        inode, block = self._file(number), self._inodes.block
        if inode.encrypted or inode.inline:
            self._inodes.content(inode, 0, 1)
            yield 0, inode.size
            return
        for run in self._inodes.runs(inode, 0, -(-inode.size // block)):
            yield run.at * block, min(run.length * block, inode.size - run.at * block)

    def entries(self, directory: Node) -> Iterator[DirectoryEntry]:
        inode = self._inodes.inode(directory.number)
        if not stat.S_ISDIR(inode.mode):
            raise OSError(_DAMAGED)
        if inode.encrypted:
            raise NotReadHere("its names are encrypted, and their key isn't on the disk")
        if inode.inline:  # behind the number of its parent; and what has no room there by itself
            data = self._inodes.content(inode, 0, inode.size)
            return iter([*self._in(data[4:60], 60), *self._in(data[60:], len(data))])
        return self._long_entries(inode)

    def _long_entries(self, inode: Inode) -> Iterator[DirectoryEntry]:
        block = self._inodes.block
        for run in self._inodes.runs(inode, 0, -(-inode.size // block)):
            for first in range(run.block, run.block + run.length, _PIECE):
                length = min(_PIECE, run.block + run.length - first) * block
                yield from self._in(self.part.read(first * block, length), block)

    def _in(self, blocks: bytes, block: int) -> Iterator[DirectoryEntry]:
        """No record goes beyond its block. What is no name (an index, a checksum, one deleted) has no inode."""
        at, typed = 0, self._inodes.typed
        while at < len(blocks):
            try:
                number, length, name_length, kind = _NAME.unpack_from(blocks, at)
            except struct.error:  # a record that begins too near to its block's end
                raise OSError(_DAMAGED) from None
            if block == _LARGEST:
                length = _LARGEST if length in {0, _LARGEST - 1} else length & ~3 | (length & 3) << 16
            if length < _NAME.size + name_length or length % 4 or at % block + length > block:
                raise OSError(_DAMAGED)
            if number:
                name = blocks[at + _NAME.size : at + _NAME.size + name_length]
                if harmless(name):
                    yield DirectoryEntry(name, number, typed and kind != _DIRECTORY and 0 < kind <= _LINK)
            at += length

    def ahead(self, directory: Node) -> None:
        """Ask for an inode, and when that is there for what is in it."""
        self.part.ahead([(self._inodes.place(directory.number), self._inodes.size)])
        inode = self._inodes.inode(directory.number)
        if not inode.inline:
            block = self._inodes.block
            runs = self._inodes.runs(inode, 0, min(_MOST, -(-inode.size // block)), _MOST_LEVELS)
            self.part.ahead([(run.block * block, run.length * block) for run in runs])

    def _file(self, number: int) -> Inode:
        inode = self._inodes.inode(number)
        if not stat.S_ISREG(inode.mode):
            raise OSError("it is no file")
        return inode
