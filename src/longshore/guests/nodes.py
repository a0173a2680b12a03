"""What a file system is to those who list, find and fetch its files, whoever reads it."""

import struct
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

from longshore.guests.parts import Part

_PIECE = 1 << 20


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

    def pieces(self) -> Iterator[bytes]:
        """Its content. Raises OSError when not all of it can be read."""
        at = 0
        while at < self.size:
            piece = self.system.read(self.number, at, min(_PIECE, self.size - at))
            if not piece:
                raise OSError("not all of it can be read")
            at += len(piece)
            yield piece


class Entry(NamedTuple):
    """What a directory says of one that is in it."""

    name: bytes
    number: int
    leaf: bool = False  # certainly no directory


class FileSystem(ABC):
    """All of it raises OSError, also when what is on the disk makes no sense."""

    any_case = False  # whether a name is found whatever its case
    interrupted = False  # whether it was in use, so that the newest changes may be in its journal alone

    def __init__(self, part: Part) -> None:
        self.part = part

    @cached_property
    @abstractmethod
    def root(self) -> Node: ...

    @abstractmethod
    def node(self, number: int) -> Node: ...

    @abstractmethod
    def read(self, number: int, offset: int, length: int) -> bytes:
        """Of a file's content; less at its end."""

    @abstractmethod
    def entries(self, directory: Node) -> Iterator[Entry]:
        """What is in a directory and wasn't deleted."""

    def ahead(self, directory: Node) -> None:
        """What is in it is asked for next. Where it is known how, that is read meanwhile. Raises OSError."""
        del directory

    @cached_property
    def tops(self) -> Sequence[Node]:
        """Directories that a guest may have as its root, the likeliest first."""
        return [self.root]

    def top(self, options: str) -> Node:
        """What is mounted with these options of a table of file systems."""
        del options
        return self.root


def kind_of(mode: int) -> str:
    """By the bits that Unix has for it."""
    return {0o100000: "file", 0o040000: "directory", 0o120000: "link"}.get(mode & 0o170000, "other")


def harmless(name: bytes) -> bool:
    """Whether it is a name that a file can have."""
    return name not in {b"", b".", b".."} and b"/" not in name and b"\0" not in name


def unpacked(form: struct.Struct, data: bytes, at: int = 0) -> tuple[int, ...]:
    """Raises OSError when the data end before."""
    if at < 0 or at + form.size > len(data):
        raise OSError("its structures are damaged")
    return form.unpack_from(data, at)
