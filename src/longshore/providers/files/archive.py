"""An OVA, or another tar archive with images in it: its members are read where they lie, without unpacking anything.

It may be of any age and kind: v7, ustar, GNU's or pax, with sparse members, with all files in one directory. Some call
zips and compressed archives so as well: what is compressed there is unpacked once for each look.
"""

import io
import struct
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from longshore.errors import InvalidInput, NotFound
from longshore.providers.files.spool import LARGEST, Unpacked, spool
from longshore.providers.files.stored import Bundle, FilePart, Scattered, Stored, encrypted, is_below, printable

_UNPACKED = {b"\x1f\x8b": "gz", b"\xfd7zXZ": "xz"}
_PACKED = (*_UNPACKED, b"BZh", b"\x28\xb5\x2f\xfd")  # and bzip2, zstd
TARS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz")  # what archives are called that may hold anything
MOST_MEMBERS = 1000
_LOOKED_AT = 64 << 10  # bytes of an archive that tell what it begins with
MOST_HEADERS = 4 << 20  # bytes of all headers; tarfile keeps what it has read of them


class FileArchive(Bundle):
    """An archive of files. Raises InvalidInput for what is neither a whole tar archive of files nor a zip of them."""

    def __init__(self, whole: Stored) -> None:
        self._members: dict[str, Stored] = {}
        self.left_out: list[str] = []  # members that are no files: links, devices
        self._name = whole.name
        if whole.read(0, 8).startswith(_PACKED):
            raise InvalidInput(f"{whole.name} is compressed as a whole.", advice="Unpack it: an OVA is a plain tar.")
        if whole.read(0, 4) == b"PK\x03\x04":
            self._add_zip(whole)
            return
        try:
            with tarfile.open(fileobj=_File(whole), mode="r:") as archive:
                for member in archive:
                    self._add(whole, member)
                if whole.read(archive.offset, tarfile.BLOCKSIZE).strip(b"\0"):  # which tarfile takes for the end
                    raise tarfile.ReadError("one of its headers is none")
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
            self._members[name] = FilePart(whole, name, member.offset_data, member.size)
            return
        parts, at = [], member.offset_data
        for begin, n in sorted(pieces):
            parts.append((begin, FilePart(whole, name, at, n)))
            at += n
        if any(begin + part.size > member.size for begin, part in parts) or member.size > LARGEST:
            raise ValueError
        self._members[name] = Scattered(name, member.size, parts)

    def _add_zip(self, whole: Stored) -> None:
        try:
            with zipfile.ZipFile(_File(whole)) as archive:
                found = [member for member in archive.infolist() if not member.is_dir()]
            for member in found[: MOST_MEMBERS + 1]:
                self._add_zipped(whole, member)
        except (zipfile.BadZipFile, tarfile.TarError, NotImplementedError, ValueError, struct.error) as error:
            raise InvalidInput(f"{self._name} is no zip archive that can be read: {printable(str(error))}.") from None

    def _add_zipped(self, whole: Stored, member: zipfile.ZipInfo) -> None:
        name = str(PurePosixPath(member.filename))
        if not is_below(name) or name in self._members or len(self._members) == MOST_MEMBERS:
            raise ValueError(f'it has a member "{name}" that no appliance has')
        if member.flag_bits & 1:
            raise encrypted(self._name)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name} is packed in a way that isn't known")
        extra = sum(struct.unpack("<26x2H", whole.read(member.header_offset, 30)))
        packed = FilePart(whole, name, member.header_offset + 30 + extra, member.compress_size)
        if packed.end > whole.size or member.file_size > LARGEST:
            raise ValueError(f"it ends within {name}")
        if member.compress_type == zipfile.ZIP_DEFLATED:
            self._members[name] = Unpacked(packed, "deflate", member.file_size)
        elif member.file_size == member.compress_size:
            self._members[name] = packed
        else:
            raise ValueError(f"it says two sizes of {name}")

    def named(self, suffix: str) -> list[str]:
        """Return its members whose names end so, in whatever case."""
        return [name for name in self._members if name.lower().endswith(suffix)]

    def open(self, name: str) -> Stored:
        try:
            return self._members[name]
        except KeyError:
            raise NotFound(f"{self._name} has no member {printable(name)}.", advice="Export it again.") from None


@contextmanager
def opened(whole: Stored) -> Iterator[FileArchive]:
    """Open an archive. One that is compressed as a whole is unpacked into the scratch directory. Raises
    InvalidInput."""
    how = _packing(whole)
    if not how:
        yield FileArchive(whole)
        return
    with spool(whole, how) as file:
        file.identity = f"{whole.identity}.{how}"  # the same for each unpacking
        yield FileArchive(file)


def first_files(whole: Stored) -> list[str]:
    """Return the names of the files that an archive begins with, as far as a little of it tells; none of another file.

    Raises what reading raises.
    """
    how = _packing(whole)
    names: list[str] = []
    try:
        head = (Unpacked(whole, how, _LOOKED_AT) if how else whole).read(0, _LOOKED_AT)
        with tarfile.open(fileobj=io.BytesIO(head), mode="r:") as archive:
            names += (member.name for member in archive if not member.isdir())
    except (tarfile.TarError, ValueError, ArithmeticError, RecursionError):
        pass  # mostly it goes on behind what was read
    return names


def _packing(whole: Stored) -> str:
    return next((how for magic, how in _UNPACKED.items() if whole.read(0, 8).startswith(magic)), "")


class _File(io.RawIOBase):
    """A file as tarfile wants it. What it reads in all is bounded, however many headers there are and whatever their
    sizes."""

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
        size = self._stored.size - self._at if size < 0 else size
        if not 0 <= size <= self._left:
            raise tarfile.ReadError("its headers are too large")
        data = self._stored.read(self._at, size)
        self._at += len(data)
        self._left -= len(data)
        return data
