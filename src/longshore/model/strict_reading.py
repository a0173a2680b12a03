"""Strict reading of what people or strangers hand in: what isn't plain data, stands there twice or is too much is
refused, with line and column. JSON is read here, YAML in longshore.model.strict_yaml.

PyYAML and json read more than is meant, and without measure: a few aliases of aliases stand for more than any memory
holds, brackets in brackets end the interpreter, of two equal keys the last one wins, and NaN is a number.
"""

import json
import re
from math import isfinite
from typing import Any

from longshore.errors import InvalidInput

LARGEST = 16 << 20  # bytes of a document; a plan of 10,000 machines has some 2 MiB
DEEPEST = 40  # tables and lists within each other; ours have 8 at most
HEAVIEST = 1_000_000  # values
LONGEST_NUMBER = 100  # characters
_LARGEST_NUMBER = 1 << 64

_JSON_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[][{}:,]|[^][{}:,"\s]++', re.DOTALL)
_HALF_A_PAIR = re.compile("[\ud800-\udfff]")


class Misread(InvalidInput, ValueError):
    """The error for a document that can't be read. `line` and `column` count from 1; 0: the document as a whole."""

    code = "unreadable-document"

    def __init__(self, sentence: str, line: int = 0, column: int = 0) -> None:
        self.sentence = sentence
        self.line = line
        self.column = column
        super().__init__(f"Line {line}, column {column}: {sentence}" if line else sentence)

    def within(self, name: str) -> str:
        """Return the sentence for a document of this name."""
        where = f"{name}, line {self.line}, column {self.column}" if self.line else name
        return f"{where}: {self.sentence}"


def read_json(content: str | bytes, *, largest: int = LARGEST, heaviest: int = HEAVIEST) -> Any:
    """Read JSON as plain data. `largest`: bytes; `heaviest`: values. Raises Misread."""
    text = text_of(content, largest)
    _measure(text, heaviest)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        said = error.msg[:1].lower() + error.msg[1:]
        raise Misread(f"This isn't JSON: {said}.", error.lineno, error.colno) from None


def text_of(content: str | bytes, largest: int) -> str:
    try:
        raw = content.encode() if isinstance(content, str) else content
        if len(raw) > largest:
            raise Misread(f"This has {len(raw):,} bytes; more than {largest:,} aren't read.")
        return raw.decode("utf-8-sig")
    except UnicodeError:
        raise Misread("This isn't text in UTF-8.") from None


def no_number(value: float) -> str | None:
    """Return why a number is none that can be meant; None when it is one."""
    if isinstance(value, int):  # which may be larger than any float
        return "This number is too large." if abs(value) >= _LARGEST_NUMBER else None
    return None if isfinite(value) else "This isn't a number that can be meant here."


def _measure(text: str, heaviest: int) -> None:
    """Measure a text before JSON's own reader is let at it. Raises Misread; what isn't JSON is left to that reader to
    refuse."""
    open_: list[set[str] | None] = []  # of each object that is open the keys so far; of a list None
    count, before, at = 0, "", 0
    for found in _JSON_TOKEN.finditer(text):
        token, why = found[0], None
        match token[0]:
            case "{" | "[":
                open_.append(set() if found[0] == "{" else None)
                count += 1
                if len(open_) > DEEPEST:
                    why = f"There are more than {DEEPEST} tables and lists within each other."
            case "}" | "]":
                del open_[-1:]
            case ",":
                count += 1
                if count > heaviest:
                    why = f"There are more than {heaviest:,} values."
            case ":" if open_ and open_[-1] is not None and before.startswith('"'):
                key = _meant(before)
                if key in open_[-1]:
                    raise Misread(f'"{key}" is there twice.', *counted(text, at))
                open_[-1].add(key)
            case '"' if "\\u" in token and _HALF_A_PAIR.search(_meant(token)):
                why = "There is half a character in this text."
            case letter if letter not in ':"':
                why = _bad_word(token)
        before, at = token, found.start()
        if why:
            raise Misread(why, *counted(text, at))


def _meant(token: str) -> str:
    if "\\" not in token:
        return token.strip('"')
    try:
        return str(json.loads(token))
    except ValueError:
        return token  # no text of JSON's, as its reader will say


def _bad_word(word: str) -> str | None:
    if len(word) > LONGEST_NUMBER:
        return "This number is too long."
    try:
        return no_number(int(word) if word.lstrip("-").isdecimal() else float(word))
    except ValueError:
        return None  # true, null, or nothing that JSON knows


def counted(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)
