"""Files that are there in full or not at all, also after a power cut."""

import os
from collections.abc import Iterable
from os import PathLike


def replace_file(path: str | PathLike[str], chunks: Iterable[bytes], mode: int = 0o600) -> None:
    """Put a file in `path`'s place: written beside it, synchronised, renamed, and the directory synchronised. If that
    fails, what was there before is there still, and nothing beside it."""
    directory, name = os.path.split(path)
    beside = os.path.join(directory, f".{name}.new")  # noqa: PTH118 a copy's process has no time to load pathlib
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)  # noqa: PTH105
    except BaseException:
        os.unlink(beside)  # noqa: PTH108 it takes room where there may be none left
        raise
    sync_directory(directory)


def sync_directory(directory: str | PathLike[str]) -> None:
    """Make durable which names the directory holds."""
    descriptor = os.open(directory or os.curdir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
