"""Files that options name: what is in them is given, whoever is asked."""

from pathlib import Path

from longshore.errors import InvalidInput


def text_of(path: Path) -> str:
    """Raises InvalidInput."""
    try:
        return bytes_of(path).decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} can't be read: it isn't text.") from None


def key_in(path: Path) -> str:
    """An editor ends its last line; that end is no part of a passphrase. Raises InvalidInput."""
    return text_of(path).removesuffix("\n").removesuffix("\r")


def bytes_of(path: Path) -> bytes:
    """Raises InvalidInput."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}.") from error
