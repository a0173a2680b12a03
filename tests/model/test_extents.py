"""The arithmetic on extents, against sets of bytes: slow, and obviously right."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from longshore.model.extents import Extent, align, intersect, merge, split, subtract, total

SIZE = 200
extents = st.lists(
    st.builds(Extent, st.integers(0, SIZE), st.integers(0, 40)).filter(lambda extent: extent.end <= SIZE), max_size=12
)
sorted_extents = extents.map(lambda listed: list(merge(listed)))
granules = st.integers(1, 32)


def bytes_of(listed: list[Extent]) -> set[int]:
    return {byte for extent in listed for byte in range(extent.offset, extent.end)}


def is_sorted(listed: list[Extent]) -> bool:
    """Ascending, not overlapping, none empty."""
    return all(extent.length > 0 for extent in listed) and all(one.end <= two.offset for one, two in pairwise(listed))


@given(extents)
def test_merge_keeps_the_bytes_and_leaves_no_two_that_touch(listed):
    merged = list(merge(listed))
    assert bytes_of(merged) == bytes_of(listed)
    assert is_sorted(merged)
    assert all(one.end < two.offset for one, two in pairwise(merged))
    assert total(merged) == len(bytes_of(listed))


@given(extents, st.integers(0, 20))
def test_merge_over_gaps_adds_only_gaps_that_are_small_enough(listed, gap):
    merged = list(merge(listed, gap))
    assert bytes_of(listed) <= bytes_of(merged)
    for hole in subtract(merged, merge(listed)):
        assert hole.length <= gap
    for one, two in pairwise(merged):
        assert two.offset - one.end > gap


@given(sorted_extents, granules)
def test_align_is_the_smallest_whole_granules_that_cover(listed, granule):
    aligned = list(align(listed, granule, SIZE))
    wanted = {
        byte
        for touched in {byte // granule for byte in bytes_of(listed)}
        for byte in range(touched * granule, min((touched + 1) * granule, SIZE))
    }
    assert bytes_of(aligned) == wanted
    assert is_sorted(aligned)


@given(sorted_extents, granules)
def test_split_cuts_at_every_multiple_and_nowhere_else(listed, grid):
    parts = list(split(listed, grid))
    assert is_sorted(parts)
    assert list(merge(parts)) == list(merge(listed))
    assert all(part.offset // grid == (part.end - 1) // grid for part in parts)
    starts = {extent.offset for extent in listed}
    assert all(part.offset in starts or part.offset % grid == 0 for part in parts)


@given(sorted_extents, sorted_extents)
def test_subtract_is_set_difference(listed, without):
    left = list(subtract(listed, without))
    assert is_sorted(left)
    assert bytes_of(left) == bytes_of(listed) - bytes_of(without)


@given(sorted_extents, sorted_extents)
def test_intersect_is_set_intersection(listed, others):
    common = list(intersect(listed, others))
    assert is_sorted(common)
    assert bytes_of(common) == bytes_of(listed) & bytes_of(others)


@given(sorted_extents, sorted_extents, granules)
def test_what_is_split_and_taken_away_and_put_back_is_the_same(listed, without, grid):
    parts = list(split(listed, grid))
    assert list(merge([*subtract(parts, without), *intersect(parts, without)])) == list(merge(listed))
