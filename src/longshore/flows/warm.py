"""Warm migration: copied while the machine runs, again and again, and stopped only for the last changes.

    prepare → volumes, ports → track changes → seed → [sync …] → wait for the cutover, or go on
      → shut down → last sync → snapshot the volumes → convert → boot → check → hand over

Every copy is of one moment: one snapshot of all disks, from which the change ids are read. They become the base of the
next sync only when every disk of this one has been copied, flushed and verified; until then the earlier base counts, so
nothing is ever skipped. A source may need the base's snapshot to tell what changed since (`Snapshot.is_base`): there it
stays until the next sync is copied. The last sync begins when the machine has been seen off, whatever its system.
"""

from datetime import UTC, datetime
from functools import partial
from typing import Any

from longshore.flows.conversion import Choice
from longshore.flows.copying import DiskBase
from longshore.flows.migration import Migration, result_of
from longshore.flows.source_side import drop_snapshot, shut_down, take_snapshot, track_changes
from longshore.flows.steps import step
from longshore.flows.syncs import Sync, Turn, wait_for_turn
from longshore.flows.target_side import Prepared
from longshore.model.machine import Snapshot
from longshore.model.request import Verify
from longshore.model.target import Volume


class WarmMigration(Migration):
    async def _forward(self) -> dict[str, Any]:
        j = self._j
        prepared, volumes, ports = await self._begin()
        await step("track-changes", type(None), partial(track_changes, j))
        syncs: list[Sync] = []
        bases: dict[str, DiskBase] | None = None
        base: Snapshot | None = None
        choice: Choice | None = None
        turn = Turn.SYNC
        while turn is Turn.SYNC:
            sync, bases, base = await self._sync(prepared, volumes, len(syncs), bases, base, final=False)
            syncs.append(sync)
            if sync.number == 0:  # now there is something to look into, and the machine still runs
                choice = await self._hardware(prepared, volumes, ports)
            turn = await step(f"turn-{sync.number}", Turn, partial(self._wait, syncs))
        await step("shut-down", type(None), partial(shut_down, j))
        last, _, _ = await self._sync(prepared, volumes, len(syncs), bases, base, final=True)
        server, report = await self._land(prepared, volumes, ports, choice)
        copies = [copy for sync in [*syncs, last] for copy in sync.copies]
        return result_of(prepared, server, ports, copies, list(last.copies), report)

    async def _sync(
        self,
        prepared: Prepared,
        volumes: list[Volume],
        number: int,
        bases: dict[str, DiskBase] | None,
        base: Snapshot | None,
        *,
        final: bool,
    ) -> tuple[Sync, dict[str, DiskBase], Snapshot | None]:
        """One copy of one moment of all disks, and what it is to the next one.

        `base` is the snapshot of the sync before, where the source needs it to tell what has changed since. It goes
        when this sync is copied, and this one's stays in its place.
        """
        j = self._j
        name = f"sync-{number}"
        what = "the last changes" if final else f"what has changed (sync {number})" if number else "all disks"
        began = await step(f"{name}-moment", datetime, partial(self._begin_sync, what, final))
        taking = partial(take_snapshot, j, f"snapshot-{number}", prepared.machine.disks)
        quiesce = j.request.quiesce and not final
        snapshot = await step(f"{name}-snapshot", Snapshot, partial(taking, quiesce=quiesce, first=not number))
        # All of the first copy is read back; after that, what each further one writes
        verify = Verify.WRITTEN if bases and j.request.verify is Verify.FULL else j.request.verify
        disks = prepared.machine.disks
        copies = await self._copy(name, disks, snapshot, volumes, bases=bases, verify=verify)
        if base is not None:
            await step(f"{name}-drop-base", type(None), partial(drop_snapshot, j, f"snapshot-{number - 1}", base))
        stays = snapshot.is_base and not final
        if not stays:
            dropping = partial(drop_snapshot, j, f"snapshot-{number}", snapshot)
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
        self._j.phase("last-sync" if final else "syncing", f"Copying {what}.")
        return datetime.now(UTC)

    def _record(self, sync: Sync) -> None:
        self._j.store.migrations.add_sync(self._j.id, sync.as_record())
        # Syncs may go on for weeks, and a manifest takes 32 bytes for each MiB of disk: only the next base stays
        needed = {copy.manifest for copy in sync.copies}
        for path in self._j.store.state.migration(self._j.id).glob("sync-*"):
            if path.name not in needed:
                path.unlink()
        changed = "" if sync.changed is None or not sync.number else f", {sync.changed / (1 << 20):.1f} MiB had changed"
        self._j.say(f"Copied and verified in {sync.seconds:.0f} s{changed}.")

    async def _wait(self, syncs: list[Sync]) -> Turn:
        j = self._j

        def say(why: str) -> None:
            j.phase("waiting", why)

        return await wait_for_turn(
            j.request.cutover,
            syncs,
            asked=lambda: j.store.migrations.cutover_requested(j.id),
            going_on=j.go_on,
            say=say,
        )
