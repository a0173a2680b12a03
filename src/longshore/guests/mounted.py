"""A guest's files as a read-only file system of this machine (FUSE), which a confined process reads.

The kernel here never parses what is on the guest's disks. Names, sizes and links come from a stranger all the same:
absolute links, and those that climb, are bent so that none leads out of the mounted directory; devices, pipes and
sockets aren't shown; nothing can be executed.
"""

import errno
import os
import posixpath
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from longshore.errors import ConversionError, InvalidInput
from longshore.guests.file_names import PLACE, meant_name, shown_name
from longshore.guests.files import Attended, Inode, attended
from longshore.processes.installed import refuse_without
from longshore.vault.disks import DiskReader

P = ParamSpec("P")
T = TypeVar("T")
_MOST_KNOWN = 200_000  # entries that are remembered
_THREADS = 10  # that wait for the one process that reads
_TYPES = {"file": stat.S_IFREG, "directory": stat.S_IFDIR, "link": stat.S_IFLNK}


def mount_files(disks: Sequence[DiskReader], directory: Path, name: str, on_mounted: Callable[[], None]) -> None:
    """Mount the files until they are unmounted, or the process is told to end by SIGINT or SIGTERM; then they are
    unmounted.

    Whatever ends the process, the directory is free again. Raises InvalidInput, ConversionError.
    """
    fuse = _fuse()
    with _freed(directory), attended(disks) as reader:
        files = _Files(reader, on_mounted)
        try:
            fuse.FUSE(
                files.operations(fuse),
                str(directory),
                foreground=True,
                ro=True,
                nosuid=True,
                nodev=True,
                noexec=True,
                auto_unmount=True,
                max_threads=_THREADS,
                max_idle_threads=_THREADS,  # without, libfuse complains of a default of its own
                fsname=f"longshore:{name.replace(',', '_')}",
                subtype="longshore",
            )
        except RuntimeError as error:
            if files.mounted:  # a signal has ended it
                return
            raise InvalidInput(
                f"{directory} can't be mounted at.", advice="It has to be a directory of yours on a local file system."
            ) from error


def _fuse() -> Any:
    """Load FUSE's library. Raises InvalidInput."""
    refuse_without("fusermount3")
    os.environ.setdefault("FUSE_LIBRARY_NAME", "fuse3")
    try:
        import mfusepy
    except OSError:
        raise InvalidInput("FUSE isn't on this machine.", advice="Install the package fuse3.") from None
    return mfusepy


@contextmanager
def _freed(directory: Path) -> Iterator[None]:
    """It is unmounted when this process has ended, however it did: by one that waits for just that.

    fusermount3 waits, too (auto_unmount), and looks then whether the file system is dead. A process that was killed may
    not be so far by then, and what it mounted would stay.
    """
    words = ["sh", "-c", 'read -r _; exec fusermount3 -quz -- "$0" 2>/dev/null', str(directory)]
    waiting = subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
    assert waiting.stdin is not None
    try:
        yield
    finally:
        waiting.stdin.close()
        waiting.wait()


class _Files:
    """The answers to what the kernel asks for, by paths."""

    def __init__(self, reader: Attended, on_mounted: Callable[[], None]) -> None:
        self._reader = reader
        self.mounted = False
        self._on_mounted = on_mounted
        self._known: dict[str, dict[str, Inode]] = {}  # what is in a directory, by its path
        self._lock = threading.Lock()

    def operations(self, fuse: Any) -> Any:
        files = self

        class Operations(fuse.Operations):  # type: ignore[misc]
            use_ns = True

            def init(self, _path: str) -> None:
                files.mounted = True
                files._on_mounted()

            def getattr(self, path: str, _fh: object = None) -> dict[str, int]:
                return _guarded(files.attributes, path)

            def readdir(self, path: str, _fh: object) -> list[str]:
                return [".", "..", *_guarded(files.names, path)]

            def readlink(self, path: str) -> str:
                return _guarded(files.target, path)

            def read(self, path: str, size: int, offset: int, _fh: object) -> bytes:
                return _guarded(files.read, path, size, offset)

        return Operations()

    def attributes(self, path: str) -> dict[str, int]:
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o755, "st_nlink": 2}
        found = self._find(path)
        size = len(os.fsencode(self.target(path))) if found.kind == "link" else found.size
        return {
            "st_mode": _TYPES[found.kind] | (found.mode & 0o777),
            "st_nlink": 1,
            "st_size": max(size, 0),
            "st_mtime": found.modified * 10**9,
            "st_uid": found.user,
            "st_gid": found.group,
        }

    def names(self, path: str) -> list[str]:
        return list(self._in(path))

    def target(self, path: str) -> str:
        """Return where a link leads, bent into the mounted directory."""
        target = os.fsdecode(meant_name(self._find(path).target))
        return bent(path, target)

    def read(self, path: str, size: int, offset: int) -> bytes:
        return self._reader.read(self._find(path).node, offset, size)

    def _find(self, path: str) -> Inode:
        """Find a file. Raises OSError."""
        above, _, name = path.rpartition("/")
        found = self._in(above or "/").get(name)
        if found is None:
            raise OSError(errno.ENOENT, path)
        return found

    def _in(self, path: str) -> dict[str, Inode]:
        with self._lock:
            found = self._known.get(path)
            if found is None:
                if sum(map(len, self._known.values())) > _MOST_KNOWN:
                    self._known.clear()
                children = self._reader.children(_shown(path))
                found = self._known[path] = {name: child for child in children if (name := _name(child))}
            return found


def bent(path: str, target: str) -> str:
    """Return where a link at `path` leads, as a relative path that doesn't leave the mounted directory; both in the
    guest.

    What goes up comes first, and not beyond the top: behind a name that is a link itself `..` could lead anywhere.
    """
    directory = posixpath.dirname(path)
    wanted = posixpath.normpath(f"/{target}" if target.startswith("/") else f"{directory}/{target}")
    return posixpath.relpath(f"/{wanted.lstrip('/')}", directory)


def _shown(path: str) -> str:
    """Return the path as `list_files` has it: what isn't mounted in the guest begins with its place."""
    first, _, rest = path[1:].partition("/")
    if PLACE.fullmatch(first):
        return f"{first}/{shown_name(os.fsencode(rest))}"
    return shown_name(os.fsencode(path))


def _name(child: Inode) -> str:
    """Return a file's name in its directory; empty for what isn't shown."""
    name = os.fsdecode(meant_name(child.path).rpartition(b"/")[2])
    if child.kind not in _TYPES or name in ("", ".", "..") or "\0" in name or len(os.fsencode(name)) > 255:
        return ""
    return name


def _guarded(ask: Callable[P, T], *words: P.args, **more: P.kwargs) -> T:
    """Ask, and tell the kernel of what can't be read just that."""
    try:
        return ask(*words, **more)
    except ConversionError:
        raise OSError(errno.EIO, os.strerror(errno.EIO)) from None
