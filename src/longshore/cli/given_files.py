"""Files that options name: what is in them is given, whoever is asked."""

import sys
from pathlib import Path

from longshore.errors import InvalidInput


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
    """Read a file's bytes. Raises InvalidInput."""
    try:
        return path.read_bytes()
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
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it isn't text"
        raise InvalidInput(f"{file} can't be read: {reason}.") from None


def put_text(file: str | None, text: str) -> None:
    """Write a text into a file, or to standard output (None or "-"). Raises InvalidInput."""
    if file is None or file == "-":
        sys.stdout.write(text)
        return
    try:
        Path(file).write_text(text)
    except OSError as error:
        raise InvalidInput(f"{file} can't be written: {error.strerror}.") from None
