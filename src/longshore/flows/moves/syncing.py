"""One copy of one moment of all disks of a machine, and what the next one has to know of it.

Every copy is of one snapshot of all disks, from which the change ids are read. They become the base of the next one
only when every disk of this one has been copied, flushed and verified; until then the earlier base counts, so nothing
is ever skipped. Of a first copy that breaks off, the blocks that have arrived are the base: the next one moves the
others, and what has changed since. A source may need the base's snapshot to tell what changed since
(`Snapshot.is_base`): there it stays until the next sync is copied.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from longshore.blocks.unfinished import keep_unfinished
from longshore.errors import LongshoreError, Unreachable
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.copying import Copied, DiskBase, DiskCopy
from longshore.flows.moves.look import Choice
from longshore.flows.moves.migration import CopyTotals, Migration
from longshore.flows.moves.source_side import (
    Off,
    drop_if_possible,
    find_source,
    is_still_off,
    take_snapshot,
    take_still,
)
from longshore.flows.moves.syncs import History, Sync
from longshore.flows.moves.target_side import Prepared
from longshore.flows.moves.told_changes import Told, ask_source
from longshore.model.forms import form
from longshore.model.machine import Machine, Snapshot
from longshore.model.request import Verify
from longshore.model.target import Port, Volume


@dataclass(frozen=True, slots=True)
class SyncState:
    """The state that a job leaves to the next one."""

    prepared: Prepared
    volumes: list[Volume]
    ports: list[Port]
    number: int = 0  # of the next sync
    bases: dict[str, DiskBase] | None = None  # by disk
    base: Snapshot | None = None  # of the sync before, where the source needs it to tell what has changed since
    choice: Choice | None = None  # how the guest lands, once its copy was looked into
    history: History = field(default_factory=History)
    totals: CopyTotals = field(default_factory=CopyTotals)
    why: str = ""  # it waited, as it was said last
    held: str = ""  # why a cutover failed: until somebody asks for another, there is none
    held_since: datetime | None = None  # in UTC
    # A replica's disks whose machine is another one by now, by the keys that its volumes and points call them
    called: dict[str, str] = field(default_factory=dict)
    doubted: tuple[str, ...] = ()  # disks of which the source has left out changes: it isn't asked about them any more
    written_to: bool = False  # the machine's disks were, by a failback: the base doesn't tell of that

    @property
    def partly(self) -> bool:
        """Tell whether the first copy of a disk has broken off, and no other one has come to its end."""
        return any(base.partly for base in (self.bases or {}).values())

    def kept(self) -> dict[str, Any]:
        """Return the state as JSON, for the record."""
        return form(SyncState).dump_python(self, mode="json")  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Round:
    """The result of one round of copying: all disks copied and verified."""

    moment: datetime  # not after the snapshot was taken
    snapshot: Snapshot
    copies: list[Copied]
    final: bool  # the machine was off all the time
    told: dict[str, Told] = field(default_factory=dict)  # by disk, what the source says has changed since the base


class Syncing(Migration):
    _copying: Snapshot | None = None  # of what a copy is under way

    async def _copy_snapshot(
        self, state: SyncState, moment: datetime, off: Off | None, *, all_of_it: bool = False
    ) -> Round:
        """Take a snapshot of all disks, and copy of it what has changed since the bases.

        `moment`: not after the snapshot. `off`: the machine was seen off, and may have been left off. `all_of_it`:
        whatever the source says has changed, both sides are read and compared with the digests.
        """
        job, number, bases = self._job, state.number, state.bases or {}
        name, step, machine = f"sync-{number}", f"snapshot-{number}", state.prepared.machine
        if off is None:
            snapshot = await job.step(
                f"{name}-snapshot",
                take_snapshot,
                job,
                step,
                machine.disks,
                quiesce=job.request.quiesce,
                first=not number,
                known=machine,
            )
            final = False
        else:
            still = await job.step(f"{name}-snapshot", take_still, job, step, machine.disks, off)
            snapshot, final = still.snapshot, still.off
        job.begin_together()
        known = [disk for disk in machine.disks if disk.key in bases]
        asked = [
            job.step(f"{name}-changed-{disk.key}", ask_source, job, disk, snapshot, bases[disk.key].change_id, name)
            for disk in known
        ]
        told = dict(zip((disk.key for disk in known), await self._side_by_side(asked), strict=True))
        # To one that was registered anew, maybe from a copy of its files, earlier change ids may mean other states
        compared = all_of_it or snapshot.machine_ref != machine.ref
        changed = {key: Told(None, "All of it is compared.") for key in told if compared or key in state.doubted}
        job.begin_together()
        copies = [
            DiskCopy(
                job=job,
                disk=disk,
                snapshot=snapshot,
                volume=volume,
                name=name,
                verify=self._verify(base := bases.get(disk.key), all_of_it=all_of_it),
                base=base,
                told=changed.get(disk.key, told.get(disk.key)),
            )
            for disk, volume in zip(machine.disks, state.volumes, strict=True)
        ]
        self._copying = snapshot
        copied = await self._side_by_side([job.step(f"{name}-{copy.disk.key}", copy.run) for copy in copies])
        if off is not None and final:
            final = await job.step(f"{name}-still-off", is_still_off, job, off)
        return Round(moment, snapshot, copied, final, told)

    def _verify(self, base: DiskBase | None, *, all_of_it: bool) -> Verify:
        """Return what of a disk is read back: all of the first copy; after that, what each further one writes."""
        asked = self._job.request.verify
        if base is None or base.partly:
            return asked
        if all_of_it:
            return Verify.FULL
        return Verify.WRITTEN if asked is Verify.FULL else asked

    async def _drop_snapshots(self, state: SyncState, copied: Round) -> None:
        """Remove the base's snapshot once its successor is copied. That one stays in its place where the source needs
        it."""
        job, number, base = self._job, state.number, state.base
        if base is not None:
            await job.step(f"sync-{number}-drop-base", drop_if_possible, job, f"snapshot-{number - 1}", base)
        stays = copied.snapshot.is_base and not copied.final
        if not stays:
            await job.step(f"sync-{number}-drop-snapshot", drop_if_possible, job, f"snapshot-{number}", copied.snapshot)

    def _now(self) -> datetime:
        return datetime.now(UTC)

    def _forget_files(self, sync: Sync) -> None:
        """Remove the files of earlier syncs: they may go on for weeks, and a manifest takes 32 bytes for each MiB of
        disk."""
        needed = {copy.manifest for copy in sync.copies}
        directory = self._job.store.state.migration(self._job.id)
        for path in (*directory.glob("sync-*"), *directory.glob("seed-*")):
            if path.name not in needed:
                path.unlink()


def after(state: SyncState, sync: Sync, snapshot: Snapshot) -> SyncState:
    """Return what the next sync goes by once this one, which was of this snapshot, is copied and verified."""
    bases = {
        copy.disk_key: DiskBase(snapshot.disk(copy.disk_key).change_id, copy.manifest, copy.root_digest)
        for copy in sync.copies
    }
    machine = replace(state.prepared.machine, ref=snapshot.machine_ref)
    return replace(
        state,
        prepared=replace(state.prepared, machine=machine),
        number=sync.number + 1,
        bases=bases,
        base=snapshot if snapshot.is_base and not sync.final else None,
        history=state.history.plus(sync),
        totals=state.totals.plus(sync.copies),
        doubted=tuple(sorted({*state.doubted, *(copy.disk_key for copy in sync.copies if copy.doubted)})),
        written_to=False,
    )


def after_break(job: MoveContext, state: SyncState, snapshot: Snapshot | None, name: str) -> SyncState:
    """Return what the next sync goes by after copies of this snapshot, called `name`, that broke off.

    Once there has been a whole copy of the machine, that stays the base. Called again it returns the same.
    """
    if snapshot is None or not (state.bases is None or state.partly):
        return state
    bases = dict(state.bases or {})
    for disk in state.prepared.machine.disks:
        known = bases.get(disk.key)
        try:
            arrived = _arrived(job, known, f"{name}-{disk.key}", f"sync-{state.number}-{disk.key}")
        except LongshoreError as error:
            job.say(f"{disk.label}: what has arrived of it isn't known, and all of it is copied: {error}", "warning")
            continue
        if arrived is not None:
            # All that has changed since an earlier break has so since this one, too: its snapshot stays the base
            change_id = snapshot.disk(disk.key).change_id if known is None else known.change_id
            bases[disk.key] = replace(arrived, change_id=change_id)
    if not bases or state.partly:
        return replace(state, bases=bases or None)
    return replace(state, number=state.number + 1, bases=bases, base=snapshot if snapshot.is_base else None)


def _arrived(job: MoveContext, base: DiskBase | None, copy: str, sync: str) -> DiskBase | None:
    """Return as a base the blocks of a disk that are on its volume after a copy that broke off. None: no block has
    arrived."""
    directory, manifest = job.store.state.migration(job.id), f"{sync}-{job.job_id[:8]}.unfinished"
    before = directory / base.manifest if base is not None else None
    root = keep_unfinished(directory / f"{copy}.checkpoint", directory / manifest, before)
    return DiskBase(None, manifest, root, partly=True) if root is not None else None


def look_at_source(job: MoveContext, known: Machine) -> Machine:
    """Return the source machine as it is now, wherever it is registered. Raise as `find_source` does, and Unreachable
    while the source can't say what it consists of."""
    find_source(job, known)
    with job.clouds.source(job.record.source_id) as source:
        machine = source.by_reference(job.record.machine_ref)
    if machine.unreadable:
        raise Unreachable(
            f"The source can't say at present what {known.name} consists of.",
            advice="See there whether its host and its storage can be reached.",
        )
    return machine
