"""Carries whole blocks to a near server on threads, each of which waits for its own answers.

Where answers come quickly, a loop in Python that hears of every part of an answer is what limits a copy, the more so on
a busy machine, where one thread gets one thread's share. System calls and BLAKE3 let go of the interpreter while they
work: to read, digest and write one block after the other on a few threads costs Python next to nothing (wire.py). So
that the loop doesn't interrupt them for each, it hears of several blocks at once. A block is read by one request and
written by a few (request_size.py), all of which are sent before the first answer is waited for: each wait is a turn of
the processor. Of a far source, where many requests must be on the way, each thread asks for several blocks, and goes on
with whichever comes. Where they have no connection of their own to it, the loop reads, and they digest and write.

Only what is simple is done here: whole blocks, without TLS, on servers that see each other's writes (multi_conn), so
that a flush on any connection covers what was written on these. A thread gives up at its first error and hands its
block back; then the loop does that one and all others, with all its patience.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

from longshore.blocks.block_reader import Block, BlockReader, Memory
from longshore.blocks.checkpoint import CheckpointRecord, Outcome
from longshore.blocks.connections import CopyLoop
from longshore.blocks.endpoints import Endpoint
from longshore.blocks.manifest import DIGEST_SIZE, digest_of
from longshore.blocks.plan import Job
from longshore.blocks.processors import own_processor
from longshore.blocks.wire import RequestRefused, Wire
from longshore.blocks.zeroes import runs
from longshore.errors import CopyError
from longshore.model.extents import Extent
from longshore.model.records import NamedTuple
from longshore.processes.deadline import check as check_deadline

NO_DIGEST = bytes(DIGEST_SIZE)
TOGETHER = 2  # blocks, for storage to which each request is work; Ceph takes no less time with four
_GOODBYE = 1.0  # seconds that threads without work may take to close their connections


class Tally:
    """Counts of what became of a block's bytes, and the seconds that a thread waited for the source and for the
    target."""

    __slots__ = ("reading", "skipped", "writing", "written", "zeroed")

    def __init__(self) -> None:
        self.skipped = self.zeroed = self.written = 0
        self.reading = self.writing = 0.0


class CopiedBlock(NamedTuple):
    """A block that has been dealt with, and how. Bytes, and seconds that a thread had it; of two together half each.

    Those in which it waited for what it had asked for ahead don't count: it went on with others meanwhile.
    """

    job: Job
    record: CheckpointRecord
    request_size: int
    tally: Tally
    seconds: float
    read_into: Memory | None  # what the loop had read it into
    ahead: bool  # it was asked for ahead


def _has_answered(target: Wire) -> bool:
    """Tell whether the server has answered all writes, in whatever way, so that none of them comes after those of the
    loop."""
    try:
        with suppress(RequestRefused):
            target.confirm()
    except OSError:
        return False
    return True


class CopyThreads:
    """`count` threads, each with a connection to the target, and one to the source once it reads, for blocks of at most
    `block_size` bytes.

    `reads`: they are to read at once. `carried` and `left` are called in the loop; `left` with what the loop had read
    the block into, and with whether a connection was lost, and with it perhaps what was written through it.
    """

    def __init__(
        self,
        loop: CopyLoop,
        source: Endpoint,
        target: Endpoint,
        *,
        count: int,
        reads: bool,
        block_size: int,
        maximum_read: int,
        request_size: int,
        carried: Callable[[CopiedBlock], None],
        left: Callable[[Job, Memory | None, bool], None],
    ) -> None:
        self._loop = loop
        self._source = source
        self._target = target
        self._carried = carried
        self._left = left
        self._reads = reads
        self._block_size = block_size
        self.together = 1  # blocks at most that a thread reads and writes by one request
        if target.takes_whole and TOGETHER * block_size <= min(maximum_read, target.maximum_request):
            self.together = TOGETHER
        self._queue: SimpleQueue[Block | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._alive = count
        self._given_up = False
        self.ahead = 1  # blocks that each of them asks for at once; more than one where the source is far
        self.request_size = request_size  # bytes, of the blocks that are begun from now on
        self.count = count
        self.most = 4 * count  # blocks that they have, so that none of them waits for the loop
        self._has = 0
        self._untold: deque[CopiedBlock] = deque()
        runs_on = [own_processor(number, count, self._run) for number in range(count)]
        self._threads = [threading.Thread(target=run, daemon=True) for run in runs_on]
        for thread in self._threads:
            thread.start()

    @property
    def full(self) -> bool:
        return self._has >= self.most

    @property
    def working(self) -> bool:
        """Tell whether the threads take more blocks, once they aren't full."""
        return not self._given_up

    def take(self, job: Job, expected: bytes | None, read_into: Memory | None = None) -> bool:
        """Carry this block, unless its digest is the expected one. False when that is not for them any more.

        What was read already isn't read again.
        """
        with self._lock:
            if self._given_up:
                return False
            self._queue.put(Block(job, expected, read_into))
        self._has += 1
        return True

    def close(self) -> None:
        """Begin nothing new; without work, close all connections: a server may wait for its last client."""
        with self._lock:
            self._given_up = True
        with suppress(Empty):  # of a copy that was cancelled or has failed, nothing more is written
            while True:
                self._queue.get_nowait()
        for _ in self._threads:
            self._queue.put(None)
        end = time.monotonic() + _GOODBYE
        while self._has == 0 and self._threads and time.monotonic() < end:
            self._threads.pop().join(end - time.monotonic())

    def _run(self) -> None:
        try:
            self._work()
        except (CopyError, OSError):
            pass  # the loop will find out what is the matter, and say so
        except BaseException as error:  # noqa: BLE001 - its block is lost, and with it the copy
            self._loop.fail(error)
        self._loop.call_soon(self._tell)
        with self._lock:
            self._given_up = True
            self._alive -= 1
            if not self._alive:
                with suppress(Empty):
                    while True:
                        if block := self._queue.get_nowait():
                            self._hand_back(block, lost=False)

    def _work(self) -> None:
        target = Wire(self._target.uri)
        reader = BlockReader(self._source.uri, self._block_size, self.together)
        try:
            if self._reads:
                reader.connect()
            while taken := self._next(reader):
                self._carry_all(reader, target, taken)
                if len(self._untold) >= self.most // 2 or (self._queue.empty() and not reader.coming):
                    self._loop.call_soon(self._tell)
        except (CopyError, OSError):
            for block in reader.coming.values():
                self._hand_back(block, lost=False)
            reader.close()
            raise
        target.close()
        reader.close()

    def _next(self, reader: BlockReader) -> list[Block]:
        """Return blocks to be carried, read or not; none at the end. Of a far source more are asked for first."""
        if self.ahead == 1 and not reader.coming:
            return self._take()
        with suppress(Empty):
            while len(reader.coming) < self.ahead:
                block = self._queue.get(block=not reader.coming)
                if block is None:  # what is still to come is wanted by nobody
                    return []
                if block.read_into is not None:
                    return [block]
                try:
                    reader.ask(block)
                except (CopyError, OSError):
                    self._hand_back(block, lost=False)
                    raise
        return [reader.arrived()]

    def _carry_all(self, reader: BlockReader, target: Wire, taken: list[Block]) -> None:
        while taken:
            blocks = neighbours(taken)
            try:
                done = self._carry(reader, target, blocks)
            except (CopyError, OSError) as error:
                unwritten = isinstance(error, CopyError) or (
                    isinstance(error, RequestRefused) and _has_answered(target)
                )
                for number, block in enumerate(taken):  # a connection is lost once, not with each block
                    self._hand_back(block, lost=not unwritten and number == 0)
                raise
            del taken[: len(blocks)]
            self._untold += done

    def _take(self) -> list[Block]:
        """Wait for a block, and take as many with it as wait and may go together. Empty at the end."""
        if (block := self._queue.get()) is None:
            return []
        taken = [block]
        with suppress(Empty):
            while len(taken) < self.together:
                if (block := self._queue.get_nowait()) is None:
                    self._queue.put(None)
                    break
                taken.append(block)
        return taken

    def _hand_back(self, block: Block, *, lost: bool) -> None:
        self._loop.call_soon(partial(self._leave, block.job, block.lent, lost))

    def _tell(self) -> None:
        while self._untold:
            self._has -= 1
            self._carried(self._untold.popleft())

    def _leave(self, job: Job, read_into: Memory | None, lost: bool) -> None:
        self._has -= 1
        self._left(job, read_into, lost)

    def _carry(self, reader: BlockReader, target: Wire, blocks: list[Block]) -> list[CopiedBlock]:
        began = time.perf_counter()
        size = self.request_size
        base = blocks[0].job.extent.offset
        whole = Extent(base, sum(block.job.extent.length for block in blocks))
        memory = blocks[0].read_into or reader.read(whole)
        asked_at = blocks[0].asked_at
        reading = time.perf_counter() - began if asked_at is None else began - asked_at
        digests = [digest_of(memory.part(block.job.extent, base)) for block in blocks]
        tallies = [Tally() for _ in blocks]
        unequal = [
            (block.job, tally)
            for block, digest, tally in zip(blocks, digests, tallies, strict=True)
            if digest != block.expected
        ]
        sent = time.perf_counter()
        self._write(target, memory, base, unequal, size * len(blocks))
        ended = time.perf_counter()
        done = []
        for block, digest, tally in zip(blocks, digests, tallies, strict=True):
            extent = block.job.extent
            if digest == block.expected:
                tally.skipped = extent.length
                record = CheckpointRecord(extent, Outcome.SAME, digest)
            elif tally.written:
                record = CheckpointRecord(extent, Outcome.DATA, digest)
            else:
                record = CheckpointRecord(extent, Outcome.HOLE if block.job.target_zero else Outcome.ZERO, NO_DIGEST)
            tally.reading, tally.writing = reading / len(blocks), (ended - sent) / len(blocks)
            seconds = (ended - began) / len(blocks)
            done.append(CopiedBlock(block.job, record, size, tally, seconds, block.lent, ahead=asked_at is not None))
        if asked_at is not None:
            reader.done(memory)
        return done

    def _write(self, target: Wire, memory: Memory, base: int, unequal: list[tuple[Job, Tally]], size: int) -> None:
        """Send what isn't there already, in requests of `size` bytes at most, and wait until it is written.

        `base`: the offset of the disk at which the memory begins.
        """
        size = min(size, self._target.maximum_request)
        requests: list[tuple[Extent, bool]] = []
        for job, tally in unequal:
            for run, zero in runs(memory.buffer, job.extent, base, size):
                if zero and job.target_zero:
                    tally.skipped += run.length
                    continue
                if zero and self._target.can_zero:
                    tally.zeroed += run.length
                else:
                    tally.written += run.length
                requests.append((run, zero and self._target.can_zero))
        for run, zero in joined(requests, size):
            check_deadline()
            if zero:
                target.zero(run.length, run.offset)
            else:
                target.write(memory.part(run, base), run.offset)
        target.confirm()


def neighbours(blocks: list[Block]) -> list[Block]:
    """Return those of the first blocks that lie side by side and are to be read and written: they go together."""
    together = blocks[:1]
    for block in blocks[1:]:
        alike = all(one.expected is None and one.read_into is None for one in (together[-1], block))
        if not alike or block.job.extent.offset != together[-1].job.extent.end:
            break
        together.append(block)
    return together


def joined(requests: list[tuple[Extent, bool]], size: int) -> list[tuple[Extent, bool]]:
    """Join requests of one kind (zero or not) that touch, up to `size` bytes each."""
    whole: list[tuple[Extent, bool]] = []
    for run, zero in requests:
        if whole and whole[-1][1] is zero and whole[-1][0].end == run.offset:
            before = whole[-1][0]
            if before.length + run.length <= size:
                whole[-1] = Extent(before.offset, before.length + run.length), zero
                continue
        whole.append((run, zero))
    return whole
