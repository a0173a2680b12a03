"""A record of what a copy has safely brought to the target, so that a killed copy goes on (docs/formats/checkpoint.md).

Two files. The log is appended to and synchronised; then the head, a small file that says how much of the log counts, is
replaced. Whatever moment the power goes, the head describes a log that is there. The caller flushes the target before
it records anything.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from enum import IntEnum

from blake3 import blake3

from longshore.blocks.request import FilePath
from longshore.errors import CheckpointError, CheckpointLocked, CheckpointMisfit
from longshore.model.extents import Extent
from longshore.model.records import NamedTuple
from longshore.processes.durable import replace_file, sync_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FORMAT = "longshore checkpoint 1"
_RECORD = struct.Struct("<QQQ32s")


class Outcome(IntEnum):
    """The outcome of an extent. The numbers are part of the format."""

    DATA = 1  # one block written, in whole or in part; the digest is the whole block's
    ZERO = 2  # whole blocks made zero on the target
    HOLE = 3  # whole blocks zero on both sides already
    SAME = 4  # one block that the base manifest has with the same digest
    PIECE = 5  # part of a block written; the digest is of these bytes only


class CheckpointRecord(NamedTuple):
    """An extent that the copy has dealt with, and its digest (32 zero bytes where the outcome says enough)."""

    extent: Extent
    outcome: Outcome
    digest: bytes


class Identity(NamedTuple):
    """The copy that a checkpoint belongs to. It is no use for anything else."""

    source: str
    target: str
    size: int  # bytes, of the source
    block_size: int
    scope: str  # digest of the list of changed extents, or "all"
    base: str  # root digest of the base manifest, or ""


_NAMES = {
    "source": "source",
    "target": "target",
    "size": "source of another size",
    "block_size": "block size",
    "scope": "list of changes",
    "base": "base manifest",
}


class Checkpoint:
    """An open checkpoint."""

    def __init__(self, path: FilePath, identity: Identity, head: bytes, log_size: int, log_digest: blake3) -> None:
        self.path = path
        self._identity = identity
        self._log_digest = log_digest
        self._log_size = log_size
        try:
            self._log = os.open(_log_path(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CheckpointError(f"The checkpoint {path} can't be written: {error.strerror}.") from error
        try:
            fcntl.flock(self._log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._log)
            raise locked(path) from None
        try:
            with open(path, "rb") as file:
                now = file.read()
        except FileNotFoundError:
            now = b""
        if now != head:  # the one that used it has let go of it since we have read it
            os.close(self._log)
            raise locked(path)
        # What follows was appended by a run that was killed before its head said so
        os.ftruncate(self._log, log_size)
        os.lseek(self._log, log_size, os.SEEK_SET)

    @classmethod
    def open(cls, path: FilePath, identity: Identity) -> Checkpoint:
        """Go on with the checkpoint at `path`, or begin one.

        Raises CheckpointMisfit when it is damaged, or was made for another copy, CheckpointError when it can't be used.
        """
        try:
            with open(path, "rb") as file:
                content = file.read()
        except FileNotFoundError:
            directory = os.path.dirname(path) or os.curdir
            if not os.path.isdir(directory):
                raise CheckpointError(f"There is no directory {directory} for the checkpoint.") from None
            return cls(path, identity, b"", 0, blake3())
        except OSError as error:
            raise CheckpointError(f"The checkpoint {path} can't be read: {error.strerror}.") from error
        head = _head(path, content)
        for field, value in identity._asdict().items():
            if head["identity"].get(field) != value:
                raise CheckpointMisfit(
                    f"The checkpoint {path} belongs to another copy: it was made for another {_NAMES[field]}.",
                    advice="Name another checkpoint, or remove it to start from the beginning.",
                )
        log_digest = blake3()
        try:
            with open(_log_path(path), "rb") as log:
                left = head["log_bytes"]
                while left and (chunk := log.read(min(left, 1 << 22))):
                    log_digest.update(chunk)
                    left -= len(chunk)
        except FileNotFoundError:
            raise CheckpointMisfit(f"The checkpoint's log {_log_path(path)} can't be read: it isn't there.") from None
        except OSError as error:
            raise CheckpointError(f"The checkpoint's log {_log_path(path)} can't be read: {error.strerror}.") from error
        if left or log_digest.hexdigest() != head["log_digest"]:
            raise _damaged(_log_path(path))
        return cls(path, identity, content, head["log_bytes"], log_digest)

    def records(self) -> Iterator[CheckpointRecord]:
        """Yield what earlier runs recorded, in no particular order."""
        step = _RECORD.size * 4096
        for position in range(0, self._log_size, step):
            chunk = os.pread(self._log, min(step, self._log_size - position), position)
            for offset, length, outcome, digest in _RECORD.iter_unpack(chunk):
                yield CheckpointRecord(Extent(offset, length), Outcome(outcome), digest)

    def append(self, records: Sequence[CheckpointRecord]) -> None:
        """Record durably what has been flushed on the target. Blocks; raises CheckpointError."""
        data = b"".join(
            _RECORD.pack(extent.offset, extent.length, outcome, digest) for extent, outcome, digest in records
        )
        self._log_digest.update(data)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(self._log, view) :]
            os.fsync(self._log)
            if self._log_size == 0:
                sync_directory(os.path.dirname(self.path))
            self._log_size += len(data)
            replace_file(self.path, [self._encode_head()])
        except OSError as error:
            raise CheckpointError(f"The checkpoint {self.path} can't be written: {error.strerror}.") from error

    def _encode_head(self) -> bytes:
        head: dict[str, Any] = {
            "format": FORMAT,
            "identity": self._identity._asdict(),
            "log_bytes": self._log_size,
            "log_digest": self._log_digest.hexdigest(),
        }
        return _canonical({**head, "seal": blake3(_canonical(head)).hexdigest()}) + b"\n"

    def close(self) -> None:
        os.close(self._log)

    def remove(self) -> None:
        """Remove the checkpoint: the copy is done."""
        discard(self.path)


def discard(path: FilePath) -> None:
    """Head first, so that no head is without its log. Nothing to do when there is none; nobody may be using it."""
    for part in (path, _log_path(path)):
        with suppress(FileNotFoundError):
            os.unlink(part)


def is_locked(path: FilePath) -> bool:
    """Tell whether another copy is using the checkpoint. False also where that can't be found out: to open it will
    tell."""
    try:
        log = os.open(_log_path(path), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(log)
    return False


def locked(path: FilePath) -> CheckpointLocked:
    return CheckpointLocked(
        f"Another copy is using the checkpoint {path} right now.",
        advice="Wait for its end. If its machine has died, a shared file system needs up to 90 seconds to notice that.",
    )


def identity_of(path: FilePath) -> Identity | None:
    """Read what the checkpoint at `path` belongs to. None when there is none, or it is damaged."""
    try:
        with open(path, "rb") as file:
            return Identity(**_head(path, file.read())["identity"])
    except (OSError, CheckpointMisfit, TypeError):
        return None


def _head(path: FilePath, content: bytes) -> dict[str, Any]:
    import json

    try:
        head = json.loads(content)
        seal = head.pop("seal")
        known = head["format"] == FORMAT
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _damaged(path) from None
    if not known:
        raise CheckpointMisfit(f"{path} is not a checkpoint that this version of Longshore can read.")
    if blake3(_canonical(head)).hexdigest() != seal:
        raise _damaged(path)
    return dict(head)


def _damaged(path: FilePath) -> CheckpointMisfit:
    return CheckpointMisfit(
        f"The checkpoint {path} was cut short or altered.", advice="Remove it to start the copy from the beginning."
    )


def _canonical(value: dict[str, Any]) -> bytes:
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _log_path(path: FilePath) -> str:
    return f"{os.fspath(path)}.log"
