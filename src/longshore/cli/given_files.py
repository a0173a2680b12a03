"""Files that options name: what is in them is given, whoever is asked."""

from pathlib import Path

from longshore.errors import InvalidInput


def text_of(path: Path) -> str:
    """Raises InvalidInput."""
    try:
        return bytes_of(path).decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} can't be read: it isn't text.") from None


def bytes_of(path: Path) -> bytes:
    """Raises InvalidInput."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} can't be read: {error.strerror}.") from error
