"""The one way from the commands to a screen: what isn't printable is written as a number, whoever has written it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO, cast

from longshore.border.texts import printable, shortened
from longshore.errors import LongshoreError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Screened:
    """A stream of texts that lets nothing through which a terminal would take for a command.

    JSON and YAML have numbers of their own for that, so that programs read what was meant. Bytes that were asked for,
    a file's, go by its `buffer`, and what rich draws by `raw`, which `longshore.cli.screen.console` gives it.
    """

    def __init__(self, stream: TextIO) -> None:
        self.raw = stream

    def write(self, text: str) -> int:
        self.raw.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


@contextmanager
def screened() -> Iterator[None]:
    """Standard output and error are, until the end."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_screened, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def raw(stream: TextIO) -> TextIO:
    """Return the stream itself, for what draws by the commands of terminals, and has cleaned its texts itself."""
    return stream.raw if isinstance(stream, Screened) else stream


def can_ask() -> bool:
    """Tell whether somebody at a terminal can be asked. Standard input may be closed."""
    return sys.stdin is not None and sys.stdin.isatty()


@contextmanager
def faults_of_files_told() -> Iterator[None]:
    """Raise LongshoreError for a file that was named and can't be used, and where an answer finds no room."""
    try:
        yield
    except OSError as error:
        if error.filename is not None:
            name = shortened(os.fsdecode(error.filename))
            raise LongshoreError(f"{name} can't be used: {error.strerror}.") from error
        if error.errno not in _FULL:
            raise
        raise LongshoreError(f"The answer can't be written: {error.strerror}.", advice="Make room for it.") from None


def _screened(stream: TextIO | None) -> TextIO:
    if isinstance(stream, Screened):
        return stream
    if stream is None:  # it was closed
        stream = Path(os.devnull).open("w")  # noqa: SIM115 as long as the process
    if isinstance(stream, TextIOWrapper):  # of a screen that hasn't all letters, as a Latin-1 one
        stream.reconfigure(errors="backslashreplace")
    return cast("TextIO", Screened(stream))
