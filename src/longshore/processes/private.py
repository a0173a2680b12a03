"""Directories that go with the process that made them, even when it is killed: then the next one removes them.

Each is locked as long as its process lives (flock(2); the kernel lets go when the process dies). One that isn't locked
has been abandoned.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "longshore-nbd-"


@contextmanager
def private_directory(within: Path | None = None) -> Iterator[Path]:
    """Make a new directory that only its owner may enter, in the temporary one unless another is named.

    It is removed with all that is in it. Those are removed, too, that processes of the same user have left behind there
    when they were killed.
    """
    _remove_abandoned(within or Path(tempfile.gettempdir()))
    lock = None
    while lock is None:  # another process may have taken it for abandoned before it was locked
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=within))
        lock = _lock(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _remove_abandoned(directory: Path) -> None:
    for path in directory.glob(f"{PREFIX}*"):  # finds none where we may not list
        with suppress(FileNotFoundError, PermissionError):  # gone by now, or closed to us
            if path.lstat().st_uid == os.geteuid() and (lock := _lock(path)) is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(lock)


def _lock(path: Path) -> int | None:
    """Lock the directory and return the descriptor that holds the lock; None when it is locked, is no directory or is
    gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.lstat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None
