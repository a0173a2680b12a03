"""What differs between two manifests of a disk, and by the source's account shouldn't."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from longshore.blocks.manifest import Digests, digest_of, hidden
from longshore.model.extents import Extent

BLOCK = 4096
SIZE = 9 * BLOCK + 512  # the last block is short


def digests_of(contents):
    """Of blocks that hold nothing but this byte each; 0: known to be zero."""
    made = Digests(SIZE, BLOCK)
    for block, byte in enumerate(contents):
        extent = made.extent(block)
        if byte:
            made.set(block, digest_of(bytes([byte]) * extent.length))
        else:
            made.set_zero(extent)
    return made


CONTENTS = some.lists(some.integers(0, 2), min_size=10, max_size=10)
TOLD = some.lists(some.builds(Extent, some.integers(0, SIZE - 1), some.integers(1, 2 * BLOCK)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(CONTENTS, CONTENTS, TOLD)
def test_what_is_hidden_differs_and_wasnt_told(before, after, told):
    told = [Extent(extent.offset, min(extent.length, SIZE - extent.offset)) for extent in told]
    found = hidden(digests_of(before), digests_of(after), told)
    blocks = {offset // BLOCK for extent in found for offset in range(extent.offset, extent.end, BLOCK)}
    known = {byte // BLOCK for extent in told for byte in (*range(extent.offset, extent.end, BLOCK), extent.end - 1)}
    assert blocks == {block for block in range(10) if before[block] != after[block]} - known


def test_zeroes_are_zeroes_however_they_are_known():
    written = digests_of([1] * 10)
    written.set(3, digest_of(bytes(BLOCK)))
    assert hidden(written, digests_of([1, 1, 1, 0, 1, 1, 1, 1, 1, 1]), []) == []


def test_manifests_of_different_disks_arent_compared():
    with pytest.raises(ValueError, match="can't be compared"):
        hidden(Digests(SIZE, BLOCK), Digests(SIZE + 1, BLOCK), [])
