"""Warm migration: copied while the machine runs, again and again, and stopped only for the last changes.

    prepare → volumes, ports → track changes → seed → look → [sync …] → wait for the cutover, or go on
      → shut down → last sync → snapshot the volumes → convert → boot → check → hand over

The first copy is looked into, if it is to be changed or the guest's hardware is to be chosen: what can't land ends the
migration there, and the machine has run all the time.

Every copy is of one moment: one snapshot of all disks, from which the change ids are read. They become the base of the
next sync only when every disk of this one has been copied, flushed and verified; until then the earlier base counts, so
nothing is ever skipped. A source may need the base's snapshot to tell what changed since (`Snapshot.is_base`): there it
stays until the next sync is copied. The last sync begins when the machine has been seen off, whatever its system, and
is the last one only if the machine has been off until all of it was copied. If somebody has powered it on, that was a
sync like the others, and the machine is shut down once more.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from longshore.engine.steps import step
from longshore.flows.moves.copying import DiskBase
from longshore.flows.moves.look import Choice
from longshore.flows.moves.migration import Migration, result_of
from longshore.flows.moves.source_side import (
    Off,
    Still,
    drop_last_snapshot,
    drop_snapshot,
    is_still_off,
    shut_down,
    source_running,
    take_snapshot,
    take_still,
    track_changes,
)
from longshore.flows.moves.syncs import Sync, Turn, wait_for_turn
from longshore.flows.moves.target_side import Prepared
from longshore.model.machine import Snapshot
from longshore.model.request import Verify
from longshore.model.target import Volume

CUTOVERS = 3  # times the machine is shut down: whoever powers it on again and again doesn't want it moved


class WarmMigration(Migration):
    async def _forward(self) -> dict[str, Any]:
        job = self._job
        prepared, volumes, ports = await self._begin()
        await step("track-changes", type(None), partial(track_changes, job))
        syncs: list[Sync] = []
        bases: dict[str, DiskBase] | None = None
        base: Snapshot | None = None
        choice: Choice | None = None
        turn = Turn.SYNC
        while turn is Turn.SYNC:
            sync, bases, base = await self._sync(prepared, volumes, len(syncs), bases, base)
            syncs.append(sync)
            if choice is None:  # now there is something to look into, and the machine still runs
                choice = await self._look_into_copies(prepared, volumes, ports)
            turn = await step(f"turn-{sync.number}", Turn, partial(self._wait, syncs))
        for _ in range(CUTOVERS):
            off = await step(f"shut-down-{len(syncs)}", Off, partial(shut_down, job))
            last, bases, base = await self._sync(prepared, volumes, len(syncs), bases, base, off)
            syncs.append(last)
            if last.final:
                break
            again = f"{job.record.machine_name} was powered on after it had been shut down: it is copied once more."
            await step(f"again-{last.number}", type(None), partial(job.say, again, "warning"))
        else:
            raise source_running(job.record.machine_name)
        assert choice is not None  # from after the first sync
        server, report, proof = await self._land(prepared, volumes, ports, choice, off)
        copies = [copy for sync in syncs for copy in sync.copies]
        return result_of(prepared, server, ports, copies, list(last.copies), report, proof)

    async def _sync(  # noqa: PLR0917
        self,
        prepared: Prepared,
        volumes: list[Volume],
        number: int,
        bases: dict[str, DiskBase] | None,
        base: Snapshot | None,
        off: Off | None = None,
    ) -> tuple[Sync, dict[str, DiskBase], Snapshot | None]:
        """One copy of one moment of all disks, and what it is to the next one.

        `base` is the snapshot of the sync before, where the source needs it to tell what has changed since. It goes
        when this sync is copied, and this one's stays in its place. `off`: the machine was seen off, so that this may
        be the last one.
        """
        job = self._job
        name = f"sync-{number}"
        what = "the last changes" if off else f"what has changed (sync {number})" if number else "all disks"
        began = await step(f"{name}-moment", datetime, partial(self._begin_sync, what, off is not None))
        disks = prepared.machine.disks
        if off is None:
            taking = partial(take_snapshot, job, f"snapshot-{number}", disks, quiesce=job.request.quiesce)
            snapshot, final = await step(f"{name}-snapshot", Snapshot, partial(taking, first=not number)), False
        else:
            still = await step(f"{name}-snapshot", Still, partial(take_still, job, f"snapshot-{number}", disks, off))
            snapshot, final = still.snapshot, still.off
        # All of the first copy is read back; after that, what each further one writes
        verify = Verify.WRITTEN if bases and job.request.verify is Verify.FULL else job.request.verify
        copies = await self._copy(name, disks, snapshot, volumes, bases=bases, verify=verify)
        if off is not None and final:
            final = await step(f"{name}-still-off", bool, partial(is_still_off, job, off))
        drop = drop_last_snapshot if final else drop_snapshot
        if base is not None:
            await step(f"{name}-drop-base", type(None), partial(drop, job, f"snapshot-{number - 1}", base))
        stays = snapshot.is_base and not final
        if not stays:
            dropping = partial(drop, job, f"snapshot-{number}", snapshot)
            await step(f"{name}-drop-snapshot", type(None), dropping)
        ended = await step(f"{name}-end", datetime, lambda: datetime.now(UTC))
        sync = Sync(number, began, ended, tuple(copies), final)
        await step(f"{name}-record", type(None), partial(self._record, sync))
        candidates = {
            copy.disk_key: DiskBase(snapshot.disk(copy.disk_key).change_id, copy.manifest, copy.root_digest)
            for copy in copies
        }
        return sync, candidates, snapshot if stays else None

    def _begin_sync(self, what: str, final: bool) -> datetime:
        self._job.phase("last-sync" if final else "syncing", f"Copying {what}.")
        return datetime.now(UTC)

    def _record(self, sync: Sync) -> None:
        self._job.store.migrations.add_sync(self._job.id, sync.as_record())
        # Syncs may go on for weeks, and a manifest takes 32 bytes for each MiB of disk: only the next base stays
        needed = {copy.manifest for copy in sync.copies}
        for path in self._job.store.state.migration(self._job.id).glob("sync-*"):
            if path.name not in needed:
                path.unlink()
        changed = "" if sync.changed is None or not sync.number else f", {sync.changed / (1 << 20):.1f} MiB had changed"
        self._job.say(f"Copied and verified in {sync.seconds:.0f} s{changed}.")

    async def _wait(self, syncs: list[Sync]) -> Turn:
        job = self._job

        def say(why: str) -> None:
            job.phase("waiting", why)

        return await wait_for_turn(
            job.request.cutover,
            syncs,
            asked=lambda: job.store.migrations.cutover_requested(job.id),
            raise_if_cancelled=job.raise_if_cancelled,
            say=say,
        )
