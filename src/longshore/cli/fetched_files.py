"""Files fetched of a point, as they are written here: with their holes, and what an archive says is missing in it."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from longshore.errors import Conflict, InvalidInput
from longshore.guests.file_names import LEFT_OUT_OF_ARCHIVE

_STEP = 64 << 10  # bytes: where nothing else is in so many zeroes, none are written
_NOTHING = bytes(_STEP)
_LONGEST_END = 8 << 20  # bytes of an archive's end that are looked at


@contextmanager
def new_file(path: Path) -> Iterator[Callable[[bytes], object]]:
    """Make a file for its owner alone, which goes when the block fails. Raises Conflict, InvalidInput."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Conflict(f"{path} is there already.", advice="Name another file.") from None
    except OSError as error:
        raise InvalidInput(f"{path} can't be written: {error.strerror}.") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            writer = _Sparse(file) if path.is_file() else None  # a device has no holes
            yield writer.write if writer is not None else file.write
            if writer is not None:
                writer.end()
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise InvalidInput(f"{path} can't be written: {error.strerror}.") from None
        raise


class _Sparse:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._size = 0

    def write(self, piece: bytes) -> None:
        for at in range(0, len(piece), _STEP):
            part = piece[at : at + _STEP]
            if part == _NOTHING[: len(part)]:
                self._file.seek(len(part), os.SEEK_CUR)
            else:
                self._file.write(part)
        self._size += len(piece)

    def end(self) -> None:
        self._file.truncate(self._size)


class ArchiveEnd:
    """The end of an archive that comes in pieces, whose last member says what isn't in it."""

    def __init__(self) -> None:
        self._end = bytearray()

    def take(self, piece: bytes) -> None:
        self._end += piece
        if len(self._end) > 2 * _LONGEST_END:
            cut = (len(self._end) - _LONGEST_END) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
            del self._end[:cut]

    def left_out(self) -> list[str]:
        """Return lines, each a sentence."""
        for at in range(len(self._end) // tarfile.BLOCKSIZE - 1, -1, -1):
            block = bytes(self._end[at * tarfile.BLOCKSIZE : (at + 1) * tarfile.BLOCKSIZE])
            if LEFT_OUT_OF_ARCHIVE.encode() not in block[:100]:
                continue
            try:
                member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError:
                continue
            if member.name.lstrip("_") == LEFT_OUT_OF_ARCHIVE:
                begin = (at + 1) * tarfile.BLOCKSIZE
                return self._end[begin : begin + member.size].decode(errors="replace").splitlines()
        return []
