"""Regular expressions that somebody else writes, matched in time linear in the text and in a fixed amount of memory.

Python's own `re` may take for ever over a short one, and no other thread of the process runs meanwhile. RE2 is quick
whatever is written, and lets the others run. Its syntax: https://github.com/google/re2/wiki/Syntax.
"""

from dataclasses import dataclass
from typing import Any

from longshore.errors import InvalidInput

LONGEST = 500  # characters of an expression
_LARGEST = 1000  # instructions that it may become: with as many a second of one processor goes through the longest text
_MEMORY = 1 << 20  # bytes, of an expression and of what matching it keeps
_TEXT = 64 << 10  # characters of a text that are looked at: its last ones
_UNKNOWN = ("invalid perl operator: (?=", "invalid perl operator: (?!", "invalid perl operator: (?<", "(?>")
_BACKWARDS = tuple(rf"invalid escape sequence: \{digit}" for digit in range(1, 10))
_LINES = "(?m)"  # ^ and $ are the ends of lines


@dataclass(frozen=True, slots=True)
class Expression:
    compiled: Any = None

    def find(self, text: str) -> str | None:
        """Return what fits first at the end of the text: of a text that is too long the beginning isn't looked at."""
        found = self.compiled.search(text[-_TEXT:].encode(errors="replace"))
        return found.group(0).decode(errors="replace") if found else None


def compile_expression(written: str) -> Expression:
    """Compile an expression that somebody else wrote. Raises InvalidInput in a sentence that names what isn't right
    about it."""
    import re2

    if not written:
        raise InvalidInput("A regular expression without a character fits everything.", advice=_ADVICE)
    if len(written) > LONGEST:
        raise InvalidInput(
            f"A regular expression has at most {LONGEST} characters; this one has {len(written)}.", advice=_ADVICE
        )
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        made = re2.compile(_LINES + written, options)
    except UnicodeEncodeError:
        raise InvalidInput("The regular expression holds half a character.", advice=_ADVICE) from None
    except re2.error as error:
        raise _refused(written, error) from None
    if made.programsize > _LARGEST:
        raise InvalidInput(
            f'The regular expression "{written}" is too large once its repetitions are written out.', advice=_ADVICE
        )
    return Expression(made)


_ADVICE = "A plain word will do."


def _refused(written: str, error: Exception) -> InvalidInput:
    said = error.args[0] if error.args else ""
    problem = (said.decode(errors="replace") if isinstance(said, bytes) else str(said)).replace(_LINES, "", 1)
    if problem.startswith((*_UNKNOWN, *_BACKWARDS)) or ("(?P" in problem and "(?P=" in written):
        return InvalidInput(
            f'The regular expression "{written}" looks ahead, back or at what it has found: that isn\'t known here.',
            advice="Write it without lookaround and backreferences.",
        )
    if problem.startswith("missing "):  # what follows is all of it
        problem = problem.partition(":")[0]
    return InvalidInput(f'The regular expression "{written}" isn\'t right: {problem}.', advice=_ADVICE)
