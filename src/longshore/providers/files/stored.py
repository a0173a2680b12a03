"""A file, or a part of one, whose bytes can be had: a few of them at once, or all of them as an NBD endpoint.

Nothing here understands what the bytes mean.
"""

import os
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Protocol

from longshore.blocks.exports import Export, serve_qemu_nbd
from longshore.border.texts import shortened
from longshore.errors import InvalidInput
from longshore.model.reach import Reach

SECTOR = 512  # bytes; QEMU knows no smaller pieces


class Stored(ABC):
    """`name` is for people. `identity` is another one once the file has been changed."""

    reach: Reach | None = None  # in whose name it is read, and where it may be unpacked; None: this user's own

    def __init__(self, name: str, size: int, identity: str) -> None:
        self.name = name
        self.size = size
        self.identity = identity

    @abstractmethod
    def read(self, offset: int, length: int) -> bytes:
        """Fewer bytes at the end of the file. Raises InvalidInput, Unreachable when it can't be read."""

    @abstractmethod
    def serve(self, offset: int = 0, size: int | None = None) -> AbstractContextManager[Export]:
        """Read-only. Its size may be rounded up to whole sectors. Raises ExportError."""


class Bundle(Protocol):
    """Files that may name each other."""

    def open(self, name: str) -> Stored:
        """By a plain name, the same file each time. It can be used as long as the bundle.

        Raises NotFound, AccessDenied, InvalidInput, Unreachable.
        """


class LocalFile(Stored):
    """An open file of this machine. Whoever replaces its name meanwhile changes nothing."""

    def __init__(self, name: str, descriptor: int) -> None:
        found = os.fstat(descriptor)
        super().__init__(name, found.st_size, f"{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}:{found.st_size}")
        self.descriptor = descriptor

    def read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self.descriptor, length, offset)
        except OSError as error:
            raise InvalidInput(f"{self.name} can't be read: {error.strerror}.") from None

    def serve(self, offset: int = 0, size: int | None = None) -> AbstractContextManager[Export]:
        """By its descriptor, whatever its name leads to by now. A file that a running machine writes to is locked."""
        wanted = self.size - offset if size is None else size
        file = {"file.driver": "file", "file.filename": f"/proc/{os.getpid()}/fd/{self.descriptor}"}
        bounds: dict[str, str] = {}
        if (offset, wanted) != (0, self.size):  # of a whole file QEMU rounds the size up itself
            rounded = -(-wanted // SECTOR) * SECTOR
            if offset + rounded > self.size:
                raise InvalidInput(f"{self.name} is cut off.", advice="Copy it again.", code="truncated")
            bounds = {"offset": str(offset), "size": str(rounded)}
        return serve_qemu_nbd({"driver": "raw", **bounds, **file}, read_only=True)


class Part(Stored):
    """Some bytes of a file, such as a member of an archive."""

    def __init__(self, whole: Stored, name: str, offset: int, size: int) -> None:
        super().__init__(name, size, f"{whole.identity}+{offset}")
        self.reach = whole.reach
        self._whole = whole
        self._offset = offset

    def read(self, offset: int, length: int) -> bytes:
        return self._whole.read(self._offset + offset, max(0, min(length, self.size - offset)))

    def serve(self, offset: int = 0, size: int | None = None) -> AbstractContextManager[Export]:
        return self._whole.serve(self._offset + offset, self.size - offset if size is None else size)


def is_plain(name: str) -> bool:
    """Whether it is the name of a file, and of nothing elsewhere."""
    return name not in ("", ".", "..") and not set(name) & set("/\\\0") and name.isprintable()


def refuse_path(name: str, named_by: str) -> None:
    """Raises InvalidInput for what leads elsewhere."""
    if not is_plain(name):
        raise InvalidInput(
            f'{named_by} names a file outside its own directory ("{shortened(name)}").',
            advice="Such files aren't opened: put all files of the machine side by side.",
            code="outside-reference",
        )
