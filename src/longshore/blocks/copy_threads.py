"""Carries whole blocks to a near server on threads, each of which waits for its own answers.

Where answers come quickly, a loop in Python that hears of every part of an answer is what limits a copy, the more so on
a busy machine, where one thread gets one thread's share. System calls and BLAKE3 let go of the interpreter while they
work: to read, digest and write one block after the other on a few threads costs Python next to nothing (wire.py). So
that the loop doesn't interrupt them for each, it hears of several blocks at once. A block is read by one request and
written by a few (request_size.py), all of which are sent before the first answer is waited for: each wait is a turn of
the processor. From a near source a thread reads by itself; of a far one, where many requests must be on the way, the
loop reads, and the threads digest and write.

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

import nbd

from longshore.blocks.checkpoint import Outcome, Record
from longshore.blocks.connections import Loop
from longshore.blocks.endpoints import Endpoint
from longshore.blocks.manifest import DIGEST_SIZE, digest_of
from longshore.blocks.plan import Job
from longshore.blocks.processors import own_processor
from longshore.blocks.wire import Refused, Wire
from longshore.blocks.zeroes import runs
from longshore.errors import CopyError
from longshore.model.extents import Extent
from longshore.model.records import NamedTuple
from longshore.processes.deadline import check as check_deadline

NO_DIGEST = bytes(DIGEST_SIZE)
_GOODBYE = 1.0  # seconds that threads without work may take to close their connections


class Tally:
    """What became of a block's bytes, and the seconds that a thread waited for the source and for the target."""

    __slots__ = ("reading", "skipped", "writing", "written", "zeroed")

    def __init__(self) -> None:
        self.skipped = self.zeroed = self.written = 0
        self.reading = self.writing = 0.0


class Memory:
    """Memory for one block, used again and again, as Python and as libnbd see it."""

    __slots__ = ("_content", "buffer", "view")

    def __init__(self, size: int) -> None:
        self._content = bytearray(size)
        self.view = memoryview(self._content)
        self.buffer = nbd.Buffer.from_buffer(self._content)

    def part(self, extent: Extent, base: int) -> memoryview:
        """Where the extent lies, when the memory begins at offset `base` of the disk."""
        return self.view[extent.offset - base : extent.end - base]

    def part_buffer(self, extent: Extent, base: int) -> nbd.Buffer:
        """The same for libnbd."""
        if extent.offset == base and extent.length == len(self.view):
            return self.buffer
        return nbd.Buffer.from_buffer(self.part(extent, base))


class Carried(NamedTuple):
    """A block that has been dealt with, and how. Bytes, and seconds that a thread had it."""

    job: Job
    record: Record
    request_size: int
    tally: Tally
    seconds: float
    read_into: Memory | None  # what the loop had read it into


def _has_answered(target: Wire) -> bool:
    """Whether the server has answered all writes, however, so that none of them comes after those of the loop."""
    try:
        with suppress(Refused):
            target.confirm()
    except OSError:
        return False
    return True


class _Reader:
    """A thread's connection to the source, and memory for what comes from there; both once they are needed."""

    def __init__(self, uri: str, block_size: int) -> None:
        self._uri = uri
        self._block_size = block_size
        self._wire: Wire | None = None

    def connect(self) -> Wire:
        """Connect, if it isn't. Raises CopyError when the source can't be reached or refuses."""
        if self._wire is None:
            self._wire = Wire(self._uri)
            self._memory = Memory(self._block_size)
        return self._wire

    def read(self, extent: Extent, tally: Tally) -> Memory:
        """What the source has there, in memory that the next read uses again."""
        wire = self.connect()
        asked = time.perf_counter()
        wire.read(self._memory.part(extent, extent.offset), extent.offset)
        tally.reading = time.perf_counter() - asked
        return self._memory

    def close(self) -> None:
        """Say goodbye."""
        if self._wire is not None:
            self._wire.close()


class CopyThreads:
    """`count` threads, each with a connection to the target, and one to the source once it reads, for blocks of at most
    `block_size` bytes.

    `reads`: they are to read at once. `carried` and `left` are called in the loop; `left` with what the loop had read
    the block into, and with whether a connection was lost, and with it perhaps what was written through it.
    """

    def __init__(
        self,
        loop: Loop,
        source: Endpoint,
        target: Endpoint,
        *,
        count: int,
        reads: bool,
        block_size: int,
        request_size: int,
        carried: Callable[[Carried], None],
        left: Callable[[Job, Memory | None, bool], None],
    ) -> None:
        self._loop = loop
        self._source = source
        self._target = target
        self._carried = carried
        self._left = left
        self._reads = reads
        self._block_size = block_size
        self._queue: SimpleQueue[tuple[Job, bytes | None, Memory | None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._alive = count
        self._given_up = False
        self.request_size = request_size  # bytes, of the blocks that are begun from now on
        self.count = count
        self.most = 4 * count  # blocks that they have, so that none of them waits for the loop
        self._has = 0
        self._untold: deque[Carried] = deque()
        runs_on = [own_processor(number, count, self._run) for number in range(count)]
        self._threads = [threading.Thread(target=run, daemon=True) for run in runs_on]
        for thread in self._threads:
            thread.start()

    @property
    def full(self) -> bool:
        return self._has >= self.most

    @property
    def working(self) -> bool:
        """Whether they take more blocks, once they aren't full."""
        return not self._given_up

    def take(self, job: Job, expected: bytes | None, read_into: Memory | None = None) -> bool:
        """Carry this block, unless its digest is the expected one. False when that is not for them any more.

        What was read already isn't read again.
        """
        with self._lock:
            if self._given_up:
                return False
            self._queue.put((job, expected, read_into))
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
                        if item := self._queue.get_nowait():
                            job, _, read_into = item
                            self._hand_back(job, read_into, lost=False)

    def _work(self) -> None:
        target = Wire(self._target.uri)
        reader = _Reader(self._source.uri, self._block_size)
        if self._reads:
            reader.connect()
        while (item := self._queue.get()) is not None:
            job, expected, read_into = item
            try:
                done = self._carry(reader, target, job, expected, read_into)
            except (CopyError, OSError) as error:
                unwritten = isinstance(error, CopyError) or (isinstance(error, Refused) and _has_answered(target))
                self._hand_back(job, read_into, lost=not unwritten)
                raise
            self._untold.append(done)
            if len(self._untold) >= self.most // 2 or self._queue.empty():
                self._loop.call_soon(self._tell)
        target.close()
        reader.close()

    def _hand_back(self, job: Job, read_into: Memory | None, *, lost: bool) -> None:
        self._loop.call_soon(partial(self._leave, job, read_into, lost))

    def _tell(self) -> None:
        while self._untold:
            self._has -= 1
            self._carried(self._untold.popleft())

    def _leave(self, job: Job, read_into: Memory | None, lost: bool) -> None:
        self._has -= 1
        self._left(job, read_into, lost)

    def _carry(
        self, reader: _Reader, target: Wire, job: Job, expected: bytes | None, read_into: Memory | None
    ) -> Carried:
        began = time.perf_counter()
        extent, size = job.extent, self.request_size
        tally = Tally()
        memory = read_into or reader.read(extent, tally)
        digest = digest_of(memory.part(extent, extent.offset))
        if digest == expected:
            tally.skipped = extent.length
            record = Record(extent, Outcome.SAME, digest)
        else:
            self._write(target, memory, job, size, tally)
            if tally.written:
                record = Record(extent, Outcome.DATA, digest)
            else:
                record = Record(extent, Outcome.HOLE if job.target_zero else Outcome.ZERO, NO_DIGEST)
        return Carried(job, record, size, tally, time.perf_counter() - began, read_into)

    def _write(self, target: Wire, memory: Memory, job: Job, size: int, tally: Tally) -> None:
        """Send what isn't there already, in requests of `size` bytes at most, and wait until it is written."""
        began = time.perf_counter()
        for run, zero in runs(memory.buffer, job.extent, job.extent.offset, min(size, self._target.maximum_request)):
            check_deadline()
            if not zero or not (job.target_zero or self._target.can_zero):
                target.write(memory.part(run, job.extent.offset), run.offset)
                tally.written += run.length
            elif job.target_zero:
                tally.skipped += run.length
            else:
                target.zero(run.length, run.offset)
                tally.zeroed += run.length
        target.confirm()
        tally.writing = time.perf_counter() - began
