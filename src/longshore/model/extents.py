"""Byte ranges of a disk and the arithmetic on them."""

from typing import NamedTuple


class Extent(NamedTuple):
    """`length` bytes from `offset` on."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The first byte after the extent."""
        return self.offset + self.length
