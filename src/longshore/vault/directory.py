"""A directory that holds a vault's objects: each is written once, and is there in full or not at all.

A local directory or one of a file server. An object is written beside its place, synchronised, linked to its name
(which fails when that is taken), and the directory synchronised. Times are those of the file system that holds it,
never this machine's.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from longshore.blocks.durable import sync_directory
from longshore.errors import Conflict, NotFound
from longshore.vault.errors import VaultFull

_BESIDE = ".new-"


class Directory:
    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def create(self, name: str, data: bytes | bytearray) -> None:
        """Raises Conflict when it is there already, VaultFull."""
        path = self.root / name
        self._make(path.parent)
        beside = path.parent / f"{_BESIDE}{secrets.token_hex(8)}"
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.link(beside, path)
                sync_directory(path.parent)
            finally:
                beside.unlink()
        except FileExistsError:
            raise Conflict(f"{path} is there already.") from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise VaultFull(f"The vault in {self.root} is full.", advice="Make room, and go on.") from None
            raise

    def read(self, name: str) -> bytes:
        """Raises NotFound."""
        try:
            return (self.root / name).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(name) from None

    def read_part(self, name: str, offset: int, length: int) -> bytes:
        """Fewer bytes where the object ends. Raises NotFound."""
        try:
            descriptor = os.open(self.root / name, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(name) from None
        try:
            return os.pread(descriptor, length, offset)
        finally:
            os.close(descriptor)

    def size(self, name: str) -> int:
        """Bytes. Raises NotFound."""
        try:
            return (self.root / name).stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(name) from None

    def has(self, name: str) -> bool:
        return (self.root / name).exists()

    def names(self, below: str) -> Iterator[str]:
        """Of all objects whose names begin with this folder, in no order."""
        for folder, _, files in os.walk(self.root / below):
            for file in files:
                if not file.startswith(_BESIDE):
                    yield str((Path(folder) / file).relative_to(self.root))

    def changed_at(self, name: str) -> float:
        """Seconds, by the file system's clock. Raises NotFound."""
        try:
            return (self.root / name).stat().st_mtime
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(name) from None

    def touch(self, name: str) -> None:
        """It has changed now. Raises NotFound."""
        try:
            os.utime(self.root / name)
        except (FileNotFoundError, NotADirectoryError):
            raise self._missing(name) from None

    def now(self) -> float:
        """Seconds, by the same clock."""
        path = self.root / f"{_BESIDE}{secrets.token_hex(8)}"
        path.touch(0o600, exist_ok=False)
        try:
            return path.stat().st_mtime
        finally:
            path.unlink()

    def delete(self, name: str) -> None:
        """Nothing to do when it is gone."""
        with suppress(FileNotFoundError):
            (self.root / name).unlink()

    def remove_broken_off(self, before: float) -> None:
        """What writers that were killed have left beside their objects."""
        for folder, _, files in os.walk(self.root):
            for file in files:
                path = Path(folder) / file
                with suppress(FileNotFoundError):
                    if file.startswith(_BESIDE) and path.stat().st_mtime < before:
                        path.unlink()

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        sync_directory(folder.parent)

    def _missing(self, name: str) -> NotFound:
        return NotFound(f"{name} isn't in the vault {self.root}.")
