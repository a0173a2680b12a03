"""Meanings of what nbdkit and the libraries it loads print, in plain words."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from longshore.blocks.exports import Export
from longshore.errors import CopyError, LongshoreError


class Meaning(NamedTuple):
    words: str  # regular expression on what is printed
    error: type[LongshoreError]
    sentence: str  # with names in braces, which are filled in
    advice: str
    code: str | None = None


def find_meaning(meanings: Iterable[Meaning], printed: str, **filled: str) -> LongshoreError | None:
    """Return the error that the first of the meanings makes of it; None: none knows."""
    for meaning in meanings:
        if re.search(meaning.words, printed, re.IGNORECASE):
            return meaning.error(
                meaning.sentence.format(**filled), advice=meaning.advice.format(**filled), code=meaning.code
            )
    return None


@contextmanager
def with_last_words(export: Export, reading: re.Pattern[str], who: str) -> Iterator[None]:
    """Raise a CopyError from inside with what `who` said last about its reads."""
    try:
        yield
    except CopyError as error:
        said = reading.findall(export.last_words())
        if said:
            error.message = f"{error.message} {who} said: {said[-1].strip()}."
            error.args = (f"{error.message} {error.advice}".strip(),)
        raise
