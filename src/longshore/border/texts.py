"""Single texts, as they are written into what people and programs read."""

from unicodedata import category


def printable(text: str) -> str:
    """For screens: what isn't seen on one, and might move its cursor or turn its text around, is written as a number.

    Line ends and tabs stay, and spaces of all widths.
    """
    return text if text.isprintable() else "".join(map(_seen, text))


def line(text: object) -> str:
    """The same on one line, whatever line ends are in it."""
    return "".join(map(_seen_in_line, str(text)))


def _seen(letter: str) -> str:
    return letter if letter in "\n\t" else _seen_in_line(letter)


def _seen_in_line(letter: str) -> str:
    if letter.isprintable() or category(letter) == "Zs":
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
