"""An OVA: a tar archive whose members are read where they lie, without unpacking anything.

It may be of any age and kind: v7, ustar, GNU's or pax, with sparse members, with all files in one directory.
"""

import io
import tarfile
from pathlib import PurePosixPath

from longshore.errors import InvalidInput, NotFound
from longshore.providers.files.spool import LARGEST
from longshore.providers.files.stored import Bundle, Part, Scattered, Stored, is_below, printable

_PACKED = (b"\x1f\x8b", b"\xfd7zXZ", b"BZh", b"\x28\xb5\x2f\xfd")  # gzip, xz, bzip2, zstd
MOST_MEMBERS = 1000
MOST_HEADERS = 4 << 20  # bytes of all headers; tarfile keeps what it has read of them


class Archive(Bundle):
    """Raises InvalidInput for what isn't a whole tar archive of files."""

    def __init__(self, whole: Stored) -> None:
        self._members: dict[str, Stored] = {}
        self.left_out: list[str] = []  # members that are no files: links, devices
        self._name = whole.name
        if whole.read(0, 8).startswith(_PACKED):
            raise InvalidInput(f"{whole.name} is compressed as a whole.", advice="Unpack it: an OVA is a plain tar.")
        if whole.read(0, 4) == b"PK\x03\x04":
            raise InvalidInput(f"{whole.name} is a zip archive.", advice="Unpack it, and name the directory.")
        try:
            with tarfile.open(fileobj=_File(whole), mode="r:") as archive:
                for member in archive:
                    self._add(whole, member)
        # tarfile trips over its own feet where headers lie: sizes below zero, numbers that are none, headers of headers
        except (tarfile.TarError, ValueError, ArithmeticError, RecursionError) as error:
            why = str(error) if isinstance(error, tarfile.TarError) else "one of its headers can't be right"
            raise InvalidInput(f"{whole.name} is no tar archive, or damaged: {why}.") from None

    def _add(self, whole: Stored, member: tarfile.TarInfo) -> None:
        name = str(PurePosixPath(member.name))  # without what means this directory
        if member.size < 0 or member.offset_data < 0:
            raise ValueError
        if member.isdir():
            return
        if not is_below(name) or name in self._members:
            raise InvalidInput(
                f'{self._name} has a member "{printable(name)}" that no OVA has.',
                advice="An OVA holds files, each once, and none outside of its own directory.",
            )
        if len(self._members) + len(self.left_out) == MOST_MEMBERS:
            raise InvalidInput(f"{self._name} has more than {MOST_MEMBERS} members.")
        if not member.isreg():
            self.left_out.append(name)
            return
        # A list of places and lengths, which typeshed takes for what the header's field of that name has
        pieces: list[tuple[int, int]] = list(member.sparse or ()) if member.issparse() else [(0, member.size)]  # type: ignore[arg-type]
        if any(n < 0 or at < 0 for at, n in pieces):
            raise ValueError
        length = sum(n for _, n in pieces)
        if member.offset_data + length > whole.size:
            raise InvalidInput(
                f"{self._name} is cut off: it ends within {printable(name)}.", advice="Copy it again.", code="truncated"
            )
        if not member.issparse():
            self._members[name] = Part(whole, name, member.offset_data, member.size)
            return
        parts, at = [], member.offset_data
        for begin, n in sorted(pieces):
            parts.append((begin, Part(whole, name, at, n)))
            at += n
        if any(begin + part.size > member.size for begin, part in parts) or member.size > LARGEST:
            raise ValueError
        self._members[name] = Scattered(name, member.size, parts)

    def named(self, suffix: str) -> list[str]:
        """Its members whose names end so, in whatever case."""
        return [name for name in self._members if name.lower().endswith(suffix)]

    def open(self, name: str) -> Stored:
        try:
            return self._members[name]
        except KeyError:
            raise NotFound(f"{self._name} has no member {printable(name)}.", advice="Export it again.") from None


class _File(io.RawIOBase):
    """As tarfile wants it. What it reads in all is bounded, however many headers there are and whatever their sizes."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._at = 0
        self._left = MOST_HEADERS

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._stored.size)[whence]
        if self._at < 0:
            raise tarfile.ReadError("one of its headers leads before its beginning")
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= self._left:
            raise tarfile.ReadError("its headers are too large")
        data = self._stored.read(self._at, size)
        self._at += len(data)
        self._left -= len(data)
        return data
