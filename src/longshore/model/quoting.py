"""Quotes: what somebody has written, in the sentence that refuses it, however long or odd it is."""

from reprlib import Repr

_QUOTED = Repr()
_QUOTED.maxstring = _QUOTED.maxother = 100  # characters; of what is longer, both ends


def quote(written: object) -> str:
    return _QUOTED.repr(written)
