"""A file, or a part of one, whose bytes can be had: a few of them at once, or all of them as an NBD endpoint.

Nothing here understands what the bytes mean.
"""

import os
import re
import unicodedata
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from typing import Protocol

from longshore.blocks.exports import Export, serve_qemu_nbd
from longshore.errors import ExportError, InvalidInput
from longshore.model.reach import Reach

SECTOR = 512  # bytes; QEMU knows no smaller pieces


class Stored(ABC):
    """`name` is for people. `identity` is another one once the file has been changed."""

    reach: Reach | None = None  # in whose name it is read, and where it may be unpacked; None: this user's own
    scattered = False  # its bytes lie in several places: it can't be served before they are put together

    def __init__(self, name: str, size: int, identity: str) -> None:
        self.name = printable(name, 255)
        self.size = size
        self.identity = identity

    def to_be_put_together(self) -> tuple["Stored", str]:
        """Return what to unpack into one place, and how; empty: as it is read."""
        return self, ""

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Read a range: fewer bytes at the end of the file. Raises InvalidInput, Unreachable when it can't be read."""

    @abstractmethod
    def serve(self, offset: int = 0, size: int | None = None) -> AbstractContextManager[Export]:
        """Serve the file read-only. Its size may be rounded up to whole sectors. Raises ExportError."""


class Bundle(Protocol):
    """Files that may name each other."""

    def open(self, name: str) -> Stored:
        """Open a file by a plain name, the same file each time. It can be used as long as the bundle.

        Raises NotFound, AccessDenied, InvalidInput, Unreachable.
        """


class FilesPlace(Protocol):
    def is_one(self) -> bool:
        """Tell whether it is a single file. Raises NotFound, AccessDenied, InvalidInput."""

    def files(self, below: str = "") -> list[str]:
        """Return the paths of all that is there, or of what is in one of its directories. Raises NotFound,
        AccessDenied, InvalidInput."""

    def bundle(self, path: str) -> AbstractContextManager[Bundle]:
        """Open the file at this path and those beside it."""


class LocalFile(Stored):
    """An open file of this machine. Whoever replaces its name meanwhile changes nothing."""

    def __init__(self, name: str, descriptor: int) -> None:
        found = os.fstat(descriptor)
        super().__init__(name, found.st_size, f"{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}:{found.st_size}")
        self.descriptor = descriptor
        self.modified = found.st_mtime_ns

    def read(self, offset: int, length: int) -> bytes:
        if not 0 <= offset < self.size:  # a stranger's header may say any, also what no system call takes
            return b""
        try:
            return os.pread(self.descriptor, length, offset)
        except OSError as error:
            raise InvalidInput(f"{self.name} can't be read: {error.strerror}.") from None

    def serve(self, offset: int = 0, size: int | None = None) -> AbstractContextManager[Export]:
        """Serve the file by its descriptor, whatever its name leads to by now. A file that a running machine writes to
        is locked."""
        wanted = self.size - offset if size is None else size
        file = {"file.driver": "file", "file.filename": f"/proc/{os.getpid()}/fd/{self.descriptor}"}
        bounds: dict[str, str] = {}
        if (offset, wanted) != (0, self.size):  # of a whole file QEMU rounds the size up itself
            rounded = -(-wanted // SECTOR) * SECTOR
            if offset + rounded > self.size:
                raise InvalidInput(f"{self.name} is cut off.", advice="Copy it again.", code="truncated")
            bounds = {"offset": str(offset), "size": str(rounded)}
        return serve_qemu_nbd({"driver": "raw", **bounds, **file}, read_only=True)


class FilePart(Stored):
    """A part of a file, such as a member of an archive."""

    def __init__(self, whole: Stored, name: str, offset: int, size: int) -> None:
        super().__init__(name, size, f"{whole.identity}+{offset}")
        self.reach = whole.reach
        self.end = offset + size  # in the whole
        self._whole = whole
        self._offset = offset

    def read(self, offset: int, length: int) -> bytes:
        return self._whole.read(self._offset + offset, max(0, min(length, self.size - offset)))

    def serve(self, offset: int = 0, size: int | None = None) -> AbstractContextManager[Export]:
        return self._whole.serve(self._offset + offset, self.size - offset if size is None else size)


class Scattered(Stored):
    """A file whose bytes lie in several places: chunks of an OVF, a sparse member of an archive.

    `pieces`: where each begins in it, and its bytes. What is between them is zeroes.
    """

    scattered = True

    def __init__(self, name: str, size: int, pieces: Sequence[tuple[int, Stored]]) -> None:
        super().__init__(name, size, "\n".join(f"{at}:{piece.identity}" for at, piece in pieces))
        self.reach = pieces[0][1].reach if pieces else None
        self._pieces = pieces
        self._starts = [at for at, _ in pieces]

    def read(self, offset: int, length: int) -> bytes:
        end = min(offset + length, self.size)
        data = bytearray(max(0, end - offset))
        for at, piece in self._pieces[max(0, bisect_right(self._starts, offset) - 1) :]:
            if at >= end:
                break
            begin = max(at, offset)
            part = piece.read(begin - at, min(end, at + piece.size) - begin) if at + piece.size > begin else b""
            data[begin - offset : begin - offset + len(part)] = part
        return bytes(data)

    def serve(self, offset: int = 0, size: int | None = None) -> AbstractContextManager[Export]:
        raise ExportError(f"{self.name} has to be put together first.")


class Empty(Stored):
    """A disk of zeroes, of which there is no file."""

    def __init__(self, name: str, size: int) -> None:
        super().__init__(name, size, f"empty:{size}")

    def read(self, offset: int, length: int) -> bytes:
        return bytes(max(0, min(length, self.size - offset)))

    def serve(self, offset: int = 0, size: int | None = None) -> AbstractContextManager[Export]:
        wanted = self.size - offset if size is None else size
        return serve_qemu_nbd({"driver": "null-co", "size": str(wanted), "read-zeroes": "on"}, read_only=True)


def is_plain(name: str) -> bool:
    """Tell whether a text is the name of a file, and of nothing elsewhere. Which letters a screen can show is another
    matter."""
    return name not in ("", ".", "..") and "/" not in name and not _CONTROL.search(name)


def is_below(path: str) -> bool:
    """Tell whether it leads to a file here, or in a directory below."""
    return all(map(is_plain, path.split("/")))


def spellings(name: str) -> tuple[str, ...]:
    """Return how a file's name may be written elsewhere, itself first: with letters composed or not, as macOS has them,
    and as an old Windows does."""
    found = [name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))]
    for there, here in (("windows-1252", "utf-8"), ("utf-8", "windows-1252")):
        with suppress(UnicodeError):
            found.append(name.encode(there, "surrogateescape").decode(here, "surrogateescape"))
    return tuple(dict.fromkeys(found))


_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def printable(words: str, most: int = 200) -> str:
    """Write what strangers have written for people's screens: what moves a cursor, or isn't seen, as an escape."""
    return "".join(map(_shown, words[:most]))


def _shown(letter: str) -> str:
    if letter.isprintable():
        return letter
    raw = os.fsencode(letter) if "\udc80" <= letter <= "\udcff" else b""
    return f"\\x{raw.hex()}" if raw else letter.encode("unicode_escape", errors="backslashreplace").decode()


def refuse_path(name: str, named_by: str, *, below: bool = False) -> None:
    """Raise InvalidInput for what leads elsewhere; `below`: directories below this one are no elsewhere."""
    if is_below(name) if below else is_plain(name):
        return
    if _CONTROL.search(name):
        raise InvalidInput(
            f'The name "{printable(name)}" has control characters in it, so it isn\'t opened.',
            advice="Give the file another name.",
            code="name-refused",
        )
    raise InvalidInput(
        f'{named_by} names a file outside its own directory ("{printable(name)}").',
        advice="Such files aren't opened: put all files of the machine side by side.",
        code="outside-reference",
    )


def needs_another(name: str) -> InvalidInput:
    return InvalidInput(
        f"{printable(name)} holds only a part of a disk, and names another file for the rest.",
        advice="Such files are never opened. Make one image of it first: qemu-img convert, or export the machine.",
        code="outside-reference",
    )


def encrypted(name: str) -> InvalidInput:
    return InvalidInput(
        f"{printable(name)} is encrypted.", advice="Decrypt it, or export the machine in clear.", code="encrypted"
    )
