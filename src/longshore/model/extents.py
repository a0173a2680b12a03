"""Byte ranges of a disk and the arithmetic on them.

Functions that take "sorted" extents want them ascending and not overlapping (touching is fine), and answer the same.
They are generators where they can be: a large disk may have millions of extents.
"""

from collections.abc import Iterable, Iterator

from longshore.model.records import NamedTuple


class Extent(NamedTuple):
    """`length` bytes from `offset` on."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """Return the first byte after the extent."""
        return self.offset + self.length


def total(extents: Iterable[Extent]) -> int:
    """Return the bytes in all of them; what overlaps is counted twice."""
    return sum(extent.length for extent in extents)


def merge(extents: Iterable[Extent], gap: int = 0) -> Iterator[Extent]:
    """Yield the same bytes as sorted extents, from extents in any order that may overlap.

    Neighbours at most `gap` bytes apart become one (with the bytes between them); empty extents vanish.
    """
    start = end = -1
    for extent in sorted(extents):
        if extent.length <= 0:
            continue
        if start >= 0 and extent.offset <= end + gap:
            end = max(end, extent.end)
            continue
        if start >= 0:
            yield Extent(start, end - start)
        start, end = extent.offset, extent.end
    if start >= 0:
        yield Extent(start, end - start)


def align(extents: Iterable[Extent], granule: int, size: int) -> Iterator[Extent]:
    """Yield sorted extents widened to multiples of `granule`, but never past `size`, and merged where they then
    meet."""
    start = end = -1
    for extent in extents:
        lower = extent.offset // granule * granule
        upper = min(-(-extent.end // granule) * granule, size)
        if upper <= lower:
            continue
        if lower <= end:
            end = max(end, upper)
            continue
        if start >= 0:
            yield Extent(start, end - start)
        start, end = lower, upper
    if start >= 0:
        yield Extent(start, end - start)


def split(extents: Iterable[Extent], grid: int) -> Iterator[Extent]:
    """Yield the same extents, cut at every multiple of `grid`."""
    for extent in extents:
        offset = extent.offset
        while offset < extent.end:
            cut = min((offset // grid + 1) * grid, extent.end)
            yield Extent(offset, cut - offset)
            offset = cut


def subtract(extents: Iterable[Extent], without: Iterable[Extent]) -> Iterator[Extent]:
    """Yield what of the first sorted extents isn't in the second ones."""
    holes = iter(without)
    hole = next(holes, None)
    for extent in extents:
        offset = extent.offset
        while hole is not None and hole.end <= offset:
            hole = next(holes, None)
        while hole is not None and hole.offset < extent.end:
            if hole.offset > offset:
                yield Extent(offset, hole.offset - offset)
            offset = hole.end
            if hole.end > extent.end:
                break
            hole = next(holes, None)
        if offset < extent.end:
            yield Extent(offset, extent.end - offset)


def intersect(extents: Iterable[Extent], others: Iterable[Extent]) -> Iterator[Extent]:
    """Yield what is in both of two lists of sorted extents."""
    first, second = iter(extents), iter(others)
    one, two = next(first, None), next(second, None)
    while one is not None and two is not None:
        lower, upper = max(one.offset, two.offset), min(one.end, two.end)
        if lower < upper:
            yield Extent(lower, upper - lower)
        if one.end <= two.end:
            one = next(first, None)
        else:
            two = next(second, None)
