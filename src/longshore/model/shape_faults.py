"""Faults that pydantic finds in what people have typed, in plain words."""

from collections.abc import Mapping
from typing import Any

_NUMBER, _WHOLE, _TEXT = "it has to be a number", "it has to be a whole number", "it has to be a text"
_LIST, _TABLE = "it has to be a list", "it has to be a table of names and values"
_WORDS = {
    "missing": "it is missing",
    "string_type": _TEXT,
    "string_unicode": "it isn't UTF-8",
    "string_pattern_mismatch": "it has characters that can't be there",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": "it has to be true or false",
    "bool_parsing": "it has to be true or false",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _TABLE,
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "dataclass_type": _TABLE,
    "path_type": "it has to be a path",
    "ip_v4_address": "it has to be an IPv4 address",
    "value_error": "{error}",  # our own words
    "extra_forbidden": "nothing here has that name",
    "literal_error": "it has to be {expected}",
    "enum": "it has to be {expected}",
    "greater_than_equal": "it has to be {ge} at least",
    "greater_than": "it has to be more than {gt}",
    "less_than_equal": "it has to be {le} at most",
    "less_than": "it has to be less than {lt}",
    "string_too_long": "it has more than {max_length} characters",
    "too_long": "it has more than {max_length} entries",
}


def in_words(fault: Mapping[str, Any]) -> str:
    """Return what is wrong with a field, as the end of a sentence without its full stop. What stands in the field is no
    part of it, since that may be a secret."""
    context = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in (fault.get("ctx") or {}).items()
    }
    if fault["type"] in ("string_too_short", "too_short") and context["min_length"] == 1:
        return "it is empty"
    said = _WORDS.get(fault["type"])
    return said.format(**context) if said is not None else str(fault["msg"])
