"""One pass of blocks from source to target.

Each block goes through the same stations: read from the source (all its pieces at once), digest, write, done. Reads and
writes of many blocks are in flight at the same time, and nothing waits for anything but its own block. What has been
written is kept in mind until the target has been flushed; only then may the checkpoint say it is there. When a
connection to the target is lost before that, or the flush fails, nobody knows what of it has reached the disk, and it
is copied again.

The target is flushed more often than the checkpoint is written: it spreads the work of the disk below, while writing
the checkpoint costs several synchronisations of a local disk.
"""

import time
from collections.abc import Callable
from functools import partial

import nbd

from longshore.blocks.block_reader import Memory
from longshore.blocks.checkpoint import Checkpoint, CheckpointRecord, Outcome
from longshore.blocks.connections import Connections, CopyLoop, OperationKind, PendingRequest
from longshore.blocks.copy_threads import NO_DIGEST, CopiedBlock, CopyThreads
from longshore.blocks.digester import Digester
from longshore.blocks.findings import Findings
from longshore.blocks.limits import CopyLimits
from longshore.blocks.manifest import Digests, digest_of
from longshore.blocks.meter import Meter
from longshore.blocks.plan import Fill, Job, Planner, ZeroJob
from longshore.blocks.request_size import RequestSize
from longshore.blocks.window import BESIDE, Window
from longshore.blocks.zeroes import runs
from longshore.model.extents import Extent, merge, split, subtract

# The target is flushed whenever this part of all that was written isn't, so that its disk works while we copy and
# little is left for the end, of small copies as well as large ones; but not for less, nor for more than so many bytes
UNFLUSHED_PART = 1 / 4
LEAST_UNFLUSHED, MOST_UNFLUSHED = 8 << 20, 64 << 20


class Mover:
    """Copies what a planner hands out."""

    def __init__(
        self,
        loop: CopyLoop,
        source: Connections,
        target: Connections,
        planner: Planner,
        findings: Findings,
        *,
        base: Digests | None,
        compare: bool,
        checkpoint: Checkpoint | None,
        checkpoint_interval: float,
        last: bool,
        limits: CopyLimits,
        digester: Digester,
        maximum_read: int,
        copy_threads: int,
        threads_read: bool,
        begin_early: bool,
        meter: Meter,
    ) -> None:
        self._loop = loop
        self._source = source
        self._target = target
        self._planner = planner
        self._findings = findings
        self._base = base
        self._compare = compare
        self._checkpoint = checkpoint
        self._interval = checkpoint_interval
        self._last = last  # when this pass is finished the checkpoint will be removed
        self._limits = limits
        self._digester = digester
        self._maximum_read = maximum_read
        self._meter = meter
        self._block_size = findings.digests.block_size
        self._zeroes = memoryview(bytearray(self._block_size))
        self._free: list[Memory] = []
        computes = source.endpoint.computes or target.endpoint.computes
        self._window = Window(self._block_size, computes=computes)
        self._writing = Window(self._block_size)  # of what is only written
        self._request_size = RequestSize(self._block_size, takes_whole=target.endpoint.takes_whole)
        self._count = copy_threads if self._block_size <= target.endpoint.maximum_request else 0
        self._threads_read = threads_read and self._block_size <= maximum_read
        self._copy_threads: CopyThreads | None = None
        self._beside = 0  # blocks in flight here, beside those of the copy threads
        self._active = 0  # jobs begun and not done
        self._unflushed_bytes = 0
        self._unflushed: list[CheckpointRecord] = []
        self._flushing: list[CheckpointRecord] = []
        self._flushed: list[CheckpointRecord] = []
        self._wants_record = False
        self._recording = False
        self._recorded_at = time.monotonic()
        self._losses = 0
        self.failure: BaseException | None = None
        target.on_loss = self._target_lost
        if begin_early and self._threads_read:
            self._employ(reads=True)

    # The pass as a whole

    def fill(self) -> None:
        """Begin as many jobs as there is room for."""
        while self._active < self._most and not self._limits.pause():
            job = self._planner.next()
            if job is None:
                break
            self._active += 1
            job.losses = self._losses
            if isinstance(job, ZeroJob):
                self._begin_zero(job)
            else:
                self._begin(job)
        idle = self._planner.exhausted and self._active == 0
        if idle or time.monotonic() - self._recorded_at >= self._interval:
            self.settle()
        elif self._unflushed_bytes >= max(LEAST_UNFLUSHED, min(self._meter.written * UNFLUSHED_PART, MOST_UNFLUSHED)):
            self._flush()

    @property
    def _most(self) -> int:
        """Return the most blocks to have in flight."""
        if (copy_threads := self._at_work) is None:
            return self._window.size
        return copy_threads.most + self._beside

    @property
    def _at_work(self) -> CopyThreads | None:
        """Return the copy threads, unless they have given up, or one side is too far away for them."""
        return self._copy_threads if self._copy_threads and self._copy_threads.working and self._window.near else None

    def close(self) -> None:
        """Let go of the copy threads."""
        if self._copy_threads is not None:
            self._copy_threads.close()

    @property
    def finished(self) -> bool:
        """Everything is on the target, flushed and recorded."""
        return self._planner.exhausted and self._active == 0 and self.settled

    @property
    def settled(self) -> bool:
        """Tell whether nothing of what is done is still to be flushed or recorded."""
        return not (self._unflushed or self._flushing or self._flushed or self._recording)

    def settle(self) -> None:
        """Have all that is done until now flushed and recorded."""
        self._wants_record = True
        self._flush()
        self._record()

    def _flush(self) -> None:
        if self._flushing or not self._unflushed:
            return
        self._flushing, self._unflushed, self._unflushed_bytes = self._unflushed, [], 0
        if self._target.endpoint.can_flush:
            losses = self._losses
            self._target.submit(PendingRequest(OperationKind.FLUSH, 0, 0, lambda _: self._have_flushed(losses)))
        else:
            self._have_flushed(self._losses)

    def _have_flushed(self, losses: int) -> None:
        if losses != self._losses:
            return  # it went through another connection than the writes; _target_lost() has dealt with them
        self._flushed += self._flushing
        self._flushing = []
        if self._wants_record:
            self._record()

    def _record(self) -> None:
        if self._recording or self._flushing or not self._flushed:
            return
        self._wants_record = False
        self._recorded_at = time.monotonic()
        records, self._flushed = self._flushed, []
        if self._checkpoint is not None and not (self._last and self.finished):
            self._recording = True
            self._loop.in_thread(partial(self._checkpoint.append, records), self._have_recorded)

    def _have_recorded(self, outcome: BaseException | None) -> None:
        self._recording = False
        self.failure = self.failure or outcome

    def _target_lost(self) -> None:
        self._losses += 1
        records = self._flushing + self._unflushed
        lost = [record for record in records if record.outcome not in (Outcome.SAME, Outcome.HOLE)]
        self._flushing = []
        self._unflushed = [record for record in records if record.outcome in (Outcome.SAME, Outcome.HOLE)]
        self._meter.done -= sum(record.extent.length for record in lost)
        self._planner.again(list(merge(record.extent for record in lost)))

    def _done(self, job: Job | ZeroJob, records: list[CheckpointRecord]) -> None:
        self._active -= 1
        if job.losses != self._losses and records[0].outcome not in (Outcome.SAME, Outcome.HOLE):
            # Some of its writes may have been answered by the connection that was lost
            self._planner.again([record.extent for record in records])
            return
        for record in records:
            self._findings.remember(record)
        self._unflushed += records
        self._meter.done += job.scope
        self._meter.to_copy = self._planner.data

    # One run of zeroes

    def _begin_zero(self, job: ZeroJob) -> None:
        length = job.extent.length
        to_write = sum(extent.length for extent in job.writes)
        self._meter.zero += length
        self._meter.skipped += length - to_write
        self._meter.zeroed += to_write
        if not job.writes:
            self._done(job, [CheckpointRecord(job.extent, Outcome.HOLE, NO_DIGEST)])
            return

        def step(_: PendingRequest | None = None) -> None:
            job.pending -= 1
            if not job.pending:
                self._done(job, [CheckpointRecord(job.extent, Outcome.ZERO, NO_DIGEST)])

        job.pending += 1  # until all are sent, so that the last answer is the last
        for extent in job.writes:
            self._zero(job, extent, step)
        step()

    def _zero(self, job: Job | ZeroJob, extent: Extent, step: Callable[[PendingRequest], None]) -> None:
        if self._target.endpoint.can_zero:
            job.pending += 1
            self._target.submit(PendingRequest(OperationKind.ZERO, extent.offset, extent.length, step))
            return
        for piece in split([extent], min(self._block_size, self._target.endpoint.maximum_request)):
            job.pending += 1
            buffer = nbd.Buffer.from_buffer(self._zeroes[: piece.length])
            self._target.submit(PendingRequest(OperationKind.WRITE, piece.offset, piece.length, step, buffer))

    # One block

    def _begin(self, job: Job) -> None:
        if not self._carry(job):
            self._begin_here(job)

    def _employ(self, *, reads: bool) -> None:
        """Have copy threads, if there may be any. They connect meanwhile; when they give up they aren't tried again."""
        if self._count > 1 and self._copy_threads is None:
            self._copy_threads = CopyThreads(
                self._loop,
                self._source.endpoint,
                self._target.endpoint,
                count=self._count,
                reads=reads,
                block_size=self._block_size,
                maximum_read=self._maximum_read,
                request_size=self._request_size.length,
                carried=self._have_carried,
                left=self._was_left,
            )

    def _carry(self, job: Job) -> bool:
        """Hand a block to a copy thread, to read it as well. Returns whether one takes it."""
        far = self._window.far and self._may_hand_over
        if not (self._threads_read and (self._window.near or far)):
            return False
        self._employ(reads=True)
        extent = job.extent
        if self._copy_threads is None or job.reads != [extent] or (self._copy_threads.full and not far):
            return False
        self._copy_threads.ahead = max(2, self._window.size // self._copy_threads.count) if far else 1
        if not self._copy_threads.take(job, self._expected(extent)):
            return False
        self._limits.begin()
        self._limits.spend(extent.length)
        self._meter.read += extent.length
        return True

    @property
    def _may_hand_over(self) -> bool:
        """Tell whether copy threads digest and write what comes from far away.

        The loop is one thread, and reads from far away keep it busy. But where the storage sets the pace, it has more
        writes on the way than there are threads.
        """
        return not self._target.endpoint.computes and self._writing.near and not self._writing.is_paced(self._count)

    def _hand_over(self, job: Job, memory: Memory) -> bool:
        """Hand a block that was read here to a copy thread, to digest and write. Returns whether one takes it."""
        if not self._may_hand_over:
            return False
        self._employ(reads=False)
        return self._copy_threads is not None and self._copy_threads.take(job, self._expected(job.extent), memory)

    def _expected(self, extent: Extent) -> bytes | None:
        """Return the digest with which this block needn't be written."""
        return self._base.get(extent.offset // self._block_size) if self._compare and self._base else None

    def _have_carried(self, done: CopiedBlock) -> None:
        job, tally = done.job, done.tally
        if done.read_into is None:
            self._limits.end()
            reading = tally.reading
            if done.ahead:
                self._window.took(self._waited(reading + done.seconds, reading, tally.writing))
                self._writing.took(done.seconds)
            else:
                self._window.note_carried(self._waited(done.seconds, reading, tally.writing))
        else:
            self._free.append(done.read_into)
            reading = job.arrived - job.began
            self._window.took(self._waited(time.perf_counter() - job.began, reading, tally.writing))
            self._writing.took(done.seconds)
        if self._copy_threads is not None:
            paced = self._window.is_paced(self._copy_threads.count + self._beside)
            self._beside = BESIDE if paced and self._copy_threads.together == 1 else 0  # else they have enough
            if tally.written:
                self._request_size.note(done.request_size, reading, tally.writing)
            self._copy_threads.request_size = self._request_size.length
        if done.record.outcome in (Outcome.ZERO, Outcome.HOLE):
            self._meter.zero += done.record.extent.length
        self._meter.skipped += tally.skipped
        self._meter.zeroed += tally.zeroed
        self._meter.written += tally.written
        self._unflushed_bytes += tally.written
        self._done(job, [done.record])

    def _waited(self, seconds: float, reading: float, writing: float) -> float:
        """Return those of a block's seconds in which no side has computed."""
        reading = reading if self._source.endpoint.computes else 0.0
        return seconds - reading - (writing if self._target.endpoint.computes else 0.0)

    def _was_left(self, job: Job, read_into: Memory | None, lost: bool) -> None:
        """Note that a copy thread has met an error. With a connection, all may be lost that nobody has flushed."""
        if read_into is None:
            self._limits.end()
        else:
            self._free.append(read_into)
        if lost:
            self._target_lost()
        job.losses = self._losses
        self._begin_here(job)

    def _begin_here(self, job: Job) -> None:
        memory = self._free.pop() if self._free else Memory(self._block_size)
        job.began, job.request_size = time.perf_counter(), self._request_size.length
        self._limits.begin()
        if job.fill is Fill.TARGET:
            self._read_base(job, memory)
            return
        if job.fill is Fill.ZERO:
            for gap in subtract([job.extent], job.reads):
                start = gap.offset - job.extent.offset
                memory.view[start : start + gap.length] = bytes(gap.length)
        self._read(job, memory)

    def _read(self, job: Job, memory: Memory) -> None:
        def answered(_: PendingRequest) -> None:
            job.pending -= 1
            if not job.pending:
                self._limits.end()
                self._arrived(job, memory)

        for piece in split(job.reads, self._maximum_read):
            job.pending += 1
            self._limits.spend(piece.length)
            self._meter.read += piece.length
            part = memory.part_buffer(piece, job.extent.offset)
            self._source.submit(PendingRequest(OperationKind.READ, piece.offset, piece.length, answered, part))

    def _read_base(self, job: Job, memory: Memory) -> None:
        """Read the block as the target has it, which must be what the base manifest says."""

        def answered(_: PendingRequest) -> None:
            job.pending -= 1
            if job.pending:
                return
            if self._base is not None:
                expected = self._base.get(job.extent.offset // self._block_size)
                if digest_of(memory.view[: job.extent.length]) != expected:
                    # Not what it was: half written by a killed run, or changed by someone. Take all from the source
                    job.reads = [job.extent]
            self._read(job, memory)

        for piece in split([job.extent], min(self._block_size, self._target.endpoint.maximum_request)):
            job.pending += 1
            part = memory.part_buffer(piece, job.extent.offset)
            self._target.submit(PendingRequest(OperationKind.READ, piece.offset, piece.length, answered, part))

    def _arrived(self, job: Job, memory: Memory) -> None:
        """Go on with a block of which all bytes, or those of the pieces that the job is about, are in memory."""
        job.arrived = time.perf_counter()
        extent = job.extent
        if job.fill is Fill.NOTHING and job.reads != [extent]:
            starts = [(piece, piece.offset - extent.offset) for piece in job.reads]
            digests = [digest_of(memory.view[start : start + piece.length]) for piece, start in starts]
            pairs = zip(job.reads, digests, strict=True)
            self._write(job, memory, [CheckpointRecord(piece, Outcome.PIECE, digest) for piece, digest in pairs])
            return
        if job.reads == [extent] and self._hand_over(job, memory):
            return
        expected = self._expected(extent)
        if expected is None:
            self._write(job, memory, None)
            return

        def known(digest: bytes) -> None:
            if digest == expected:
                self._meter.skipped += extent.length
                self._release(job, memory, [CheckpointRecord(extent, Outcome.SAME, digest)])
            else:
                self._write(job, memory, [CheckpointRecord(extent, Outcome.DATA, digest)])

        self._digester.digest(memory.view[: extent.length], known)

    def _write(self, job: Job, memory: Memory, records: list[CheckpointRecord] | None) -> None:
        """Write what isn't there already. Without records yet, take the block's digest meanwhile."""
        extent = job.extent
        wanted = [extent] if job.fill is Fill.ZERO else job.reads
        largest = min(self._target.endpoint.maximum_request, job.request_size)
        parts = [run for part in wanted for run in runs(memory.buffer, part, extent.offset, largest)]

        def step(_: PendingRequest | None = None) -> None:
            job.pending -= 1
            if not job.pending:
                self._release(job, memory, records or [])

        job.pending += 1  # until all are sent, so that the last answer is the last
        if wanted == [extent] and all(zero for _, zero in parts):
            self._meter.zero += extent.length
            outcome = Outcome.HOLE if job.target_zero else Outcome.ZERO
            records = [CheckpointRecord(extent, outcome, NO_DIGEST)]
        elif records is None:

            def known(digest: bytes) -> None:
                nonlocal records
                records = [CheckpointRecord(extent, Outcome.DATA, digest)]
                step()

            job.pending += 1
            self._digester.digest(memory.view[: extent.length], known)
        for piece, zero in parts:
            if zero and job.target_zero:
                self._meter.skipped += piece.length
            elif zero and self._target.endpoint.can_zero:
                self._meter.zeroed += piece.length
                self._zero(job, piece, step)
            else:
                self._meter.written += piece.length
                self._unflushed_bytes += piece.length
                job.pending += 1
                part = memory.part_buffer(piece, extent.offset)
                self._target.submit(PendingRequest(OperationKind.WRITE, piece.offset, piece.length, step, part))
        step()

    def _release(self, job: Job, memory: Memory, records: list[CheckpointRecord]) -> None:
        ended = time.perf_counter()
        reading, writing = job.arrived - job.began, ended - job.arrived
        if records[0].outcome is Outcome.DATA:
            self._writing.took(writing)
        self._window.took(self._waited(ended - job.began, reading, writing))
        if self._at_work is None and job.reads == [job.extent] and records[0].outcome is Outcome.DATA:
            self._request_size.note(job.request_size, reading, writing)
        self._free.append(memory)
        self._done(job, records)
