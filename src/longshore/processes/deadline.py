"""The deadline until which this process, and those it started, may change anything outside.

A worker that gives no sign of life loses what it had to another one. So it has a deadline that it moves ahead with each
sign of life, and ends before others may take over: the worker itself, and each copy or conversion that it started. They
must not rely on it for that: a worker that was stopped (SIGSTOP, a debugger, a full swap) tells them nothing, and they
would go on writing to a disk that another worker's copy writes to as well. So the deadline lies in memory that they
inherit, and each looks at it itself.

It is a moment on CLOCK_BOOTTIME, which is one for all processes of a machine and goes on while the machine sleeps. Who
was given none, as a copy that a user runs, has all the time of the world.
"""

import mmap
import os
import signal
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

from longshore.errors import InvalidInput

ENDED_BY_DEADLINE = 70  # exit status
_VARIABLE = "LONGSHORE_DEADLINE"
_LOOK_EVERY = 0.05  # seconds
_MOMENT = struct.Struct("=d")
# Behind it in a file: seconds to wait after it, and the boot of the machine that is meant
_REST = struct.Struct("=d36s")
_BOOT = Path("/proc/sys/kernel/random/boot_id")

_memory: mmap.mmap | None = None
_descriptor = -1


def now() -> float:
    """Return the present moment on the deadline's clock, in seconds."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def set_deadline(moment: float) -> None:
    """Set the deadline of this process and of all that it starts from now on. It may be moved ahead as often as is
    wished."""
    if _memory is None:
        _use(os.memfd_create("longshore-deadline"))
    assert _memory is not None
    _MOMENT.pack_into(_memory, 0, moment)


def set_deadline_seen(moment: float, path: Path, spare: float) -> None:
    """Set the first deadline of this process, and keep it in this file, a new one: whoever comes after it on the same
    machine sees by that whether it is `over`, even where this process was killed.

    Nobody has to believe that before `spare` seconds after the deadline. Raises OSError.
    """
    _use(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    set_deadline(moment)
    assert _memory is not None
    _REST.pack_into(_memory, _MOMENT.size, spare, _boot())


def over(path: Path) -> bool:
    """Tell whether the process that keeps its deadline in this file has ended, and all that obeyed it: the deadline has
    passed, or the machine was started anew since. Raises OSError."""
    kept = path.read_bytes()[: _MOMENT.size + _REST.size]
    if not any(kept[_MOMENT.size :]):
        return False  # it is about to begin
    (moment,), (spare, boot) = _MOMENT.unpack_from(kept), _REST.unpack_from(kept, _MOMENT.size)
    return bool(boot != _boot() or now() > moment + spare)


def _boot() -> bytes:
    return _BOOT.read_text().strip().encode()


def _use(descriptor: int) -> None:
    """Keep the deadline in this file, which is empty yet."""
    global _memory, _descriptor  # noqa: PLW0603 a process has one, as it has one pid
    _descriptor = descriptor
    os.posix_fallocate(descriptor, 0, mmap.PAGESIZE)  # so that a full disk is found out now
    _memory = mmap.mmap(descriptor, mmap.PAGESIZE)


def passed() -> bool:
    return _memory is not None and now() > _MOMENT.unpack_from(_memory, 0)[0]


def check() -> None:
    """End this process, here and now, if the deadline has passed. Call it right before anything outside is changed."""
    if passed():
        os._exit(ENDED_BY_DEADLINE)


def watch(end: Callable[[], None]) -> None:
    """Call `end` in a thread once it is too late, whatever else the process is busy with; then the process ends."""

    def look() -> None:
        while not passed():
            time.sleep(_LOOK_EVERY)
        try:
            end()
        finally:
            os._exit(ENDED_BY_DEADLINE)

    threading.Thread(target=look, name="longshore-deadline", daemon=True).start()


def handed_on() -> tuple[dict[str, str], tuple[int, ...]]:
    """Return what a process needs that is to `obey`: additions to its environment, and a descriptor to inherit."""
    return ({}, ()) if _memory is None else ({_VARIABLE: str(_descriptor)}, (_descriptor,))


def obey(end: Callable[[], None] | None = None) -> None:
    """End this process with the deadline of the worker that started it; the whole process group, unless `end` does
    something else.

    Raises InvalidInput when the environment names a deadline that isn't there: then nothing must be written.
    """
    global _memory, _descriptor  # noqa: PLW0603
    named = os.environ.get(_VARIABLE)
    if named is None:
        return
    try:
        _descriptor = int(named)
        _memory = mmap.mmap(_descriptor, mmap.PAGESIZE, prot=mmap.PROT_READ)
    except (ValueError, OSError):
        raise InvalidInput(f"{_VARIABLE} is set, but there is no such deadline.") from None
    watch(end or _end_group)


def _end_group() -> None:
    os.killpg(0, signal.SIGKILL)
