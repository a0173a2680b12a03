"""The shape of a file system for those who list, find and fetch its files, whoever reads it."""

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from longshore.guests.parts import GuestVolume

_PIECE = 1 << 20
_NOTHING = bytes(_PIECE)
_SMALL_HOLE = 16 << 10  # bytes: a smaller one is read with what is around it


class Node(NamedTuple):
    """A file, a directory, a link or something else in a file system."""

    system: "FileSystem"
    number: int
    kind: str  # "file", "directory", "link", "other"
    size: int  # bytes
    modified: int  # seconds since 1970
    mode: int
    user: int
    group: int
    target: bytes  # of a link
    links: int = 1  # how many names it has
    type: int = 0  # what else it is, as Unix has it (S_IFIFO, …); 0 where that isn't known
    device: tuple[int, int] = (0, 0)  # of one of these: major and minor

    def runs(self) -> list[tuple[int, int]]:
        """Return where something is written of a file, but for small holes: offset and length. Raises OSError,
        NotReadHere."""
        found = list[tuple[int, int]]()
        for at, length in self.system.runs(self.number):
            begin, end = found[-1][0] if found else 0, sum(found[-1]) if found else 0
            if at < end:
                raise OSError("its structures are damaged")
            if found and at - end < _SMALL_HOLE:
                found[-1] = begin, at + length - begin
            else:
                found.append((at, length))
        return found

    def pieces(self, runs: Sequence[tuple[int, int]] | None = None) -> Iterator[bytes]:
        """Yield the content. Raises OSError when not all of it can be read, and NotReadHere.

        `runs`: what `runs` has said.
        """
        done = 0
        for run in self.runs() if runs is None else runs:
            yield from _zeroes(run[0] - done)
            yield from self.written(run)
            done = sum(run)
        yield from _zeroes(self.size - done)

    def written(self, run: tuple[int, int]) -> Iterator[bytes]:
        """Yield what is written there. Raises OSError when not all of it can be read, and NotReadHere."""
        at, end = run[0], sum(run)
        while at < end:
            piece = self.system.read(self.number, at, min(_PIECE, end - at))
            if not piece:
                raise OSError("not all of it can be read")
            at += len(piece)
            yield piece


class NotReadHere(OSError):
    """The error for content that isn't here, or isn't read here. Its text ends the sentence "… isn't read: "."""


class DirectoryEntry(NamedTuple):
    """An entry of a directory."""

    name: bytes
    number: int
    leaf: bool = False  # certainly no directory


class FileSystem(ABC):
    """All of it raises OSError, also when what is on the disk makes no sense."""

    any_case = False  # whether a name is found whatever its case
    interrupted = False  # whether it was in use, so that the newest changes may be in its journal alone

    def __init__(self, part: GuestVolume) -> None:
        self.part = part

    @cached_property
    @abstractmethod
    def root(self) -> Node: ...

    @abstractmethod
    def node(self, number: int) -> Node: ...

    @abstractmethod
    def read(self, number: int, offset: int, length: int) -> bytes:
        """Return a part of a file's content, less at its end. Raises NotReadHere where something else would be read."""

    @abstractmethod
    def runs(self, number: int) -> Iterator[tuple[int, int]]:
        """Yield where something is written of a file, upwards: offset and length. All else of it is zero. Raises
        NotReadHere."""

    @abstractmethod
    def entries(self, directory: Node) -> Iterator[DirectoryEntry]:
        """Yield what is in a directory and wasn't deleted."""

    def ahead(self, directory: Node) -> None:
        """Announce that the directory's content is asked for next. Where it is known how, that is read meanwhile.
        Raises OSError."""
        del directory

    @cached_property
    def tops(self) -> Sequence[Node]:
        """Return the directories that a guest may have as its root, the likeliest first."""
        return [self.root]

    def top(self, options: str) -> Node:
        """Return the directory that is mounted with these options of a table of file systems."""
        del options
        return self.root


def _zeroes(count: int) -> Iterator[bytes]:
    while count >= _PIECE:
        yield _NOTHING
        count -= _PIECE
    if count > 0:
        yield bytes(count)


def kind_of(mode: int) -> str:
    """Return the kind of a file by the bits that Unix has for it."""
    return {0o100000: "file", 0o040000: "directory", 0o120000: "link"}.get(mode & 0o170000, "other")


def harmless(name: bytes) -> bool:
    """Tell whether a name is one that a file can have."""
    return name not in {b"", b".", b".."} and b"/" not in name and b"\0" not in name


def unpacked(form: struct.Struct, data: bytes, at: int = 0) -> tuple[int, ...]:
    """Unpack a structure. Raises OSError when the data end before."""
    if at < 0 or at + form.size > len(data):
        raise OSError("its structures are damaged")
    return form.unpack_from(data, at)
