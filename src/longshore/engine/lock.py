"""The lock of a state directory: who works on its SQLite database is alone with it."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from longshore.store import StateDirectory


class AlreadyRunning(Exception):
    """Another engine holds the lock."""


def is_locked(state: StateDirectory) -> bool:
    try:
        with lock(state):
            return False
    except AlreadyRunning:
        return True


@contextmanager
def lock(state: StateDirectory, patience: float = 0.0, handed: int | None = None) -> Iterator[int]:
    """Held by the engine as long as it lives; the kernel lets go of it when the process ends, however it ends.

    An engine has some patience (seconds): a command that only looks holds the lock for a moment too. Its descriptor can
    be handed to another process, which then holds the lock too, until both have closed it; that one says so (`handed`).
    """
    fd = os.open(state.engine_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600) if handed is None else handed
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
