"""NTFS, FAT and exFAT, as The Sleuth Kit reads them; what NTFS says of content that is elsewhere is looked at here."""

import struct
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import pytsk3

from longshore.guests.nodes import DirectoryEntry, FileSystem, Node, NotReadHere
from longshore.guests.parts import GuestVolume
from longshore.guests.reparse_points import ReparsePoint

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
    "NTFS": pytsk3.TSK_FS_TYPE_NTFS_DETECT,
    "FAT": pytsk3.TSK_FS_TYPE_FAT_DETECT,
    "exFAT": pytsk3.TSK_FS_TYPE_EXFAT,
}
_INFORMATION, _DATA, _REPARSE = 16, 128, 192  # kinds of what a file of NTFS has
_IS_ENCRYPTED, _IS_COMPRESSED = int(pytsk3.TSK_FS_ATTR_ENC), int(pytsk3.TSK_FS_ATTR_COMP)
_RESIDENT = int(pytsk3.TSK_FS_ATTR_RES)
_HOLE = int(pytsk3.TSK_FS_ATTR_RUN_FLAG_SPARSE) | int(pytsk3.TSK_FS_ATTR_RUN_FLAG_FILLER)
_ENCRYPTED, _OFFLINE, _RECALLED = 0x4000, 0x1000, 0x440000  # what Windows says of a file
_UNIT = 16  # clusters that are compressed together


class SleuthKit(FileSystem):
    def __init__(self, part: GuestVolume) -> None:
        """Open the file system. Raises OSError when it can't be read."""
        super().__init__(part)
        self._opened = pytsk3.FS_Info(part.source, offset=part.start, type=_TYPES[part.kind])
        self.any_case = True
        self._files: OrderedDict[int, Any] = OrderedDict()  # that were asked for here and there
        self._here = set[int]()  # whose content isn't elsewhere

    @cached_property
    def root(self) -> Node:
        return self.node(int(self._opened.info.root_inum))

    def node(self, number: int) -> Node:
        with _explained():
            opened = self._open(number)
            meta = opened.info.meta
            kind, target, type_ = _kind(meta.type), b"", 0
            if (point := self._reparse_point(opened)) is not None:
                target, type_ = point.target, point.type
                kind = "link" if target else "other" if type_ else kind
        return Node(
            self,
            number,
            kind,
            int(meta.size),
            int(meta.mtime),
            int(meta.mode) & 0o7777,
            int(meta.uid),
            int(meta.gid),
            target,
            int(meta.nlink),
            type_,
        )

    def read(self, number: int, offset: int, length: int) -> bytes:
        with _explained():
            opened = self._open(number)
            if number not in self._here:
                self._ensure_here(opened)
                self._here.add(number)
            if (left := int(opened.info.meta.size) - offset) <= 0:
                return b""
            return bytes(opened.read_random(offset, min(length, left)))

    def runs(self, number: int) -> Iterator[tuple[int, int]]:
        with _explained():
            opened = self._open(number)
            self._ensure_here(opened)
            size, cluster = int(opened.info.meta.size), int(self._opened.info.block_size)
            data = self._data(opened)
            if data is None or int(data.info.flags) & _RESIDENT:
                yield 0, size
                return
            unit = _UNIT if int(data.info.flags) & _IS_COMPRESSED else 1
            done = 0
            for run in data:
                if int(run.flags) & _HOLE:
                    continue
                begin = max(int(run.offset) // unit * unit, done)
                end = -(-(int(run.offset) + int(run.len)) // unit) * unit
                done = max(done, end)
                if begin < end and begin * cluster < size:
                    yield begin * cluster, min((end - begin) * cluster, size - begin * cluster)

    def entries(self, directory: Node) -> Iterator[DirectoryEntry]:
        with _explained():
            found = list(self._opened.open_dir(inode=directory.number))
        for entry in found:
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
            yield DirectoryEntry(said, int(name.meta_addr), int(name.type) in _LEAVES)

    def _open(self, number: int) -> Any:
        opened = self._files.get(number)
        if opened is None:
            opened = self._files[number] = self._opened.open_meta(inode=number)
            if len(self._files) > _OPEN:
                self._files.popitem(last=False)
        return opened

    def _ensure_here(self, opened: Any) -> None:
        """Raise NotReadHere where what would be read isn't what Windows shows."""
        if (data := self._data(opened)) is None:
            return
        said = self._said_of(opened)
        if int(data.info.size) and (int(data.info.flags) & _IS_ENCRYPTED or said & _ENCRYPTED):
            raise NotReadHere("it is encrypted (EFS), and its key isn't in it")
        point = self._reparse_point(opened)
        if point is None:
            return
        there = not said & (_OFFLINE | _RECALLED) and not any(int(run.flags) & _HOLE for run in data)
        if not (point.may_be_whole and there):
            raise NotReadHere(f"{point.meaning}, so its content is elsewhere")

    def _data(self, opened: Any) -> Any:
        """Return what a file's content is in; None where that is told otherwise."""
        if self.part.kind != "NTFS":
            return None
        return next((one for one in opened if int(one.info.type) == _DATA and not one.info.name), None)

    def _said_of(self, opened: Any) -> int:
        found = next((one for one in opened if int(one.info.type) == _INFORMATION), None)
        data = b"" if found is None else _value(opened, found)
        return int(struct.unpack_from("<I", data, 32)[0]) if len(data) >= 36 else 0

    def _reparse_point(self, opened: Any) -> ReparsePoint | None:
        if self.part.kind != "NTFS":
            return None
        found = next((one for one in opened if int(one.info.type) == _REPARSE), None)
        return None if found is None else ReparsePoint.read(_value(opened, found))


def _value(opened: Any, found: Any) -> bytes:
    size = min(int(found.info.size), 1 << 14)
    return bytes(opened.read_random(0, size, int(found.info.type), int(found.info.id))) if size else b""


@contextmanager
def _explained() -> Iterator[None]:
    """Raise OSError for what the disk couldn't be read for, which comes through The Sleuth Kit as another error."""
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
