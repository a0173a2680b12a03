"""Who has a layer open in the disk library: it locks what it reads shared, and what it writes alone (flock).

QEMU's own locks are of another kind.
"""

from __future__ import annotations

import fcntl
import os


class MachineError(Exception):
    """The machine could not do what was asked."""


class Busy(MachineError):
    """A layer that was to be changed is open in the disk library. `str()` is the layer's path."""


def refuse_if_open(layer: str) -> None:
    """Raises Busy."""
    if not _can_lock(layer, fcntl.LOCK_EX):
        raise Busy(layer)


def is_written(layer: str) -> bool:
    return os.path.exists(layer) and not _can_lock(layer, fcntl.LOCK_SH)


def _can_lock(layer: str, how: int) -> bool:
    with open(layer, "rb") as file:
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
