"""Compressed images, unpacked once into a scratch directory.

Zeroes become holes. What doesn't fit is refused when it gets there: a few KiB can unpack to more than any disk holds.
Who has others' images on a server can have a part of its disk filled, never all of it.
"""

import hashlib
import lzma
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path

from longshore.blocks.exports import Export
from longshore.errors import ExportError, InvalidInput
from longshore.model.reach import Reach
from longshore.processes.private import private_directory
from longshore.providers.files.stored import LocalFile, Stored

PIECE = 1 << 20  # bytes that are read or unpacked at once
SHARE = 4  # a project may have one part of so many of the scratch directory's file system
LEFT_FREE = 1 << 30  # bytes of the scratch directory's file system that are left to others
LARGEST = 1 << 46  # bytes, unpacked: no cloud has such volumes, and zeroes take no room here
_LZMA_MEMORY = 256 << 20  # bytes; xz -9 takes 65 MiB
_FED = 64 << 10  # bytes that are given to an unpacker at once
_HOLE = 64 << 10  # bytes: zeroes of this length and alignment become a hole


class _Inflater:
    """zlib's decompressor, as lzma has its own: of one member or stream, behind which others may follow."""

    def __init__(self, window: int) -> None:
        self._inner = zlib.decompressobj(window)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, most)


_UNPACKERS: dict[str, Callable[[], "_Inflater | lzma.LZMADecompressor"]] = {
    "gz": lambda: _Inflater(16 + zlib.MAX_WBITS),
    "deflate": lambda: _Inflater(-zlib.MAX_WBITS),
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY),
}


def unpacked(packed: Stored, how: str) -> Iterator[bytes]:
    """Yield all of it, in pieces of at most PIECE bytes; `how`: empty for what is only to be put together.

    Raises InvalidInput when it is damaged or cut off.
    """
    if not how:
        yield from _joined(packed)
        return
    pieces = _pieces(packed)
    left = next(pieces, b"")
    try:
        while left:
            unpacker = _UNPACKERS[how]()
            while not unpacker.eof:
                given = b""
                if unpacker.needs_input:
                    given, left = left or next(pieces, b""), b""
                    if not given:
                        raise _damaged(packed, "it is cut off")
                yield unpacker.decompress(given, PIECE)
            left = (unpacker.unused_data + left).lstrip(b"\0")  # padding, after which another member may follow
            while not left and (piece := next(pieces, b"")):
                left = piece.lstrip(b"\0")
    except (zlib.error, lzma.LZMAError, EOFError) as error:
        raise _damaged(packed, str(error)) from None


def _joined(stored: Stored) -> Iterator[bytes]:
    for at in range(0, stored.size, PIECE):
        piece = stored.read(at, min(PIECE, stored.size - at))
        if len(piece) < min(PIECE, stored.size - at):
            raise _damaged(stored, "it is cut off")
        yield piece


def _pieces(packed: Stored) -> Iterator[bytes]:
    """Small ones of large reads: what is left of one after each member is copied, and there may be thousands in it."""
    for at in range(0, packed.size, PIECE):
        read = packed.read(at, min(PIECE, packed.size - at))
        yield from (read[start : start + _FED] for start in range(0, len(read), _FED))


class Unpacked(Stored):
    """The content of a packed file, read in order: going back begins anew. `size`: bytes of it that are to be read."""

    scattered = True

    def __init__(self, packed: Stored, how: str, size: int) -> None:
        super().__init__(packed.name, size, f"{packed.identity}.{how}")
        self.reach = packed.reach
        self._packed = packed
        self._how = how
        self._pieces: Iterator[bytes] | None = None
        self._at = 0  # where in it `_left` begins
        self._left = b""

    def to_be_put_together(self) -> tuple[Stored, str]:
        return self._packed, self._how

    def read(self, offset: int, length: int) -> bytes:
        pieces = self._pieces
        if pieces is None or offset < self._at:
            pieces, self._at, self._left = unpacked(self._packed, self._how), 0, b""
            self._pieces = pieces
        end = min(offset + length, self.size)
        found = bytearray()
        while self._at < end:
            self._left = self._left or next(pieces, b"")
            if not self._left:
                break
            used = min(end - self._at, len(self._left))
            found += self._left[max(offset - self._at, 0) : used]
            self._at, self._left = self._at + used, self._left[used:]
        return bytes(found)

    def serve(self, offset: int = 0, size: int | None = None) -> AbstractContextManager[Export]:
        raise ExportError(f"{self.name} has to be unpacked first.")


@contextmanager
def spool(packed: Stored, how: str) -> Iterator[LocalFile]:
    """Unpacked into a file that goes with the context. Raises InvalidInput, also when there is no room.

    It is in the temporary directory; of a project it is in the scratch directory of its reach, where all that is
    unpacked at that moment of the same project is counted, by whichever process.
    """
    reach = packed.reach
    within = None if reach is None else _directory_of(packed, reach)
    with ExitStack() as stack:
        try:
            directory = stack.enter_context(private_directory(within))
            path = directory / "unpacked"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(packed, within or Path(tempfile.gettempdir()), error) from None
        stack.callback(os.close, descriptor)
        if within is None:
            path.unlink()  # nobody counts it, and so it goes with its descriptor, however this process ends
        try:
            size = 0
            for piece in unpacked(packed, how):
                for start in range(0, len(piece), _HOLE):
                    part = piece[start : start + _HOLE]
                    if part.count(0) != len(part):
                        _refuse_no_room(directory, packed)
                        os.pwrite(descriptor, part, size + start)
                size += len(piece)
                if within is not None:
                    _refuse_too_much(within, packed)
                if size > LARGEST:
                    raise _damaged(packed, f"it has more than {LARGEST >> 40} TiB unpacked")
            os.ftruncate(descriptor, size)
        except OSError as error:
            raise _unwritable(packed, directory, error) from None
        file = LocalFile(packed.name, descriptor)
        file.reach = reach
        yield file


def _directory_of(packed: Stored, reach: Reach) -> Path:
    """Return a project's own directory. Raises InvalidInput."""
    above = Path(reach.scratch or tempfile.gettempdir())
    directory = above / hashlib.sha256(reach.whose.encode()).hexdigest()[:32]
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unwritable(packed, above, error) from None
    return directory


def _refuse_no_room(directory: Path, packed: Stored) -> None:
    if shutil.disk_usage(directory).free >= LEFT_FREE:
        return
    if packed.reach is not None:
        raise _too_large(packed, "this server has no room")
    raise InvalidInput(
        f"{packed.name} doesn't fit into {directory.parent} when it is unpacked.",
        advice="Unpack it yourself where there is room, or set TMPDIR to such a directory.",
        code="no-scratch-space",
    )


def _refuse_too_much(within: Path, packed: Stored) -> None:
    """Raise InvalidInput when what a project has unpacked at this moment takes more than its share."""
    taken = 0
    for file in within.glob("*/*"):
        with suppress(FileNotFoundError):  # it has gone meanwhile
            taken += file.stat().st_blocks * 512
    share = shutil.disk_usage(within).total // SHARE
    if taken > share:
        raise _too_large(packed, f"a project may have {share / (1 << 30):.1f} GiB here at a time")


def _too_large(packed: Stored, why: str) -> InvalidInput:
    return InvalidInput(
        f"{packed.name} doesn't fit when it is unpacked: {why}.",
        advice="Unpack it where it is, and name the image.",
        code="no-scratch-space",
    )


def _unwritable(packed: Stored, directory: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        f"{packed.name} can't be unpacked in {directory}: {error.strerror}.",
        advice="Unpack it yourself, or set TMPDIR to another directory.",
        code="no-scratch-space",
    )


def _damaged(packed: Stored, why: str) -> InvalidInput:
    return InvalidInput(
        f"{packed.name} can't be unpacked: {why}.", advice="It is damaged: copy it again.", code="truncated"
    )
