"""A directory as a tar archive: what can't be read as a whole isn't in it, and its last member says what that is.

Files with holes are in the form that GNU tar has for them (PAX, sparse format 1.0): of 42 GB with nothing in them but
64 KB the archive has 64 KB.
"""

import stat
import tarfile
import time
from collections.abc import Iterable, Iterator
from io import BytesIO, RawIOBase
from itertools import chain
from typing import BinaryIO, cast

from longshore.errors import ConversionError
from longshore.guests.file_names import LEFT_OUT_OF_ARCHIVE, meant_name
from longshore.guests.left_out import LeftOut
from longshore.guests.nodes import Node

_READ_BEFORE = 64 << 20  # bytes: a file that isn't longer is read as a whole before anything of it is written
_WORTH_IT = 64 << 10  # bytes of holes
_TYPES = {stat.S_IFIFO: tarfile.FIFOTYPE, stat.S_IFCHR: tarfile.CHRTYPE, stat.S_IFBLK: tarfile.BLKTYPE}


def write_archive(out: BinaryIO, top: str, found: Iterable[tuple[str, Node]], left_out: LeftOut) -> None:
    """Write an archive of what was found. `top`: the directory's path, as those of what is in it are shown. Raises
    ConversionError, ConnectionError."""
    names = set[str]()
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        packer = _Packer(archive)
        for path, node in found:
            name = meant_name(path.removeprefix(top).lstrip("/")).decode(errors="surrogateescape")
            if "/" not in name:
                names.add(name)
            try:
                packer.add(name, node)
            except ConnectionError:  # nobody wants it any more
                raise
            except OSError as error:
                if packer.has_begun:
                    raise ConversionError(
                        f"Some of {path} was in the archive when it couldn't be read on: {error}.",
                        advice="Get the other files and directories one by one.",
                    ) from None
                left_out.add(path, error)
        if text := left_out.text():
            name = LEFT_OUT_OF_ARCHIVE
            while name in names:
                name = f"_{name}"
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(text), time.time()
            archive.addfile(info, BytesIO(text))


class _Packer:
    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self.has_begun = False  # with a file that isn't read as a whole before
        self._first: dict[tuple[int, int], str] = {}  # names of files that have several

    def add(self, name: str, node: Node) -> None:
        """Add a file, a directory or a link. Raises OSError."""
        info = tarfile.TarInfo(name)
        info.mode, info.uid, info.gid, info.mtime = node.mode, node.user, node.group, max(node.modified, 0)
        if node.kind == "directory":
            info.type = tarfile.DIRTYPE
            self._archive.addfile(info)
            return
        key = id(node.system), node.number
        if (first := self._first.get(key)) is not None:
            info.type, info.linkname = tarfile.LNKTYPE, first
            self._archive.addfile(info)
            return
        if node.kind == "file":
            self._add_file(info, node)
        else:
            self._add_other(info, node)
        if node.links > 1:
            self._first[key] = name

    def _add_other(self, info: tarfile.TarInfo, node: Node) -> None:
        if node.kind == "link":
            info.type, info.linkname = tarfile.SYMTYPE, node.target.decode(errors="surrogateescape")
        elif (type_ := _TYPES.get(node.type)) is not None:
            info.type, (info.devmajor, info.devminor) = type_, node.device
        else:
            raise OSError("a socket isn't kept in an archive" if stat.S_ISSOCK(node.type) else "what it is isn't known")
        self._archive.addfile(info)

    def _add_file(self, info: tarfile.TarInfo, node: Node) -> None:
        runs = node.runs()
        written, head = sum(length for _, length in runs), b""
        if node.size - written > _WORTH_IT:
            head = _map(runs, node.size)
            info.pax_headers = {
                "GNU.sparse.major": "1",
                "GNU.sparse.minor": "0",
                "GNU.sparse.name": info.name,
                "GNU.sparse.realsize": str(node.size),
            }
            info.name = f"GNUSparseFile.0/{info.name}"
            pieces = (piece for run in runs for piece in node.written(run))
        else:
            pieces, written = (piece for piece in node.pieces(runs)), node.size
        info.size = len(head) + written
        if written <= _READ_BEFORE:
            read = list(pieces)
            self._write(info, chain((head,), read))
            return
        self.has_begun = True
        self._write(info, chain((head,), pieces))
        self.has_begun = False

    def _write(self, info: tarfile.TarInfo, pieces: Iterator[bytes]) -> None:
        self._archive.addfile(info, cast("BinaryIO", _Content(pieces)))


def _map(runs: list[tuple[int, int]], size: int) -> bytes:
    """Return the map of where something is, as GNU tar has it before a file's content. The file's end is told by an
    empty range."""
    ranges = runs if runs and sum(runs[-1]) == size else [*runs, (size, 0)]
    text = "".join(f"{number}\n" for number in (len(ranges), *chain.from_iterable(ranges))).encode()
    return text.ljust(-(-len(text) // 512) * 512, b"\0")


class _Content(RawIOBase):
    """Pieces, as tarfile reads them."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def read(self, size: int = -1, /) -> bytes:
        found = []
        while size > 0:
            if not self._left:
                piece = next(self._pieces, None)
                if piece is None:
                    break
                self._left = memoryview(piece)
            found.append(self._left[:size])
            self._left = self._left[size:]
            size -= len(found[-1])
        return b"".join(found)
