"""The plan of what has to be done, block by block, worked out while the copy runs.

The scope (what is to be made equal on the target) comes as sorted extents. Long ones are mapped first: the source is
asked where it holds data and the target where it is zero already, a few gigabytes ahead of the copy, so that holes are
neither read nor written. Scattered short ones are not worth a question each and are simply copied.

The unit of work is a block of the digests' size, on their grid; or a run of blocks that only have to be zero.
"""

import bisect
import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from enum import Enum, auto

from longshore.blocks.connections import Connections, OperationKind, PendingRequest
from longshore.blocks.endpoints import STATE_ZERO
from longshore.model.extents import Extent, align, merge, split, subtract

STRETCH = 1 << 31  # bytes of disk mapped at a time: what one question may ask about
STRETCHES_AHEAD = 4
WORTH_MAPPING = 16 << 20  # bytes; shorter changed extents are copied without asking what is in them
ZERO_RUN = 128 << 20  # bytes zeroed by one job, so that progress is seen and checkpoints cover it


class Fill(Enum):
    """The source of those bytes of a block that the job doesn't read."""

    NOTHING = auto()  # the job is about its extents only, not about the block
    ZERO = auto()  # the source says that they are zero
    TARGET = auto()  # they haven't changed: the target has them


class Job:
    """One block to copy."""

    __slots__ = ("arrived", "began", "extent", "fill", "losses", "pending", "reads", "request_size", "target_zero")

    def __init__(self, extent: Extent, reads: list[Extent], fill: Fill, *, target_zero: bool) -> None:
        self.extent = extent
        self.reads = reads  # and, unless fill is ZERO, what will be written
        self.fill = fill
        self.target_zero = target_zero  # the target is zero all over `extent`
        self.pending = 0  # operations in flight
        self.losses = 0  # connections to the target that had been lost when it was begun
        self.began = self.arrived = 0.0  # seconds on the performance counter; and when all of it was read
        self.request_size = 0  # bytes that a write to the target has at most, once it has begun

    @property
    def scope(self) -> int:
        """Return the bytes of the plan's scope that this job deals with."""
        return self.extent.length if self.fill is Fill.ZERO else sum(read.length for read in self.reads)


class ZeroJob:
    """A run of blocks that are zero on the source. `writes` are those parts that aren't on the target."""

    __slots__ = ("extent", "losses", "pending", "writes")

    def __init__(self, extent: Extent, writes: list[Extent]) -> None:
        self.extent = extent
        self.writes = writes
        self.pending = 0
        self.losses = 0

    @property
    def scope(self) -> int:
        """Return the bytes of the plan's scope that this job deals with."""
        return self.extent.length


class _Stretch:
    """A stretch of whole blocks that is being mapped, or, with `pieces`, one block that needs no map."""

    __slots__ = ("extent", "pieces", "source", "target", "waiting")

    def __init__(self, extent: Extent, pieces: list[Extent] | None) -> None:
        self.extent = extent
        self.pieces = pieces
        self.source: list[tuple[Extent, bool]] = []  # extent, is zero
        self.target: list[tuple[Extent, bool]] = []
        self.waiting = 0


class Planner:
    """Hands out the jobs of one pass over a scope, in the order of the disk."""

    def __init__(
        self,
        source: Connections,
        target: Connections,
        scope: Iterable[Extent],
        *,
        block_size: int,
        size: int,
        merge_gap: int,
        partial_fill: Fill,
        worth_mapping: int = WORTH_MAPPING,
    ) -> None:
        self._source = source
        self._target = target
        self._block_size = block_size
        self._size = size
        self._merge_gap = merge_gap
        self._partial_fill = partial_fill
        self._worth_mapping = worth_mapping
        self._stretches = self._cut(scope)
        self._ahead: deque[_Stretch] = deque()
        self._jobs: Iterator[Job | ZeroJob] = iter(())
        self._mapping = 0
        self._no_more_stretches = False
        self.exhausted = False
        self.data = 0  # bytes in jobs handed out or mapped that have to be read

    def again(self, scope: Iterable[Extent]) -> None:
        """Hand these out once more, after all others: what was written there may be lost."""
        self._stretches = itertools.chain(self._stretches, self._cut(scope))
        self._no_more_stretches = self.exhausted = False

    def next(self) -> Job | ZeroJob | None:
        """Return a job; None when there is none yet, or when all have been handed out (`exhausted`)."""
        while True:
            job = next(self._jobs, None)
            if job is not None:
                return job
            self._look_ahead()
            if not self._ahead:
                self.exhausted = True
                return None
            if self._ahead[0].waiting:
                return None
            self._jobs = self._work(self._ahead.popleft())

    def _look_ahead(self) -> None:
        while self._mapping < STRETCHES_AHEAD and not self._no_more_stretches and len(self._ahead) < 256:
            stretch = next(self._stretches, None)
            if stretch is None:
                self._no_more_stretches = True
                return
            self._ahead.append(stretch)
            if stretch.pieces is None:
                self._map(stretch)

    def _cut(self, scope: Iterable[Extent]) -> Iterator[_Stretch]:
        """Yield windows to map, and the single blocks between them."""
        scattered: list[Extent] = []
        for extent in split(scope, STRETCH):
            lower = -(-extent.offset // self._block_size) * self._block_size
            upper = extent.end if extent.end == self._size else extent.end // self._block_size * self._block_size
            if upper - lower < self._worth_mapping or upper <= lower:
                scattered.append(extent)
                if len(scattered) < 1024:
                    continue
                # Extents of one block stay together: the last block's wait for the next round
                last = scattered[-1].offset // self._block_size
                ready = [piece for piece in scattered if piece.end <= last * self._block_size]
                scattered = scattered[len(ready) :]
                yield from self._blocks(ready)
                continue
            if extent.offset < lower:
                scattered.append(Extent(extent.offset, lower - extent.offset))
            yield from self._blocks(scattered)
            scattered = [Extent(upper, extent.end - upper)] if upper < extent.end else []
            yield _Stretch(Extent(lower, upper - lower), None)
        yield from self._blocks(scattered)

    def _blocks(self, extents: list[Extent]) -> Iterator[_Stretch]:
        for number, pieces in self._by_block(extents):
            yield _Stretch(self._block(number), pieces)

    def _by_block(self, extents: Iterable[Extent]) -> Iterator[tuple[int, list[Extent]]]:
        pieces = split(extents, self._block_size)
        for number, group in itertools.groupby(pieces, lambda piece: piece.offset // self._block_size):
            yield number, list(group)

    def _block(self, number: int) -> Extent:
        offset = number * self._block_size
        return Extent(offset, min(self._block_size, self._size - offset))

    def _map(self, stretch: _Stretch) -> None:
        self._mapping += 1
        for side, found in ((self._source, stretch.source), (self._target, stretch.target)):
            if side.endpoint.has_extents:
                stretch.waiting += 1
                self._ask(stretch, side, found, stretch.extent.offset)
        if not self._source.endpoint.has_extents:
            stretch.source.append((stretch.extent, False))
        if not stretch.waiting:
            self._mapping -= 1

    def _ask(self, stretch: _Stretch, side: Connections, found: list[tuple[Extent, bool]], offset: int) -> None:
        end = stretch.extent.end

        def answered(operation: PendingRequest) -> None:
            position = offset
            for length, flags in zip(operation.extents[::2], operation.extents[1::2], strict=True):
                found.append((Extent(position, min(length, end - position)), bool(flags & STATE_ZERO)))
                position += length
                if position >= end:
                    break
            if position < end:
                self._ask(stretch, side, found, position)
                return
            stretch.waiting -= 1
            if not stretch.waiting:
                self._mapping -= 1

        side.submit(PendingRequest(OperationKind.STATUS, offset, end - offset, answered))

    def _work(self, stretch: _Stretch) -> Iterator[Job | ZeroJob]:
        if stretch.pieces is not None:
            self.data += sum(piece.length for piece in stretch.pieces)
            whole = stretch.pieces == [stretch.extent]
            fill = Fill.NOTHING if whole else self._partial_fill
            yield Job(stretch.extent, stretch.pieces, fill, target_zero=False)
            return
        data = list(merge((extent for extent, zero in stretch.source if not zero), self._merge_gap))
        zero_already = list(merge(extent for extent, zero in stretch.target if zero))
        blocks = list(align(data, self._block_size, self._size))
        holes = subtract([stretch.extent], blocks)
        self.data += sum(extent.length for extent in data)
        # In the order of the disk: sequential for both sides
        both: list[Iterator[Job | ZeroJob]] = [
            self._data_jobs(data, zero_already),
            self._zero_jobs(holes, zero_already),
        ]
        yield from heapq.merge(*both, key=lambda job: job.extent.offset)

    def _data_jobs(self, data: list[Extent], zero_already: list[Extent]) -> Iterator[Job]:
        zeroes = iter(zero_already)
        zero = next(zeroes, None)
        for number, reads in self._by_block(data):
            block = self._block(number)
            while zero is not None and zero.end < block.end:
                zero = next(zeroes, None)
            target_zero = zero is not None and zero.offset <= block.offset
            fill = Fill.NOTHING if reads == [block] else Fill.ZERO
            yield Job(block, reads, fill, target_zero=target_zero)

    def _zero_jobs(self, holes: Iterator[Extent], zero_already: list[Extent]) -> Iterator[ZeroJob]:
        for run in split(holes, ZERO_RUN):
            first = bisect.bisect_left(zero_already, run.offset, key=lambda extent: extent.end)
            yield ZeroJob(run, list(subtract([run], itertools.islice(zero_already, first, None))))
