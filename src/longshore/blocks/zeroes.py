"""The borders of data and zeroes in what was read."""

from collections.abc import Iterator

import nbd

from longshore.model.extents import Extent, split

ZERO_GRANULE = 64 << 10  # bytes; smaller runs of zeroes within data are sent as data


def runs(buffer: nbd.Buffer, wanted: Extent, base: int, largest: int) -> Iterator[tuple[Extent, bool]]:
    """Yield the wanted extent of a buffer that begins at offset `base`, cut where data and runs of zeroes meet.

    Each with whether it is zero. Data is cut too, at multiples of `largest` bytes: the target's largest request.
    """
    start = wanted.offset - base
    end = start + wanted.length
    kinds = [(at, buffer.is_zero(at, min(ZERO_GRANULE, end - at))) for at in range(start, end, ZERO_GRANULE)]
    run_start, run_zero = start, kinds[0][1]
    for at, zero in [*kinds[1:], (end, not kinds[-1][1])]:
        if zero is not run_zero:
            run = Extent(base + run_start, at - run_start)
            for piece in [run] if run_zero else split([run], largest):
                yield piece, run_zero
            run_start, run_zero = at, zero
