"""The meanings of concerns and their advice, in the viewer's language: by code, as their sentences are the service's.

A sentence stays beside the meaning where it has particulars: names, figures, what is quoted.
"""

import re

from longshore.wording.concerns import without_name
from longshore.wording.texts import _, of_concerns

# What a sentence has that its kind's meaning can't: a figure, something quoted, in brackets or listed, or a name
_PARTICULAR = re.compile(r"[\d\"():]|(?<=[\w,;] )[A-Z]")
_UNACCEPTABLE = " It can't be accepted: nothing can be moved with it."  # behind an advice, see planning/kinds.py
_HAS = "It has: "  # behind one, or one by itself: names of what is there


def meaning_of(code: str) -> str:
    """Return what a kind of concern means; empty for an unknown code, and in English, where its sentence says it."""
    meaning = of_concerns(code)
    return "" if meaning == code else meaning


def has_particulars(text: str, machine: str, subject: str) -> bool:
    """Tell whether a concern's sentence says more than its kind's meaning, beside the machine that it is about."""
    bare = without_name(machine, text)
    return bool(subject and subject in bare) or _PARTICULAR.search(bare) is not None


def advised(advice: str) -> str:
    """Return what a concern or an error advises in the viewer's language, as far as it is known there."""
    bare = advice.removesuffix(_UNACCEPTABLE)
    bare, has, names = bare.partition(_HAS)
    told = [_known(bare.rstrip()), f"{_('It has:')} {names}" if has else ""]
    if advice.endswith(_UNACCEPTABLE):
        told.append(of_concerns(_UNACCEPTABLE.strip()))
    return " ".join(filter(None, told))


def _known(advice: str) -> str:
    said = of_concerns(advice)
    return _(advice) if said == advice else said
