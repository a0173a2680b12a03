"""The copy of one disk: exports opened on both sides, a copy run between them, its progress kept."""

import asyncio
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from longshore.blocks import CopyProgress, CopyRequest, CopyResult, run_copy
from longshore.blocks.checkpoint import discard, is_locked, locked
from longshore.blocks.dirty import Dirty, is_dirty
from longshore.blocks.exports import Export, serve_nbdkit
from longshore.blocks.spot_check import find_untold
from longshore.errors import CheckpointMisfit, CopyError, LongshoreError
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.opened import open_disk, open_volume, opened
from longshore.flows.moves.told_changes import Told, read_changes
from longshore.model.changes import Changed, Changes, Unknown
from longshore.model.extents import merge, total
from longshore.model.machine import Disk, Snapshot
from longshore.model.request import Verify
from longshore.model.target import Volume

STALLED_AFTER = 900.0  # seconds without a byte before a copy is given up: a server may hang without closing anything
LOCKED_FOR = 150.0  # seconds: an NFS server keeps the locks of a machine that died for 90 as a rule
_LOOK_EVERY = 1.0  # seconds
_KEEP_EVERY = 0.5  # seconds between rows of progress


@dataclass(frozen=True, slots=True)
class Copied:
    """The result of one disk's copy. Sizes in bytes."""

    disk_key: str
    read: int
    written: int
    zeroed: int
    skipped: int
    verified: int
    repaired: int  # ranges that were wrong when read back, and right after writing them once more
    seconds: float
    root_digest: str
    manifest: str  # name of the file in the migration's directory
    changed: int | None = None  # what the source says was written since the last copy; None: it was all compared
    doubted: bool = False  # what it says was tried, and wasn't so


@dataclass(frozen=True, slots=True)
class DiskBase:
    """The state of a disk's volume after an earlier copy: a moment of the source, and the digests of what
    was written."""

    change_id: str | None  # of that moment; None: the source doesn't track changes
    manifest: str  # name of the file in the migration's directory
    root_digest: str
    partly: bool = False  # the copy broke off: blocks are missing, and what has arrived was not read back


class Movement:
    """A watch over a copy, since no error ever comes from a server that takes a request and then says nothing."""

    def __init__(self, disk: str) -> None:
        self._disk = disk
        self._at = time.monotonic()
        self._figures: tuple[object, ...] = ()

    def see(self, progress: CopyProgress) -> None:
        figures = (progress.phase, progress.done, progress.copied, progress.verified)
        if figures != self._figures:
            self._figures = figures
            self._at = time.monotonic()

    async def watch(self, copy: "asyncio.Task[CopyResult]") -> CopyResult:
        """Return the copy's result. Raise CopyError, code `copy-stalled`, when nothing moved for
        STALLED_AFTER seconds."""
        try:
            while not (await asyncio.wait({copy}, timeout=_LOOK_EVERY))[0]:
                if time.monotonic() - self._at > STALLED_AFTER:
                    raise CopyError(
                        f"The copy of {self._disk} hasn't moved for {STALLED_AFTER:.0f} s: a server hangs.",
                        advice="Look at the storage of both sides.",
                        code="copy-stalled",
                    )
            return copy.result()
        finally:
            if not copy.done():
                copy.cancel()
                await asyncio.wait({copy})


@dataclass(frozen=True, kw_only=True)
class DiskCopy:
    """The copy of one disk of a snapshot, which is a step of its own (`run`).

    With a base only what has changed since is copied; where the source can't say, the whole disk is read and compared.
    With changes and no base nothing but these is copied, and no manifest of the disk is made; all of it where the
    source can't say.
    """

    job: MoveContext
    disk: Disk
    snapshot: Snapshot
    volume: Volume  # what it is copied to
    name: str  # of the copies of this snapshot: what their files in the record's directory begin with
    verify: Verify
    base: DiskBase | None = None
    told: Told | None = None  # what the source says has changed since the base; None: it wasn't asked
    vault_id: str | None = None  # of the vault that the snapshot is a point of; None: it is the source's
    stops: bool = True  # the copies of other disks, where this one fails

    async def run(self) -> Copied:
        """Copy it. A second run goes on from the checkpoint that the first one left."""
        job = self.job
        try:
            changes = await asyncio.to_thread(self._changes)
            unchanged = isinstance(changes, Changed) and not changes.extents
            if unchanged and not await asyncio.to_thread(self._lacks_blocks) and await self._is_unchanged(changes):
                root, manifest = (self.base.root_digest, self.base.manifest) if self.base else ("", "")
                return Copied(self.disk.key, 0, 0, 0, 0, 0, 0, 0.0, root, manifest, changed=0)
            return await job.retry(lambda: self._copy(changes), f"{self.disk.label}: ")
        except LongshoreError as error:
            if self.stops and not job.parks_for(error):
                job.stop()  # no sense in going on with the other disks
            raise
        except BaseException:
            job.stop()
            raise

    async def digest_target(self) -> DiskBase:
        """Read what the target holds before it is written, so that the copy can compare.

        A second run reads all of it again.
        """
        job, disk = self.job, self.disk
        await asyncio.to_thread(job.raise_if_cancelled)
        manifest = f"{self.name}-{disk.key}.held"
        async with opened() as exports:
            held = await asyncio.to_thread(self._open_target, exports)
            nowhere = serve_nbdkit("null", {"size": str(self.volume.size)}, read_only=False)
            request = CopyRequest(
                source_uri=held.uri,
                target_uri=(target := await asyncio.to_thread(exports.enter_context, nowhere)).uri,
                disk=f"{job.record.machine_name}, {disk.label}",
                manifest=self._path(manifest),
                verify=Verify.NONE,
                rate_limit=job.copy_request.rate_limit,
                limit_groups=await asyncio.to_thread(job.limit_groups, disk),
                maximum_read=held.maximum_read,
            )
            result = await self._run(request, [held, target])
        return DiskBase(None, manifest, result.root_digest or "")

    # What kinds of copies do in ways of their own

    def _changes(self) -> Changes | None:
        """Return what the source says has changed. None: all of the disk is copied."""
        return None if self.told is None else read_changes(self.job, self.disk, self.told)

    def _open_target(self, exports: ExitStack) -> Export:
        """Open what it is copied to, for writing, until the stack is left."""
        return open_volume(self.job, exports, self.volume)

    # One try

    def _open_source(self, exports: ExitStack) -> Export:
        return open_disk(self.job, exports, self.snapshot, self.disk.key, provider_id=self.vault_id)

    async def _copy(self, changes: Changes | None) -> Copied:
        """Copy from the checkpoint on, if there is one. A checkpoint that is of no use is discarded, and all is copied
        anew.

        `changes`: None for all of the disk.
        """
        job, checkpoint = self.job, self._path(self._checkpoint)
        await self._until_free(checkpoint)
        try:
            result, believed = await self._move(changes)
        except CheckpointMisfit as misfit:
            said = f"{self.disk.label}: {misfit.message} It is discarded, and the copy begins anew."
            await asyncio.to_thread(job.say, said, "warning")
            await asyncio.to_thread(discard, checkpoint)
            try:
                result, believed = await self._move(changes)
            except CheckpointMisfit:
                await asyncio.to_thread(discard, checkpoint)
                raise
        return Copied(
            disk_key=self.disk.key,
            read=result.bytes_read,
            written=result.bytes_written,
            zeroed=result.bytes_zeroed,
            skipped=result.bytes_skipped,
            verified=result.bytes_verified,
            repaired=len(result.repaired),
            seconds=result.seconds,
            root_digest=result.root_digest or "",
            manifest=self._manifest,
            changed=total(believed.extents) if isinstance(believed, Changed) else None,
            doubted=believed is not changes,
        )

    async def _move(self, changes: Changes | None) -> tuple[CopyResult, Changes | None]:
        """Open both sides, and have what is to be copied moved from one to the other. Return the changes, too, that
        were believed."""
        await asyncio.to_thread(self.job.raise_if_cancelled)
        async with opened() as exports:
            source = await asyncio.to_thread(self._open_source, exports)
            believed = await asyncio.to_thread(self._believed, source, changes)
            if isinstance(believed, Unknown) and believed is not changes:
                said = f"{self.disk.label}: all of it is read and compared, from now on. {believed.reason}"
                await asyncio.to_thread(self.job.say, said, "warning")
            target = await asyncio.to_thread(self._open_target, exports)
            request = await asyncio.to_thread(self._request, source, target, believed)
            return await self._run(request, [source, target]), believed

    async def _is_unchanged(self, changes: Changes | None) -> bool:
        """Tell whether nothing has changed indeed, as the source says."""
        if not isinstance(changes, Changed) or not changes.tried:
            return True
        async with opened() as exports:
            source = await asyncio.to_thread(self._open_source, exports)
            return await asyncio.to_thread(self._believed, source, changes) is changes

    def _believed(self, source: Export, changes: Changes | None) -> Changes | None:
        """Return what has changed as far as the source is believed: where its word is tried and isn't so, nobody knows.
        A second try comes to the same, with the same checkpoint."""
        base = self.base
        if not isinstance(changes, Changed) or not changes.tried or base is None or base.partly:
            return changes
        seed, manifest = f"{self.snapshot.ref}/{self.disk.key}", self._path(base.manifest)
        # Of what others have written since, a failback to the source itself, the manifest says nothing
        earlier = Dirty(manifest, base.root_digest, self._moment, same=True).earlier
        untold = find_untold(source.uri, manifest, list(merge([*changes.extents, *earlier])), seed=seed)
        if untold is None:
            return changes
        return Unknown(f"The source has left out what was written near byte {untold.offset}: it isn't believed.")

    def _lacks_blocks(self) -> bool:
        """Tell whether the target may hold something else than the base: a copy to it came to no end."""
        base = self.base
        return base is not None and (base.partly or is_dirty(self._path(base.manifest), base.root_digest))

    async def _until_free(self, checkpoint: Path) -> None:
        """Wait for the lock of a copy that a dead worker has left. Nothing is opened meanwhile on either side.

        Raises CheckpointLocked when that takes too long, Cancelled.
        """
        began = time.monotonic()
        held = False
        await asyncio.to_thread(self.job.raise_if_cancelled)
        while await asyncio.to_thread(is_locked, checkpoint):
            if time.monotonic() - began > LOCKED_FOR:
                raise locked(checkpoint)
            if not held:
                text = (
                    f"Its checkpoint is still locked by a copy elsewhere. Waiting for that, {LOCKED_FOR:.0f} s at most."
                )
                await asyncio.to_thread(self.job.say, f"{self.disk.label}: {text}", "warning")
            held = True
            await asyncio.sleep(_LOOK_EVERY)
            await asyncio.to_thread(self.job.raise_if_cancelled)
        if held:
            text = (
                f"{self.disk.label}: The checkpoint is free after {time.monotonic() - began:.0f} s: going on from it."
            )
            await asyncio.to_thread(self.job.say, text)

    @property
    def _checkpoint(self) -> str:
        return f"{self.name}-{self.disk.key}.checkpoint"

    @property
    def _manifest(self) -> str:
        return f"{self.name}-{self.disk.key}.manifest"

    @property
    def _moment(self) -> str:
        provider_id = self.vault_id or self.job.record.source_id
        return f"{provider_id}/{self.snapshot.machine_ref}/{self.disk.key}@{self.snapshot.ref}"

    def _path(self, name: str) -> Path:
        return self.job.directory() / name

    def _request(self, source: Export, target: Export, changes: Changes | None) -> CopyRequest:
        job, disk, base = self.job, self.disk, self.base
        extents = changes.extents if isinstance(changes, Changed) else None
        whole = base is not None or extents is None  # then the digests of all of it are known in the end
        return CopyRequest(
            source_uri=source.uri,
            target_uri=target.uri,
            disk=f"{job.record.machine_name}, {disk.label}",
            source_identity=self._moment,
            target_identity=f"{job.record.target_id}/{self.volume.id}",
            changes=extents,
            base_manifest=self._path(base.manifest) if base else None,
            manifest=self._path(self._manifest) if whole else None,
            checkpoint=self._path(self._checkpoint),
            verify=self.verify,
            rate_limit=job.copy_request.rate_limit,
            limit_groups=job.limit_groups(disk, self.vault_id),
            maximum_read=source.maximum_read,
        )

    async def _run(self, request: CopyRequest, exports: list[Export]) -> CopyResult:
        job = self.job
        moved = Movement(request.disk)
        kept = _Kept(job, self.disk)

        def tell(progress: CopyProgress) -> None:
            moved.see(progress)
            kept.see(progress)

        await kept.keep(state="copying")
        telling = asyncio.create_task(kept.follow())
        try:
            work = asyncio.create_task(run_copy(request, tell, exports=exports))
            result = await job.cancellable(asyncio.create_task(moved.watch(work)))
        finally:
            kept.ended.set()
            await asyncio.shield(telling)
        await kept.keep(state="done", root_digest=result.root_digest, progress=kept.at_end(result))
        if result.repaired:
            said = f"{len(result.repaired)} range(s) were wrong on the target and were written again."
            await asyncio.to_thread(job.say, f"{self.disk.label}: {said}", "warning")
        return result


class _Kept:
    """A disk's progress for whoever looks. The database is never waited for where copies tell how far they are."""

    def __init__(self, job: MoveContext, disk: Disk) -> None:
        self._job = job
        self._key = disk.key
        self._newest: CopyProgress | None = None
        self._last: CopyProgress | None = None
        self.ended = asyncio.Event()

    def see(self, progress: CopyProgress) -> None:
        self._newest = self._last = progress

    def at_end(self, result: CopyResult) -> dict[str, Any] | None:
        """Return the progress of a copy that has ended: all is done, and nothing left. What was told last may be from
        half a second before."""
        if self._last is None:
            return None
        last = self._last
        rate = result.bytes_read / result.seconds if result.seconds else last.mean_rate
        end = last._replace(
            done=last.total,
            copied=last.to_copy,
            to_verify=result.bytes_verified,
            verified=result.bytes_verified,
            rate=rate,
            mean_rate=rate,
            eta=None,
        )
        return end._asdict()

    async def follow(self) -> None:
        while not self.ended.is_set():
            progress, self._newest = self._newest, None
            if progress is not None:
                state = "copying" if progress.phase == "copy" else "verifying"
                await self.keep(state=state, progress=progress._asdict())
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), _KEEP_EVERY)

    async def keep(self, **fields: Any) -> None:
        await asyncio.to_thread(self._job.store.disks.update, self._job.id, self._key, **fields)
