"""Named tuples without `typing`: of each Python's class bodies."""

import pytest

from longshore.model.records import NamedTuple


class Extent(NamedTuple):
    start: int
    length: int = 1


def test_fields_and_defaults():
    assert Extent(3) == (3, 1)
    assert Extent._fields == ("start", "length")


@pytest.mark.parametrize("told", [{"__annotations__": {"a": int}}, {"__annotate_func__": lambda _format: {"a": int}}])
def test_annotations_that_are_there_or_made_when_asked_for(told):
    (base,) = NamedTuple.__mro_entries__(())
    made = type(base)("Made", (base,), {"__module__": "x", "__qualname__": "Made", **told})
    assert made(5).a == 5
