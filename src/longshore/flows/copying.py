"""The copy of one disk: exports opened on both sides, the engine run between them, its progress kept."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from longshore.blocks import CopyRequest, CopyResult, Progress, run_copy
from longshore.blocks.exports import Export
from longshore.errors import CopyError
from longshore.flows.journey import Journey
from longshore.model.machine import Disk, Snapshot
from longshore.model.target import Owner, Volume

VCENTER_MAXIMUM_READ = 2 << 20  # bytes: what one read through a vCenter may ask for
STALLED_AFTER = 900.0  # seconds without a byte before a copy is given up: a server may hang without closing anything
_LOOK_EVERY = 1.0  # seconds
_KEEP_EVERY = 0.5  # seconds between rows of progress


@dataclass(frozen=True, slots=True)
class Copied:
    """What one disk's copy came to. Sizes in bytes."""

    disk_key: str
    read: int
    written: int
    zeroed: int
    skipped: int
    verified: int
    repaired: int  # ranges that were wrong when read back, and right after writing them once more
    seconds: float
    root_digest: str


class Movement:
    """Sees that a copy moves: no error ever comes from a server that takes a request and then says nothing."""

    def __init__(self, disk: str) -> None:
        self._disk = disk
        self._at = time.monotonic()
        self._figures: tuple[object, ...] = ()

    def see(self, progress: Progress) -> None:
        figures = (progress.phase, progress.done, progress.copied, progress.verified)
        if figures != self._figures:
            self._figures = figures
            self._at = time.monotonic()

    async def watch(self, copy: "asyncio.Task[CopyResult]") -> CopyResult:
        """The copy's result. Raises CopyError when nothing moved for too long."""
        try:
            while not (await asyncio.wait({copy}, timeout=_LOOK_EVERY))[0]:
                if time.monotonic() - self._at > STALLED_AFTER:
                    raise CopyError(
                        f"The copy of {self._disk} hasn't moved for {STALLED_AFTER:.0f} s: a server hangs.",
                        advice="Look at the storage of both sides and start again.",
                    )
            return copy.result()
        finally:
            if not copy.done():
                copy.cancel()
                await asyncio.wait({copy})


def copier(journey: Journey, disk: Disk, snapshot: Snapshot, volume: Volume) -> Callable[[], Awaitable[Copied]]:
    """The work of one copy step. A second run goes on from the checkpoint that the first one left."""

    async def copy() -> Copied:
        journey.go_on()
        with ExitStack() as exports:
            source = await asyncio.to_thread(_open_source, journey, exports, snapshot, disk)
            target = await asyncio.to_thread(_open_target, journey, exports, volume)
            return await _run(
                journey, disk, _request(journey, disk, snapshot, volume, source.uri, target.uri), [source, target]
            )

    return copy


def _open_source(journey: Journey, exports: ExitStack, snapshot: Snapshot, disk: Disk) -> Export:
    cloud = exports.enter_context(journey.clouds.source(journey.record.source_id))
    return exports.enter_context(cloud.open_disk(snapshot, disk.key))


def _open_target(journey: Journey, exports: ExitStack, volume: Volume) -> Export:
    cloud = exports.enter_context(journey.clouds.target(journey.record.target_id))
    return exports.enter_context(cloud.open_volume(volume.id, Owner(journey.id, f"open-{volume.id}")))


def _request(  # noqa: PLR0917
    journey: Journey, disk: Disk, snapshot: Snapshot, volume: Volume, source_uri: str, target_uri: str
) -> CopyRequest:
    directory = journey.store.state.migration(journey.id)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return CopyRequest(
        source_uri=source_uri,
        target_uri=target_uri,
        disk=f"{journey.record.machine_name}, {disk.label}",
        source_identity=f"{journey.record.source_id}/{snapshot.machine_ref}/{disk.key}@{snapshot.ref}",
        target_identity=f"{journey.record.target_id}/{volume.id}",
        manifest=directory / f"disk-{disk.key}.manifest",
        checkpoint=directory / f"disk-{disk.key}.checkpoint",
        verify=journey.request.verify,
        rate_limit=journey.request.rate_limit,
        maximum_read=VCENTER_MAXIMUM_READ,
    )


async def _run(journey: Journey, disk: Disk, request: CopyRequest, exports: list[Export]) -> Copied:
    migrations = journey.store.migrations
    kept = 0.0
    moved = Movement(request.disk)

    def keep(progress: Progress) -> None:
        nonlocal kept
        moved.see(progress)
        if time.monotonic() - kept >= _KEEP_EVERY:
            kept = time.monotonic()
            state = "copying" if progress.phase == "copy" else "verifying"
            migrations.update_disk(journey.id, disk.key, state=state, progress=asdict(progress))

    migrations.update_disk(journey.id, disk.key, state="copying")
    try:
        work = asyncio.create_task(run_copy(request, keep, exports=exports))
        result = await journey.cancellable(asyncio.create_task(moved.watch(work)))
    except BaseException:
        journey.stop()  # no sense in going on with the other disks
        raise
    migrations.update_disk(journey.id, disk.key, state="done", root_digest=result.root_digest)
    if result.repaired:
        journey.say(
            f"{disk.label}: {len(result.repaired)} range(s) were wrong on the target and were written again.", "warning"
        )
    return Copied(
        disk_key=disk.key,
        read=result.bytes_read,
        written=result.bytes_written,
        zeroed=result.bytes_zeroed,
        skipped=result.bytes_skipped,
        verified=result.bytes_verified,
        repaired=len(result.repaired),
        seconds=result.seconds,
        root_digest=result.root_digest or "",
    )
