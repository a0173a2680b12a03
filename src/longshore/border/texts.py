"""Single texts, as they are written into what people and programs read."""

import re
from collections.abc import Sequence
from html import escape
from unicodedata import category
from urllib.parse import quote

# Before what a spreadsheet would reckon with: at the beginning of a cell, and of what becomes a cell of its own where
# semicolons part them, as they do for Excel in half of Europe. It takes the wide signs of East Asia as well
_FORMULA = re.compile(r"(?:^|(?<=;)) *(?=[=+\-@\t\r＝＋－＠])")
_MARKS = str.maketrans({mark: f"\\{mark}" for mark in "\\`*[]<>|&~"})  # of Markdown, and of HTML within it
_LONGEST_FILE_NAME = 120  # letters, of which one has 4 bytes at most, where 255 bytes and a few more for an end fit


def printable(text: str) -> str:
    """Write a text for screens: what isn't seen on one, and might move its cursor or turn its text around, is written
    as a number.

    Line ends and tabs stay, and spaces of all widths.
    """
    return text if text.isprintable() else "".join(letter if letter in "\n\t" else _seen(letter) for letter in text)


def line(text: object) -> str:
    """The same on one line, whatever line ends are in it."""
    words = str(text)
    return words if words.isprintable() else "".join(map(_seen, words))


def some(words: Sequence[str], most: int) -> str:
    """Join the first `most` of these words, and say how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return f"{', '.join(words[:most])}{more}"


def shortened(text: str, most: int = 200) -> str:
    """Write a text on one line of so many letters: for a sentence that quotes it."""
    return line(text[:most])


def csv_cell(cell: object) -> object:
    """Return a cell of a table for spreadsheets: no formula, on one line. Numbers are themselves."""
    if cell is None:
        return ""
    if not isinstance(cell, str):
        return cell
    return line(_FORMULA.sub("'\\g<0>", cell))


def markdown(text: object) -> str:
    """Write a text on one line of Markdown, of which it makes nothing: no link, no image, no tag, no column of a
    table."""
    return line(" ".join(str(text).split())).translate(_MARKS)


def html(text: object) -> str:
    """Escape a text for an element or an attribute's quotes. Pages made of templates are escaped by Jinja."""
    return escape(line(text))


def in_double_quotes(text: str) -> str:
    """Mark what a shell takes for itself between double quotes, but for these quotes."""
    return printable(text).replace("\\", "\\\\").replace("$", "\\$").replace("`", "\\`")


def attachment(name: str) -> dict[str, str]:
    """Return the header of an answer that browsers keep as a file of this name, in their own directory."""
    plain = line(name).replace("/", "_").replace("\\", "_")[:_LONGEST_FILE_NAME].lstrip(".") or "file"
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(plain, safe='')}"}


def _seen(letter: str) -> str:
    if letter.isprintable() or category(letter) == "Zs":
        return letter
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
