"""An OVA: a tar archive whose members are read where they lie, without unpacking anything."""

import io
import tarfile

from longshore.errors import InvalidInput, NotFound
from longshore.providers.files.stored import Bundle, Part, Stored, is_plain

MOST_MEMBERS = 1000
LARGEST_HEADER = 1 << 20  # bytes that tarfile may want at once; it reads extended headers whole


class Archive(Bundle):
    """Raises InvalidInput for what isn't a whole tar archive of files."""

    def __init__(self, whole: Stored) -> None:
        self._members: dict[str, Part] = {}
        self._name = whole.name
        if whole.read(0, 2) == b"\x1f\x8b":
            raise InvalidInput(f"{whole.name} is compressed as a whole.", advice="Unpack it: an OVA is a plain tar.")
        try:
            with tarfile.open(fileobj=_File(whole), mode="r:") as archive:
                for member in archive:
                    self._add(whole, member)
        except tarfile.TarError as error:
            raise InvalidInput(f"{whole.name} is no tar archive, or damaged: {error}.") from None

    def _add(self, whole: Stored, member: tarfile.TarInfo) -> None:
        name = member.name.removeprefix("./")
        if member.isdir():
            return
        if not member.isreg() or member.issparse() or not is_plain(name) or name in self._members:
            raise InvalidInput(
                f'{whole.name} has a member "{member.name[:200]}" that no OVA has.',
                advice="An OVA holds files alone, each once and none in a directory.",
            )
        if member.offset_data + member.size > whole.size:
            raise InvalidInput(
                f"{whole.name} is cut off: it ends within {name}.", advice="Copy it again.", code="truncated"
            )
        if len(self._members) == MOST_MEMBERS:
            raise InvalidInput(f"{whole.name} has more than {MOST_MEMBERS} members.")
        self._members[name] = Part(whole, name, member.offset_data, member.size)

    def names(self) -> list[str]:
        return list(self._members)

    def open(self, name: str) -> Stored:
        try:
            return self._members[name]
        except KeyError:
            raise NotFound(f"{self._name} has no member {name}.", advice="Export it again.") from None


class _File(io.RawIOBase):
    """As tarfile wants it. What it reads at once is bounded, whatever a header says of its own length."""

    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._stored.size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_HEADER:
            raise tarfile.ReadError("one of its headers is too large")
        data = self._stored.read(self._at, size)
        self._at += len(data)
        return data
