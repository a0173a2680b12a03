"""Sentences that say in plain words why a field is refused."""

from collections.abc import Mapping
from typing import Any

from longshore.api.channels import ADDRESS
from longshore.api.schemas import ONE_LINE
from longshore.model.plan import NAME
from longshore.model.shape_faults import in_words

_NAMES = "A name has a to z, 0 to 9, dots, dashes and underscores, 100 at most, and begins with a letter or digit."
_PATTERNS = {  # by which texts are judged, and what those have that they take; of these a name alone tells its field
    ADDRESS: "write it as ann@example.org.",
    ONE_LINE: "it has to be on one line, without tabs and other control characters.",
}


def sentence_of(fault: Mapping[str, Any], field: str) -> str:
    """Return a sentence about a fault that pydantic has found in a field: never what stands there, since that may be a
    secret."""
    if fault["type"] == "string_pattern_mismatch":
        pattern = fault["ctx"]["pattern"]
        if pattern == NAME:
            return _NAMES
        if pattern in _PATTERNS:
            return f"{field}: {_PATTERNS[pattern]}"
    return f"{field or 'body'}: {in_words(fault)}."
