"""Faults in what is asked: where in it something isn't right, and what the names in it may be like."""

import unicodedata

LONGEST_NAME = 255  # characters, of whatever has a name in OpenStack
LONGEST_PATH = 4096
_SHOWN = 60  # characters of a name in a sentence

Path = tuple[str | int, ...]


class RequestFault(Exception):
    """The error for something in what is asked that isn't right; `path` says where in it."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.text = text
        super().__init__(text)


def describe_path(path: Path) -> str:
    """Write a path in words, however long or odd the names in it are."""
    words = (str(part) if str(part).isprintable() else "…" for part in path)
    return ".".join(word if len(word) <= _SHOWN else f"{word[:_SHOWN]}…" for word in words)


def quote_path(path: Path) -> str:
    """Write a path in quotes, without the numbers in it."""
    return f'"{describe_path(tuple(part for part in path if isinstance(part, str)))}"'


def check_name(path: Path, text: str, longest: int = LONGEST_NAME) -> None:
    """Check one line that can be read, as the names of all things in OpenStack are. Raises RequestFault."""
    if not text.strip():
        raise RequestFault(path, f"{quote_path(path)} is empty.")
    if len(text) > longest:
        raise RequestFault(path, f"{quote_path(path)} has at most {longest} characters, and this has {len(text)}.")
    for character in text:
        category = unicodedata.category(character)
        if category[0] == "C" or category in ("Zl", "Zp"):
            raise RequestFault(
                path, f"{quote_path(path)} holds a character that can't be printed (U+{ord(character):04X})."
            )


def check_server_name(path: Path, name: str) -> None:
    """Refuse what Nova doesn't take. Raises RequestFault."""
    check_name(path, name)
    if name != name.strip():
        raise RequestFault(path, f"{quote_path(path)} begins or ends with a space, which Nova doesn't take.")
    if (last := max(name)) > "\uffff":  # in MySQL, Nova's names have three bytes a character at most
        said = f"{quote_path(path)} holds a character that Nova can't keep (U+{ord(last):04X})."
        raise RequestFault(path, said)
