"""Ranges in which two manifests of a disk differ although the source reported no change there."""

from collections.abc import Iterable, Iterator

from longshore.blocks.manifest import Digests
from longshore.model.extents import Extent, align, merge, subtract


def hidden(before: Digests, after: Digests, told: Iterable[Extent]) -> list[Extent]:
    """Return whole blocks that differ, and of which no byte is among those that were `told` to have changed.

    Raises ValueError for manifests of different disks, or in blocks of different sizes.
    """
    if (before.size, before.block_size) != (after.size, after.block_size):
        raise ValueError("these manifests can't be compared")
    known = align(merge(told), after.block_size, after.size)
    return list(merge(subtract(_differing(before, after), list(known))))


def _differing(before: Digests, after: Digests) -> Iterator[Extent]:
    """Yield the blocks that differ, in their order."""
    for block in range(after.blocks):
        if before.get(block) != after.get(block):
            yield after.extent(block)
