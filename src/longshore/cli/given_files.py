"""Files that options name: what is in them is given, whoever is asked."""

import stat
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO

from longshore.cli.terminal import raw
from longshore.errors import InvalidInput
from longshore.model.strict_reading import LARGEST
from longshore.processes.durable import replace_file


def text_of(path: Path) -> str:
    """Read a file's text. Raises InvalidInput."""
    try:
        return bytes_of(path).decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} can't be read: it isn't text.") from None


def key_in(path: Path) -> str:
    """Read a passphrase. An editor ends its last line; that end is no part of it. Raises InvalidInput."""
    return text_of(path).removesuffix("\n").removesuffix("\r")


def bytes_of(path: Path) -> bytes:
    """Read a file's bytes. Raises InvalidInput, also for a file that is larger than anything that options name."""
    try:
        with path.open("rb") as file:
            return _whole(file, str(path))
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}.") from error


def playbook_of(path: Path | None) -> str | None:
    """Return an absolute path: the engine that runs the playbook works in another directory. Raises InvalidInput."""
    if path is None:
        return None
    text_of(path)
    return str(path.absolute())


def text_or_input(file: str) -> str:
    """Read a file's text, or that of standard input ("-"). Raises InvalidInput."""
    if file != "-":
        return text_of(Path(file))
    try:
        return _whole(standard_input(), "Standard input").decode()
    except UnicodeDecodeError:
        raise InvalidInput("Standard input can't be read: it isn't text.") from None


def standard_input() -> BinaryIO:
    """Return the bytes of standard input. Raises InvalidInput when that is closed."""
    if sys.stdin is None:
        raise InvalidInput("Standard input can't be read: it is closed.")
    return sys.stdin.buffer


def put_text(file: str | None, text: str) -> None:
    """Write a text into a file, or to standard output (None or "-"). Raises InvalidInput; then the file is as it was.

    It is in UTF-8, as it is read again, whatever the screen is set to.
    """
    if file is None or file == "-":
        if isinstance(out := raw(sys.stdout), TextIOWrapper):
            out.reconfigure(encoding="utf-8")
        sys.stdout.write(text)
        return
    path = Path(file)
    try:
        if _is_written_through(path):
            path.write_text(text, encoding="utf-8")
        else:
            mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666
            replace_file(path.resolve(), [text.encode()], mode)
    except OSError as error:
        raise InvalidInput(f"{file} can't be written: {error.strerror}.") from None


def _is_written_through(path: Path) -> bool:
    """Tell whether nothing may take its place: a device, a pipe, or whatever the shell has opened (/dev/stdout)."""
    opened = any(path.absolute().is_relative_to(root) for root in ("/dev", "/proc"))
    return opened or (path.exists() and not path.is_file())


def _whole(file: BinaryIO, name: str) -> bytes:
    content = file.read(LARGEST + 1)
    if len(content) > LARGEST:  # somebody has named a disk's image, or /dev/zero
        raise InvalidInput(f"{name} can't be read: more than {LARGEST >> 20} MiB.", advice="Name another file.")
    return content
