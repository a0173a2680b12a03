"""A directory that holds a vault's objects: each is written once, and is there in full or not at all.

A local directory or one of a file server. An object is written below another name, synchronised, linked to its own
(which fails when that is taken), and the directory synchronised. What is filled bit by bit lies in such a file from the
beginning, so its writer needn't hold it in memory. Times are those of the file system that holds it,
never this machine's.
"""

import errno
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from longshore.blocks.durable import sync_directory
from longshore.errors import Conflict, InvalidInput, NotFound, Unreachable
from longshore.vault.errors import WriterLost, full_vault
from longshore.vault.store import Begun, Store

_BESIDE = ".new-"
_PACKS = "packs"  # what is begun, nearly always, ends below it
# Bytes that packs leave free: deletions and prunes, which make room, have to be written, too. As much as four disks
# that are written at once fill of packs that they have begun
_LEFT_FREE = 64 << 20


class Directory(Store):
    lists_late = 0.0
    side_by_side = 1
    far = False
    passed_over = 0

    def __init__(self, root: Path) -> None:
        self.root = root
        self._made = False

    def __str__(self) -> str:
        return str(self.root)

    def told(self) -> dict[str, str]:
        return {"directory": str(self.root)}

    def prepare(self) -> None:
        root = self.root
        with self.explained(root.name):
            if root.exists() and (not root.is_dir() or any(root.iterdir())):
                raise Conflict(
                    f"{root} isn't an empty directory.", advice="Name one that is empty, or isn't there yet."
                )
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

    def begin(self) -> Begun:
        with self.explained(_PACKS):
            self._make(self.root / _PACKS)
            there = os.statvfs(self.root)
            if there.f_blocks and there.f_bavail * there.f_frsize < _LEFT_FREE:  # some file systems don't tell
                raise full_vault(self)
            return _Begun(self, self.root / _PACKS)

    def lock_all(self) -> None:
        """It has no locks."""

    def kept_until(self, name: str) -> float | None:
        return None

    def create(self, name: str, data: bytes | bytearray | Begun) -> None:
        path = self.root / name
        with self.explained(name):
            self._make(path.parent)
            begun = data if isinstance(data, _Begun) else _Begun(self, path.parent)
            try:
                if not isinstance(data, Begun):
                    begun.append(data)
                begun.link(path)
            finally:
                begun.discard()

    def read(self, name: str) -> bytes:
        with self.explained(name):
            return (self.root / name).read_bytes()

    def read_part(self, name: str, offset: int, length: int) -> bytes:
        with self.explained(name):
            descriptor = os.open(self.root / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(descriptor, length, offset)
            finally:
                os.close(descriptor)

    def size(self, name: str) -> int:
        with self.explained(name):
            return (self.root / name).stat().st_size

    def names(self, below: str) -> Iterator[str]:
        folders = [self.root / below]
        while folders:
            folder = folders.pop()
            try:
                with self.explained(below):
                    entries = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in os.scandir(folder)]
            except NotFound:
                continue
            for path, is_folder in entries:
                if is_folder:
                    folders.append(Path(path))
                elif not Path(path).name.startswith(_BESIDE):
                    yield str(Path(path).relative_to(self.root))

    def changed_at(self, name: str) -> float:
        with self.explained(name):
            return (self.root / name).stat().st_mtime

    def touch(self, name: str) -> None:
        with self.explained(name):
            os.utime(self.root / name)

    def now(self) -> float:
        path = self.root / f"{_BESIDE}{secrets.token_hex(8)}"
        with self.explained(path.name):
            path.touch(0o600, exist_ok=False)
            try:
                return path.stat().st_mtime
            finally:
                path.unlink()

    def delete(self, name: str) -> None:
        with suppress(NotFound), self.explained(name):
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
    def explained(self, name: str) -> Iterator[None]:
        try:
            yield
        except FileExistsError:
            raise Conflict(f"{name} is in the vault {self.root} already.") from None
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"{name} isn't in the vault {self.root}.") from None
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise full_vault(self) from None
            raise Unreachable(
                f"The vault in {self.root} can't be used: {error.strerror} ({name}).",
                advice="See whether it is mounted, and may be read and written.",
            ) from None


class _Begun(Begun):
    """A file that has no name of an object yet."""

    def __init__(self, store: Directory, folder: Path) -> None:
        """Raises OSError."""
        self._store = store
        self._path = folder / f"{_BESIDE}{secrets.token_hex(8)}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor: int | None = os.open(self._path, flags, 0o600)
        self._lock = threading.Lock()

    def append(self, data: bytes | bytearray) -> None:
        assert self._descriptor is not None
        with self._store.explained(self._path.name):
            done = os.write(self._descriptor, data)
            while done < len(data):
                done += os.write(self._descriptor, data[done:])

    def read(self, offset: int, length: int) -> bytes | None:
        with self._lock:
            if self._descriptor is None:
                return None
            with self._store.explained(self._path.name):
                return os.pread(self._descriptor, length, offset)

    def link(self, path: Path) -> None:
        """What was appended is safe, and has this name. Raises OSError, WriterLost."""
        assert self._descriptor is not None
        os.fsync(self._descriptor)
        os.close(os.dup(self._descriptor))  # some file servers say only then that they are full
        try:
            os.link(self._path, path)
        except FileNotFoundError:  # only who is taken for dead has it removed
            raise WriterLost(
                f"What was being written to the vault {self._store} is gone: it was pruned as if its writer had ended.",
                advice="Start it again.",
            ) from None
        sync_directory(path.parent)

    def discard(self) -> None:
        """Raises OSError."""
        with self._lock:
            if self._descriptor is None:
                return
            descriptor, self._descriptor = self._descriptor, None
        try:
            os.close(descriptor)
        finally:
            self._path.unlink(missing_ok=True)
