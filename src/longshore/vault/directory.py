"""A directory that holds a vault's objects: each is written once, and is there in full or not at all.

A local directory or one of a file server. An object is written below another name, synchronised, linked to its own
(which fails when that is taken), and the directory synchronised. What is filled bit by bit lies in such a file from the
beginning, so its writer needn't hold it in memory. Times are those of the file system that holds it,
never this machine's.
"""

import errno
import math
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from longshore.errors import Conflict, InvalidInput, NotFound, Unreachable
from longshore.processes.durable import sync_directory
from longshore.vault import names as objects
from longshore.vault.errors import Damaged, VaultFull, WriterLost, full_vault, too_large
from longshore.vault.store import Begun, Store, is_left, there_already

_BESIDE = ".new-"
_DEEPEST = 3  # folders in each other that the format has
# Room that is given up when others have filled the file system: a point can be deleted then, and the vault pruned
_RESERVE, _RESERVED = ".reserve", 256 << 10
_SMALL = 64 << 10  # bytes of an object that may take it
# What file systems and file servers have in an empty directory
_OF_THE_SYSTEM = frozenset({"lost+found", ".snapshot", "System Volume Information", "@eaDir", ".DS_Store"})
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
# Errors that one file may have by itself, and the whole file system, too
_OF_ONE_FILE = (errno.EIO, errno.EACCES, errno.EPERM, errno.EBADMSG, errno.EUCLEAN, errno.ESTALE)
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
            if root.exists() and not root.is_dir():
                raise Conflict(f"{root} isn't a directory.", advice="Name one that is empty, or isn't there yet.")
            left = self._left() if root.exists() else []
            if not root.parent.is_dir():
                raise InvalidInput(f"{root.parent} isn't there.", advice="Make it, or mount it, first.")
            self._made = not root.exists()
            root.mkdir(mode=0o700, exist_ok=True)
        try:
            self.probe()
            for name in left:
                self.delete(name)
            self.remove_broken_off(math.inf)
        except BaseException:
            self.discard([])
            raise

    def _left(self) -> list[str]:
        """Return the names of what a vault that was never whole has left. Raises Conflict when anything else is
        there."""
        if (self.root / objects.DESCRIPTION).exists():
            raise there_already(self, f"--directory {self.root}", "directory")
        ours = {_RESERVE, objects.KEYS} | _OF_THE_SYSTEM
        others = [path for path in self.root.iterdir() if path.name not in ours and not path.name.startswith(_BESIDE)]
        left = [path.name for path in others] + list(self.names(objects.KEYS))
        if not all(is_left(name, self.read(name)) for name in left if (self.root / name).is_file()) or any(
            not path.is_file() for path in others
        ):
            raise Conflict(
                f"{self.root} isn't an empty directory.", advice="Name one that is empty, or isn't there yet."
            )
        return left

    def discard(self, names: list[str]) -> None:
        for name in names:
            self.delete(name)
        folders = {(self.root / name).parent for name in names} - {self.root}
        if self._made:
            self.delete(_RESERVE)
        for folder in (*folders, *((self.root,) if self._made else ())):
            with suppress(OSError):  # one that has more in it
                folder.rmdir()

    def probe(self) -> None:
        """Try that a name that is taken stays so: a file system links a file to a name that is free, or fails, if it
        has links."""
        name = f"{_BESIDE}{secrets.token_hex(8)}"
        self.create(name, b"1")
        try:
            self.create(name, b"2")
        except Conflict:
            return
        finally:
            self.delete(name)
        raise InvalidInput(f"What is in {self.root} can be overwritten.", advice="Take another file system.")

    def begin(self) -> Begun:
        with self.explained(objects.PACKS):
            self._make(self.root / objects.PACKS)
            there = os.statvfs(self.root)
            if there.f_blocks and there.f_bavail * there.f_frsize < _LEFT_FREE:  # some file systems don't tell
                raise full_vault(self)
            return _Begun(self, self.root / objects.PACKS)

    def create(self, name: str, data: bytes | bytearray | Begun) -> None:
        try:
            self._create(name, data)
        except VaultFull:
            if isinstance(data, Begun) or len(data) > _SMALL or not self._give_room():
                raise
            self._create(name, data)

    def _create(self, name: str, data: bytes | bytearray | Begun) -> None:
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

    def _give_room(self) -> bool:
        """Give up the reserved room. Returns whether there was any."""
        with suppress(OSError):
            (self.root / _RESERVE).unlink()
            return True
        return False

    def _keep_room(self) -> None:
        """Reserve room for another time. A failure to do so is nobody's business."""
        path = self.root / _RESERVE
        with suppress(OSError):
            if path.exists() and path.stat().st_size == _RESERVED:
                return
            there = os.statvfs(self.root)
            if there.f_blocks and there.f_bavail * there.f_frsize < _LEFT_FREE:
                return
            path.write_bytes(secrets.token_bytes(_RESERVED))  # which no file system stores as nothing

    def read(self, name: str) -> bytes:
        most = objects.most_bytes(name)
        with self._reading(name), os.fdopen(self._opened(name), "rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise too_large(name, most)
        return data

    def read_part(self, name: str, offset: int, length: int) -> bytes:
        with self._reading(name):
            descriptor = self._opened(name)
            try:
                return os.pread(descriptor, length, offset)
            finally:
                os.close(descriptor)

    def _opened(self, name: str) -> int:
        """Open an object. Raises OSError, Damaged for what is no file: a pipe that whoever can write to the directory
        has put there would be waited for, and a link to a disk that is away isn't an object that is gone."""
        path = self.root / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            if not path.is_symlink():
                raise
            raise Damaged(f"{name} is a link to what isn't there.", advice="See what it leads to.") from None
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
        raise Damaged(f"{name} is no file.")

    def size(self, name: str) -> int:
        with self.explained(name):
            return (self.root / name).stat().st_size

    def names(self, below: str) -> Iterator[str]:
        folders = [self.root / below]
        while folders:
            folder = folders.pop()
            try:
                with self.explained(below):
                    # Somebody may have moved a part of the vault elsewhere: a link that leads round in a circle ends
                    follow = len(folder.relative_to(self.root).parts) < _DEEPEST
                    entries = [(entry.path, entry.is_dir(follow_symlinks=follow)) for entry in os.scandir(folder)]
            except NotFound:
                continue
            for path, is_folder in entries:
                name = str(Path(path).relative_to(self.root))
                if is_folder and name in _OF_THE_SYSTEM:  # which we mayn't so much as list
                    yield f"{name}/"
                elif is_folder:
                    folders.append(Path(path))
                elif not Path(path).name.startswith(_BESIDE) and name != _RESERVE:
                    yield name

    def sizes(self) -> Iterator[tuple[int, float]]:
        for name in self.names(""):
            with suppress(NotFound), self.explained(name):
                if not name.endswith("/"):  # the file system's own
                    found = (self.root / name).stat()
                    yield found.st_size, found.st_mtime

    def free(self) -> int | None:
        with self.explained(""):
            there = os.statvfs(self.root)
        return there.f_bavail * there.f_frsize if there.f_blocks else None

    def changed_at(self, name: str) -> float:
        with self.explained(name):
            return (self.root / name).stat().st_mtime

    def touch(self, name: str) -> None:
        with self.explained(name):
            os.utime(self.root / name)

    def now(self) -> float:
        path = self.root / f"{_BESIDE}{secrets.token_hex(8)}"
        try:
            with self.explained(path.name):
                path.touch(0o600, exist_ok=False)
        except VaultFull:
            path = self.root
            with self.explained(path.name):
                os.utime(path)
                return path.stat().st_mtime
        with self.explained(path.name):
            try:
                return path.stat().st_mtime
            finally:
                path.unlink()

    def delete(self, name: str) -> None:
        with suppress(NotFound), self.explained(name):
            (self.root / name).unlink()

    def remove_broken_off(self, before: float) -> None:
        self._keep_room()
        for folder, _, files in os.walk(self.root):
            for file in files:
                path = Path(folder) / file
                with suppress(OSError):  # it stays where it is, for another time
                    if file.startswith(_BESIDE) and path.stat().st_mtime < before:
                        path.unlink()

    def _make(self, folder: Path) -> None:
        """Make a folder below the vault's own directory, which isn't made anew: a share that isn't mounted has none."""
        if folder.is_dir() or folder == self.root:
            return
        self._make(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        sync_directory(folder.parent)

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Explain what reading one object raises. It is Damaged where the vault's description can still be read: then
        it is that object's own failure, as a bad sector's, and not the file system's."""
        with self.explained(name):
            try:
                yield
            except OSError as error:
                if error.errno not in _OF_ONE_FILE or not self._answers():
                    raise
                raise Damaged(
                    f"{name} can't be read: {error.strerror}.",
                    advice="Look at the file, and at the disk that it is on; a copy of the vault may have it.",
                ) from None

    def _answers(self) -> bool:
        """Tell whether the vault's description can be read, from the file system and not from memory."""
        with suppress(OSError), (self.root / objects.DESCRIPTION).open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            return bool(file.read(1))
        return False

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
            if isinstance(error, _NoLinks):
                raise InvalidInput(
                    f"{self.root} can't hold a vault: its file system makes no hard links ({error.strerror}), without "
                    "which an object can't be there in full or not at all.",
                    advice="Take ext4, XFS, NFS or another one that has them, or a bucket.",
                ) from None
            raise Unreachable(
                f"The vault in {self.root} can't be used: {error.strerror} ({name}).",
                advice="See whether it is mounted, and may be read and written.",
            ) from None


class _NoLinks(OSError):
    """The file system knows no hard links."""


class _Begun(Begun):
    """A file that has no name of an object yet."""

    def __init__(self, store: Directory, folder: Path) -> None:
        """Create the file. Raises OSError."""
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
        """Make what was appended safe, and give it this name. Raises OSError, WriterLost."""
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
        except OSError as error:
            if not self._is_linked():  # else a file server has done it, and its first answer was lost: link(2)
                if error.errno in _NO_LINKS:
                    raise _NoLinks(error.errno, error.strerror) from None
                raise
        sync_directory(path.parent)

    def _is_linked(self) -> bool:
        with suppress(OSError):
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)  # so a file server is asked anew
            try:
                return os.fstat(descriptor).st_nlink > 1
            finally:
                os.close(descriptor)
        return False

    def discard(self) -> None:
        """Close and remove the file. Raises OSError."""
        with self._lock:
            if self._descriptor is None:
                return
            descriptor, self._descriptor = self._descriptor, None
        try:
            os.close(descriptor)
        finally:
            self._path.unlink(missing_ok=True)
