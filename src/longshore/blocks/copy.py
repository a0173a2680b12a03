"""Copies one disk from one NBD export to another: the whole of it, what changed, or what differs.

How it works. One thread runs one poll loop over several connections to either side (connections.py). A planner
(plan.py) asks where there is data and hands out blocks; a mover (mover.py) takes each block through read, digest and
write, many at a time, and to a near target leaves most of that to threads (copy_threads.py); after each flush of the
target the checkpoint (checkpoint.py) learns what is safe. Where a copy that brings a target up to date is about
to write is noted first (dirty.py). At the end a verifier (verify.py) reads the target back, where it is near on threads
(verify_threads.py), and compares it with the digests; what is wrong is copied once more. Then the digests become the
disk's manifest (manifest.py).

Python touches no byte: reading, writing, digests and the search for zeroes are all done in C, a block at a time, and
the buffers a block is read into are the ones it is written from.

A copy is the only one in its process (process.py starts it): it can be killed at any moment, and goes on from its
checkpoint.
"""

import os
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import nbd

from longshore.blocks.checkpoint import Checkpoint, Identity
from longshore.blocks.connections import Connections, CopyLoop
from longshore.blocks.digester import Digester
from longshore.blocks.dirty import Dirty
from longshore.blocks.endpoints import connect
from longshore.blocks.findings import Findings
from longshore.blocks.limits import CopyLimits
from longshore.blocks.manifest import Digests, digest_of, read_manifest, write_manifest
from longshore.blocks.meter import Meter
from longshore.blocks.mover import Mover
from longshore.blocks.plan import WORTH_MAPPING, Fill, Planner
from longshore.blocks.processors import copiers
from longshore.blocks.request import CopyProgress, CopyRequest, CopyResult, Phase
from longshore.blocks.request_check import check_request
from longshore.blocks.window import FAR_FROM
from longshore.errors import Cancelled, CopyError, InvalidInput, VerificationError
from longshore.model.extents import Extent, align, merge, subtract, total
from longshore.model.verify import Verify

SETTLE_TIME = 0.7  # seconds a cancelled or failed copy may take to flush and record what it has done
CARRY_FROM = 8  # blocks, from which on it is worth the threads' connections


class Copy:
    """One copy. `run()` does it; `cancel()`, from a signal handler or another thread, ends it within a second."""

    def __init__(self, request: CopyRequest, report: Callable[[CopyProgress], None]) -> None:
        self._request = request
        self._meter = Meter(report)
        self._loop = CopyLoop()
        self._digester = Digester(self._loop)
        self._cancelled = False
        self._near = False  # as it seems: both sides were connected to at once

    def cancel(self) -> None:
        self._loop.call_soon(self._cancel)

    def _cancel(self) -> None:
        self._cancelled = True

    def run(self) -> CopyResult:
        """Copy and verify. Raises CopyError and its kin, InvalidInput, Cancelled."""
        began = time.monotonic()
        request = self._request
        check_request(request)
        with ExitStack() as stack:
            stack.callback(self._loop.close)
            stack.callback(self._digester.close)
            base, base_root = self._base()
            source, target = self._connect(stack, ("source", request.source_uri), ("target", request.target_uri))
            self._near = time.monotonic() - began < FAR_FROM
            self._check_source(source.endpoint.size, base)
            self._check_target(target, source.endpoint.size)
            dirty = self._dirty(base, base_root)
            granule = max(source.endpoint.minimum_block, target.endpoint.minimum_block)
            scope, scope_name = self._scope(source.endpoint.size, granule, base)
            checkpoint = self._open_checkpoint(stack, source.endpoint.size, scope_name, base_root)
            source.widen(_connections(source, request.connections))
            target.widen(_connections(target, request.connections))

            updating = base is not None and request.changes is not None
            digests = base.copy() if base and updating else Digests(source.endpoint.size, request.block_size)
            findings = Findings(digests)
            self._meter.total = total(scope)
            if dirty is not None:
                dirty.declare(scope)
            scope = self._resume(scope, checkpoint, findings, dirty)
            self._move(source, target, scope, findings, base=base, checkpoint=checkpoint)
            repaired: list[Extent] = []
            if request.verify is not Verify.NONE:
                repaired = self._verify(stack, source, target, findings)
        root = self._write_manifest(digests)
        if dirty is not None and request.verify is not Verify.NONE:
            dirty.settle(request.manifest if root else None, findings.written())
        if checkpoint is not None and request.source_identity is None:
            checkpoint.remove()  # it doesn't say of which moment it is: the next copy must not trust it
        meter = self._meter
        return CopyResult(
            bytes_read=meter.read,
            bytes_written=meter.written,
            bytes_zeroed=meter.zeroed,
            bytes_skipped=meter.skipped,
            bytes_resumed=meter.resumed,
            bytes_verified=meter.verified,
            verify=request.verify,
            repaired=tuple(repaired),
            seconds=time.monotonic() - began,
            root_digest=root,
        )

    def _connect(self, stack: ExitStack, *ends: tuple[str, str]) -> list[Connections]:
        """Connect to each (role, URI), at once; when several fail, the first of them is complained about.

        On threads: a host that doesn't answer must not keep a cancelled copy from ending.
        """
        outcomes: dict[int, nbd.NBD | BaseException] = {}
        for number, (_, uri) in enumerate(ends):
            self._loop.in_thread(partial(connect, uri, extents=True), partial(outcomes.__setitem__, number))
        connected = []
        for number, (role, uri) in enumerate(ends):
            while number not in outcomes:
                self._loop.turn(0.2)
                self._check()
            outcome = outcomes[number]
            if isinstance(outcome, BaseException):
                raise outcome
            request = self._request
            side = Connections(self._loop, uri, outcome, role=role, disk=request.disk, retry_for=request.retry_for)
            stack.callback(side.close)
            connected.append(side)
        return connected

    def _base(self) -> tuple[Digests | None, str]:
        request = self._request
        if request.base_manifest is None:
            if request.changes is not None and request.manifest is not None:
                raise InvalidInput(
                    "A manifest of the whole disk can't be made from a list of changes alone.",
                    advice="Give the manifest of what the target holds now as the base manifest.",
                )
            if request.changes is not None and request.verify is Verify.FULL:
                raise InvalidInput(
                    "The whole disk can't be verified after copying a list of changes alone.",
                    advice="Give the manifest of what the target holds now as the base manifest, "
                    "or verify what is written.",
                )
            return None, ""
        base, root = read_manifest(request.base_manifest)
        if base.block_size != request.block_size:
            raise InvalidInput(
                f"The base manifest has blocks of {base.block_size} bytes, but {request.block_size} were asked for.",
                advice="Ask for the same block size.",
            )
        return base, root

    def _check_source(self, size: int, base: Digests | None) -> None:
        request = self._request
        if base is not None and base.size != size:
            raise InvalidInput(
                f"The base manifest describes a disk of {base.size} bytes, but {request.disk} has {size}.",
                advice="Copy the whole disk, without a base manifest.",
            )
        if request.changes and max(extent.end for extent in request.changes) > size:
            raise InvalidInput(f"The list of changes goes past the end of {request.disk}, which has {size} bytes.")

    def _check_target(self, target: Connections, size: int) -> None:
        disk = self._request.disk
        if target.endpoint.read_only:
            raise CopyError(f"The target of {disk} is read-only.", code="target-read-only")
        if target.endpoint.size < size:
            raise InvalidInput(
                f"The target of {disk} is too small: it has {target.endpoint.size} bytes, the source {size}.",
                advice="Nothing was written. Make the target at least as large as the source.",
                code="target-too-small",
            )

    def _dirty(self, base: Digests | None, base_root: str) -> Dirty | None:
        """Open the list of ranges where the target may differ from the base, which from here on says nothing of
        them."""
        request = self._request
        if base is None or request.base_manifest is None:
            return None
        resumes = request.checkpoint is not None and os.path.exists(request.checkpoint)
        dirty = Dirty(
            request.base_manifest,
            base_root,
            request.source_identity or request.source_uri,
            same=request.source_identity is not None or resumes,
        )
        base.forget(dirty.earlier)
        return dirty

    def _scope(self, size: int, granule: int, base: Digests | None) -> tuple[list[Extent], str]:
        """Return what is to be made equal on the target, and a name for it that a checkpoint can hold."""
        request = self._request
        if request.changes is None:
            return [Extent(0, size)] if size else [], "all"
        extents = list(align(merge(request.changes, request.merge_gap), granule, size))
        if base is not None:
            extents = list(merge([*extents, *base.unknown()]))
        return extents, digest_of(b"".join(struct.pack("<QQ", *extent) for extent in extents)).hex()

    def _open_checkpoint(self, stack: ExitStack, size: int, scope: str, base_root: str) -> Checkpoint | None:
        request = self._request
        if request.checkpoint is None:
            return None
        identity = Identity(
            source=request.source_identity or request.source_uri,
            target=request.target_identity or request.target_uri,
            size=size,
            block_size=request.block_size,
            scope=scope,
            base=base_root,
        )
        checkpoint = Checkpoint.open(request.checkpoint, identity)
        stack.callback(checkpoint.close)
        return checkpoint

    def _resume(
        self, scope: list[Extent], checkpoint: Checkpoint | None, findings: Findings, dirty: Dirty | None
    ) -> list[Extent]:
        """Return what is left of the scope, after what the checkpoint says is done and nobody else has written
        since."""
        if checkpoint is None:
            return scope
        done = []
        for record in checkpoint.records():
            findings.remember(record)
            done.append(record.extent)
        since = align(dirty.since, findings.digests.block_size, findings.digests.size) if dirty else ()
        left = list(subtract(scope, list(subtract(merge(done), since))))
        self._meter.resumed = self._meter.done = self._meter.total - total(left)
        return left

    def _write_manifest(self, digests: Digests) -> str | None:
        """Write the manifest and return its root digest; None when not all of the disk's digests are known."""
        request = self._request
        if not digests.complete:
            return None
        root = digests.root()
        if request.manifest is not None:
            try:
                write_manifest(
                    request.manifest, digests, source=request.source_identity or request.source_uri, root=root
                )
            except OSError as error:
                raise CopyError(
                    f"The manifest {request.manifest} can't be written: {error.strerror}.",
                    advice="The target is complete. Copy once more for its manifest.",
                ) from error
        return root

    def _move(
        self,
        source: Connections,
        target: Connections,
        scope: list[Extent],
        findings: Findings,
        *,
        base: Digests | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        request = self._request
        delta = request.changes is not None
        compare = base is not None and not delta
        limits = CopyLimits(request.rate_limit, request.limit_groups)
        planner = Planner(
            source,
            target,
            scope,
            block_size=request.block_size,
            size=findings.digests.size,
            merge_gap=request.merge_gap,
            partial_fill=Fill.TARGET if base is not None else Fill.NOTHING,
            worth_mapping=WORTH_MAPPING if delta else 0,
        )
        mover = Mover(
            self._loop,
            source,
            target,
            planner,
            findings,
            base=base,
            compare=compare,
            checkpoint=checkpoint,
            checkpoint_interval=request.checkpoint_interval,
            last=request.verify is Verify.NONE and request.source_identity is None,
            limits=limits,
            digester=self._digester,
            copy_threads=self._copy_threads(target, scope),
            threads_read=_threads(source, request.connections) > 1,
            begin_early=self._near,
            maximum_read=min(request.maximum_read or source.endpoint.maximum_request, source.endpoint.maximum_request),
            meter=self._meter,
        )
        try:
            mover.fill()
            while not mover.finished:
                self._meter.tell()
                self._loop.turn(min(0.2, limits.pause() or 0.2))
                self._check(source, target)
                if mover.failure is not None:
                    raise mover.failure
                mover.fill()
        except (CopyError, Cancelled):
            self._settle(mover, target)
            raise
        finally:
            mover.close()
        self._meter.tell(now=True)

    def _copy_threads(self, target: Connections, scope: list[Extent]) -> int:
        """Return how many threads may carry blocks: 0 for so little that it isn't worth their connections."""
        block = self._request.block_size
        if sum(extent.length // block for extent in scope) < CARRY_FROM:
            return 0
        return copiers(_threads(target, self._request.connections))

    def _settle(self, mover: Mover, target: Connections) -> None:
        """Let the checkpoint have what is done, if the target still answers."""
        deadline = time.monotonic() + SETTLE_TIME
        while not mover.settled and mover.failure is None and time.monotonic() < deadline:
            mover.settle()
            self._loop.turn(0.05)

    def _check(self, *sides: Connections) -> None:
        if self._cancelled:
            raise Cancelled(f"The copy of {self._request.disk} was cancelled.")
        for side in sides:
            if side.failure is not None:
                raise side.failure

    def _verify(self, stack: ExitStack, source: Connections, target: Connections, findings: Findings) -> list[Extent]:
        """Read back and compare; write what is wrong once more; answer what that was. Raises VerificationError."""
        request = self._request
        (own,) = self._connect(stack, ("target", request.target_uri))
        own.widen(_connections(own, request.connections))
        digests, pieces = findings.digests, findings.pieces
        full = request.verify is Verify.FULL
        blocks = list(merge([Extent(0, digests.size)])) if full else list(findings.written())
        wrong = self._compare(own, digests, blocks, list(pieces.items()))
        if wrong:
            self._meter.begin(Phase.REPAIR)
            blocks = list(align((extent for extent in wrong if extent not in pieces), digests.block_size, digests.size))
            known = [extent for extent in wrong if extent in pieces]
            self._move(source, target, list(merge(blocks + known)), findings)
            again = self._compare(own, digests, blocks, [(extent, pieces[extent]) for extent in known])
            if again:
                raise VerificationError(
                    f"The target of {request.disk} differs from what was written, also after writing it once more: "
                    f"{_ranges(again)}.",
                    advice="Don't use the target; check the storage below it.",
                )
        return wrong

    def _compare(
        self, own: Connections, digests: Digests, blocks: list[Extent], pieces: list[tuple[Extent, bytes]]
    ) -> list[Extent]:
        from longshore.blocks.verify import Verifier

        most = _threads(own, self._request.connections)
        verifier = Verifier(self._loop, own, digests, self._digester, self._meter, threads=most)
        self._meter.to_verify = self._meter.verified + total(blocks) + sum(extent.length for extent, _ in pieces)
        self._meter.begin(Phase.VERIFY)
        verifier.begin(blocks, pieces)
        try:
            verifier.fill()
            while not verifier.finished:
                self._meter.tell()
                self._loop.turn(0.2)
                self._check(own)
                verifier.fill()
        finally:
            verifier.close()
        self._meter.tell(now=True)
        if self._meter.verified != self._meter.to_verify:
            missed = self._meter.to_verify - self._meter.verified
            raise VerificationError(f"{missed} bytes of the target of {self._request.disk} were not read back.")
        return sorted(verifier.wrong)


def _connections(side: Connections, wanted: int) -> int:
    """Return the wanted number where the server says that its connections see each other's writes; else 1."""
    return wanted if side.endpoint.multi_conn else 1


def _threads(side: Connections, wanted: int) -> int:
    """Return how many threads may have connections of their own: 0 with TLS, which they don't speak."""
    return 0 if side.endpoint.tls else _connections(side, wanted)


def _ranges(extents: list[Extent]) -> str:
    named = ", ".join(f"{extent.offset}-{extent.end - 1}" for extent in merge(extents))
    return f"bytes {named}"
