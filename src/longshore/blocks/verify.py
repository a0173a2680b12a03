"""Reads the target back, through connections of its own, and compares it with the digests taken while copying.

Where a block is zero, the server's word that the range reads as zeroes is as good as its zeroes would be: both are
its answer to what is there. So holes cost one question and not a read.
"""

import itertools
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import nbd

from longshore.blocks.connections import Connections, CopyLoop, OperationKind, PendingRequest
from longshore.blocks.digester import Digester
from longshore.blocks.endpoints import STATE_ZERO
from longshore.blocks.manifest import Digests, digest_of
from longshore.blocks.meter import Meter
from longshore.blocks.verify_threads import VerifyThreads, Work
from longshore.blocks.window import Window
from longshore.model.extents import Extent, split, subtract, total

QUESTION = 1 << 31  # bytes of zero blocks asked about at once


class Verifier:
    """Compares what it is told to; what differs is in `wrong`."""

    def __init__(
        self, loop: CopyLoop, target: Connections, digests: Digests, digester: Digester, meter: Meter, *, threads: int
    ) -> None:
        self._loop = loop
        self._target = target
        self._digests = digests
        self._digester = digester
        self._window = Window(digests.block_size)
        self._meter = meter
        self._block_size = digests.block_size
        self._active = 0
        self._free: list[memoryview] = []
        self._work: Iterator[Work] = iter(())
        self._size = 0  # bytes of it, as it began
        self._to_do: deque[Work] = deque()  # before the rest of the work
        whole_blocks = digests.block_size <= target.endpoint.maximum_request
        self._threads = threads if whole_blocks else 0
        self._at_work: VerifyThreads | None = None
        self._compared = 0  # bytes that they have compared, as far as the meter knows
        self._exhausted = True
        self.wrong: list[Extent] = []

    def begin(self, blocks: Sequence[Extent], pieces: Sequence[tuple[Extent, bytes]]) -> None:
        """Compare these stretches of whole blocks with the digests, and these pieces with theirs."""
        self._size = total(blocks) + sum(extent.length for extent, _ in pieces)
        self._work = itertools.chain(self._blocks(blocks), pieces)
        self._exhausted = False
        self.wrong = []

    @property
    def finished(self) -> bool:
        return self._exhausted and self._active == 0 and not self._to_do and self._at_work is None

    def fill(self) -> None:
        """Have as many reads in flight as there is room for."""
        if self._at_work is not None:
            self._follow(self._at_work)
        while self._active < self._window.size:
            item = self._next()
            if item is None:
                return
            extent, expected = item
            if expected is None:
                self._ask(extent)
            else:
                self._read(extent, expected)

    def close(self) -> None:
        """Stop reading."""
        if self._at_work is not None:
            self._at_work.stop()

    def _next(self) -> Work | None:
        """Return what the loop itself should do next; None when there is nothing for now, or nothing at all."""
        if self._to_do:
            return self._to_do.popleft()
        if self._at_work is not None:
            return None
        if self._threads > 1 and self._window.near:
            uri = self._target.endpoint.uri
            self._at_work = VerifyThreads(
                self._loop, uri, self._work, size=self._size, most=self._threads, block_size=self._block_size
            )
            self._threads = 0  # when they give up they aren't tried again
            return None
        item = next(self._work, None)
        self._exhausted = item is None
        return item

    def _follow(self, at_work: VerifyThreads) -> None:
        """Take over what the threads have found out."""
        ended = at_work.ended  # before looking at what they left
        compared = at_work.compared
        self._meter.verified += compared - self._compared
        self._compared = compared
        while at_work.left:
            self._to_do.append(at_work.left.popleft())
        if ended:
            self.wrong += at_work.wrong
            self._at_work = None

    def _blocks(self, stretches: Iterable[Extent]) -> Iterator[Work]:
        """Yield blocks with their digests, and runs of zero blocks without."""
        ask = self._target.endpoint.has_extents
        zero_from: int | None = None
        end = 0
        for block in split(stretches, self._block_size):
            number = block.offset // self._block_size
            zero = ask and self._digests.is_zero(number)
            if zero_from is not None and (not zero or block.offset != end or end - zero_from >= QUESTION):
                yield Extent(zero_from, end - zero_from), None
                zero_from = None
            if zero:
                zero_from = block.offset if zero_from is None else zero_from
                end = block.end
                continue
            digest = self._digests.get(number)
            if digest is None:
                raise ValueError(f"block {number} has no digest")
            yield block, digest
        if zero_from is not None:
            yield Extent(zero_from, end - zero_from), None

    def _ask(self, extent: Extent) -> None:
        self._active += 1
        zeroes: list[Extent] = []
        position = extent.offset

        def answered(operation: PendingRequest) -> None:
            nonlocal position
            for length, flags in zip(operation.extents[::2], operation.extents[1::2], strict=True):
                inside = min(length, extent.end - position)
                if flags & STATE_ZERO and inside > 0:
                    zeroes.append(Extent(position, inside))
                position += length
            if position < extent.end:
                send()
                return
            self._active -= 1
            self._meter.verified += sum(zero.length for zero in zeroes)
            self._doubtful(extent, zeroes)

        def send() -> None:
            self._target.submit(PendingRequest(OperationKind.STATUS, position, extent.end - position, answered))

        send()

    def _doubtful(self, extent: Extent, zeroes: list[Extent]) -> None:
        """Check those blocks by reading that should be zero, and of which the server didn't say so."""
        for piece in split(subtract([extent], zeroes), self._block_size):
            self._to_do.append((piece, digest_of(bytes(piece.length))))

    def _read(self, extent: Extent, expected: bytes) -> None:
        self._active += 1
        whole = self._free.pop() if self._free else memoryview(bytearray(self._block_size))
        pending = 0

        def answered(_: PendingRequest) -> None:
            nonlocal pending
            pending -= 1
            if not pending:
                self._digester.digest(whole[: extent.length], known)

        def known(digest: bytes) -> None:
            if digest != expected:
                self.wrong.append(extent)
            self._meter.verified += extent.length
            self._free.append(whole)
            self._active -= 1
            self._window.took(0.0 if self._target.endpoint.computes else time.perf_counter() - began)

        began = time.perf_counter()
        for piece in split([extent], min(self._block_size, self._target.endpoint.maximum_request)):
            pending += 1
            start = piece.offset - extent.offset
            buffer = nbd.Buffer.from_buffer(whole[start : start + piece.length])
            self._target.submit(PendingRequest(OperationKind.READ, piece.offset, piece.length, answered, buffer))
