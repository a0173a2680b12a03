"""The lock of a state directory: who works on its SQLite database is alone with it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from longshore.state import StateDirectory


class AlreadyRunning(Exception):
    """Another engine holds the lock."""


def is_locked(state: StateDirectory) -> bool:
    """Tell whether a process holds the lock.

    This takes it shared for a moment, so two that look at the same time don't take each other for a holder.
    """
    fd = opened(state)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def opened(state: StateDirectory) -> int:
    """Return a new descriptor of the lock file, by which the lock can be taken. It doesn't hold the lock yet."""
    return os.open(state.engine_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextmanager
def lock(state: StateDirectory, patience: float = 0.0, handed: int | None = None) -> Iterator[int]:
    """Hold the lock of a state directory, as an engine does for as long as it lives; yield its descriptor.

    The kernel lets go of the lock when the process ends, however it ends. An engine has some patience (seconds): a
    command that only looks holds the lock for a moment too. A descriptor that was `opened` before may be handed to
    another process, too: both hold the lock by it, until both have closed it. Raise AlreadyRunning when another process
    holds it.
    """
    fd = opened(state) if handed is None else handed
    try:
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise AlreadyRunning from None
                time.sleep(0.05)
            else:
                break
        yield fd
    finally:
        os.close(fd)
