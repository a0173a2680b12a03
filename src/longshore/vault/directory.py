"""A directory that holds a vault's objects: each is written once, and is there in full or not at all.

A local directory or one of a file server. An object is written beside its place, synchronised, linked to its name
(which fails when that is taken), and the directory synchronised. Times are those of the file system that holds it,
never this machine's.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from longshore.blocks.durable import sync_directory
from longshore.errors import Conflict, InvalidInput, NotFound, Unreachable
from longshore.vault.errors import VaultFull
from longshore.vault.store import Store

_BESIDE = ".new-"


class Directory(Store):
    lists_late = 0.0
    side_by_side = 1

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made = False

    def __str__(self) -> str:
        return str(self.root)

    def told(self) -> dict[str, str]:
        return {"directory": str(self.root)}

    def prepare(self) -> None:
        root = self.root
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise Conflict(f"{root} isn't an empty directory.", advice="Name one that is empty, or isn't there yet.")
        if not root.parent.is_dir():
            raise InvalidInput(f"{root.parent} isn't there.", advice="Make it, or mount it, first.")
        self._made = not root.exists()
        root.mkdir(mode=0o700, exist_ok=True)

    def discard(self, names: list[str]) -> None:
        for name in names:
            self.delete(name)
        folders = {(self.root / name).parent for name in names} - {self.root}
        for folder in (*folders, *((self.root,) if self._made else ())):
            with suppress(OSError):  # one that has more in it
                folder.rmdir()

    def probe(self) -> None:
        """A file system links a file to a name that is free, or fails."""

    def create(self, name: str, data: bytes | bytearray) -> None:
        path = self.root / name
        with self._explained(name):
            self._make(path.parent)
            beside = path.parent / f"{_BESIDE}{secrets.token_hex(8)}"
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

    def read(self, name: str) -> bytes:
        with self._explained(name):
            return (self.root / name).read_bytes()

    def read_part(self, name: str, offset: int, length: int) -> bytes:
        with self._explained(name):
            descriptor = os.open(self.root / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(descriptor, length, offset)
            finally:
                os.close(descriptor)

    def size(self, name: str) -> int:
        with self._explained(name):
            return (self.root / name).stat().st_size

    def names(self, below: str) -> Iterator[str]:
        folders = [self.root / below]
        while folders:
            folder = folders.pop()
            try:
                with self._explained(below):
                    entries = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in os.scandir(folder)]
            except NotFound:
                continue
            for path, is_folder in entries:
                if is_folder:
                    folders.append(Path(path))
                elif not Path(path).name.startswith(_BESIDE):
                    yield str(Path(path).relative_to(self.root))

    def changed_at(self, name: str) -> float:
        with self._explained(name):
            return (self.root / name).stat().st_mtime

    def touch(self, name: str) -> None:
        with self._explained(name):
            os.utime(self.root / name)

    def now(self) -> float:
        path = self.root / f"{_BESIDE}{secrets.token_hex(8)}"
        with self._explained(path.name):
            path.touch(0o600, exist_ok=False)
            try:
                return path.stat().st_mtime
            finally:
                path.unlink()

    def delete(self, name: str) -> None:
        with suppress(NotFound), self._explained(name):
            (self.root / name).unlink()

    def remove_broken_off(self, before: float) -> None:
        for folder, _, files in os.walk(self.root):
            for file in files:
                path = Path(folder) / file
                with suppress(OSError):  # it stays where it is, for another time
                    if file.startswith(_BESIDE) and path.stat().st_mtime < before:
                        path.unlink()

    def _make(self, folder: Path) -> None:
        """Below the vault's own directory, which isn't made anew: a share that isn't mounted has none."""
        if folder.is_dir() or folder == self.root:
            return
        self._make(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        sync_directory(folder.parent)

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise Conflict(f"{name} is in the vault {self.root} already.") from None
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"{name} isn't in the vault {self.root}.") from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise VaultFull(f"The vault in {self.root} is full.", advice="Make room, and go on.") from None
            raise Unreachable(
                f"The vault in {self.root} can't be used: {error.strerror} ({name}).",
                advice="See whether it is mounted, and may be read and written.",
            ) from None
