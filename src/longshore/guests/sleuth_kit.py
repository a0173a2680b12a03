"""ext2 to ext4, NTFS, FAT and exFAT, as The Sleuth Kit reads them; of ext, most directories are read by ext.py."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any

import pytsk3

from longshore.guests.ext import Directories
from longshore.guests.nodes import Entry, FileSystem, Node
from longshore.guests.parts import Part

_OPEN = 64  # files that are kept open
_LEAVES = {
    int(kind)
    for kind in (
        pytsk3.TSK_FS_NAME_TYPE_REG,
        pytsk3.TSK_FS_NAME_TYPE_LNK,
        pytsk3.TSK_FS_NAME_TYPE_FIFO,
        pytsk3.TSK_FS_NAME_TYPE_SOCK,
        pytsk3.TSK_FS_NAME_TYPE_CHR,
        pytsk3.TSK_FS_NAME_TYPE_BLK,
    )
}
_ALLOCATED = int(pytsk3.TSK_FS_NAME_FLAG_ALLOC)
_TYPES = {
    "ext": pytsk3.TSK_FS_TYPE_EXT_DETECT,
    "NTFS": pytsk3.TSK_FS_TYPE_NTFS_DETECT,
    "FAT": pytsk3.TSK_FS_TYPE_FAT_DETECT,
    "exFAT": pytsk3.TSK_FS_TYPE_EXFAT,
}


class SleuthKit(FileSystem):
    def __init__(self, part: Part) -> None:
        """Raises OSError when it can't be read."""
        super().__init__(part)
        self._opened = pytsk3.FS_Info(part.source, offset=part.start, type=_TYPES[part.kind])
        self.any_case = part.kind != "ext"
        self.interrupted = part.kind == "ext" and part.ext_needs_recovery
        self._files: OrderedDict[int, Any] = OrderedDict()  # that were read from here and there

    @cached_property
    def root(self) -> Node:
        return self.node(int(self._opened.info.root_inum))

    def node(self, number: int) -> Node:
        with _explained():
            meta = self._opened.open_meta(inode=number).info.meta
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
        with _explained():
            opened = self._files.get(number)
            if opened is None:
                opened = self._files[number] = self._opened.open_meta(inode=number)
                if len(self._files) > _OPEN:
                    self._files.popitem(last=False)
            if (left := int(opened.info.meta.size) - offset) <= 0:
                return b""
            return bytes(opened.read_random(offset, min(length, left)))

    @cached_property
    def _aligned(self) -> bool:
        """Whether no block of it lies on both sides of a border. Inodes and directories are read a block at a time."""
        return self.part.kind == "ext" and self.part.start % int(self._opened.info.block_size) == 0

    def _in(self, directory: Node) -> Sequence[Any]:
        source = self.part.source
        source.sparing = self._aligned
        try:
            with _explained():
                return list(self._opened.open_dir(inode=directory.number))
        finally:
            source.sparing = False

    @cached_property
    def _directories(self) -> Directories | None:
        with suppress(OSError):
            return Directories(self.part) if self.part.kind == "ext" else None
        return None

    def ahead(self, directory: Node) -> None:
        if self._directories is not None:
            self._directories.ask(directory.number)

    def entries(self, directory: Node) -> Iterator[Entry]:
        if self._directories is not None:
            with suppress(OSError):  # of what isn't simple
                return iter(self._directories.entries(directory.number))
        return self._all_entries(directory)

    def _all_entries(self, directory: Node) -> Iterator[Entry]:
        for entry in self._in(directory):
            name = entry.info.name
            if name is None or (text := name.name) is None or int(name.flags) != _ALLOCATED:
                continue
            said = _bytes(text)
            if said in {b"", b".", b".."} or b"/" in said or name.type == pytsk3.TSK_FS_NAME_TYPE_VIRT:
                continue
            if said == b"$OrphanFiles" or (self.part.kind == "NTFS" and said[:1] == b"$" and name.meta_addr < 24):
                continue  # The Sleuth Kit's own; NTFS' own
            if self.part.kind in {"FAT", "exFAT"} and said[:1] == b"$" and entry.info.meta is None:
                continue
            yield Entry(said, int(name.meta_addr), int(name.type) in _LEAVES)


@contextmanager
def _explained() -> Iterator[None]:
    """What the disk couldn't be read for comes through The Sleuth Kit as another error. Raises OSError."""
    try:
        yield
    except RuntimeError:
        raise OSError("not all of it can be read") from None


def _kind(kind: Any) -> str:
    if kind == pytsk3.TSK_FS_META_TYPE_REG:
        return "file"
    if kind in {pytsk3.TSK_FS_META_TYPE_DIR, pytsk3.TSK_FS_META_TYPE_VIRT_DIR}:
        return "directory"
    return "link" if kind == pytsk3.TSK_FS_META_TYPE_LNK else "other"


def _bytes(said: str | bytes) -> bytes:
    return said if isinstance(said, bytes) else said.encode(errors="surrogateescape")
