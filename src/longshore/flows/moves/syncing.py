"""One copy of one moment of all disks of a machine, and what the next one has to know of it.

Every copy is of one snapshot of all disks, from which the change ids are read. They become the base of the next one
only when every disk of this one has been copied, flushed and verified; until then the earlier base counts, so nothing
is ever skipped. Of a first copy that breaks off, the blocks that have arrived are the base: the next one moves the
others, and what has changed since. A source may need the base's snapshot to tell what changed since
(`Snapshot.is_base`): there it stays until the next sync is copied.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from longshore.blocks.unfinished import keep_unfinished
from longshore.engine.steps import step
from longshore.errors import LongshoreError
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.copying import Copied, DiskBase
from longshore.flows.moves.look import Choice
from longshore.flows.moves.migration import CopyTotals, Migration
from longshore.flows.moves.source_side import (
    Off,
    Still,
    drop_if_possible,
    is_still_off,
    take_snapshot,
    take_still,
)
from longshore.flows.moves.syncs import History, Sync
from longshore.flows.moves.target_side import Prepared
from longshore.flows.moves.told_changes import Told, asker, read_changes
from longshore.model.changes import Changes, Unknown
from longshore.model.forms import form
from longshore.model.machine import Disk, Snapshot
from longshore.model.request import Verify
from longshore.model.target import Port, Volume


@dataclass(frozen=True, slots=True)
class State:
    """What a job leaves to the next one."""

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
    written_to: bool = False  # the machine's disks were, by a failback: the base doesn't tell of that

    @property
    def partly(self) -> bool:
        """Whether the first copy of a disk has broken off, and no other one has come to its end."""
        return any(base.partly for base in (self.bases or {}).values())

    def kept(self) -> dict[str, Any]:
        """As it goes into the record."""
        return form(State).dump_python(self, mode="json")  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Round:
    """What was copied and verified."""

    moment: datetime  # not after the snapshot was taken
    snapshot: Snapshot
    copies: list[Copied]
    final: bool  # the machine was off all the time
    told: dict[str, Told] = field(default_factory=dict)  # by disk, what the source says has changed since the base


class Syncing(Migration):
    _copying: Snapshot | None = None  # of what a copy is under way

    async def _copy_moment(
        self, state: State, begin: Callable[[], datetime], off: Off | None, *, all_of_it: bool = False
    ) -> Round:
        """`begin` says that it begins, and when. `off`: the machine was seen off, and may have been left off.

        `all_of_it`: whatever the source says has changed, both sides are read and compared with the digests.
        """
        job = self._job
        number, bases = state.number, state.bases
        name = f"sync-{number}"
        began = await step(f"{name}-moment", datetime, begin)
        disks = state.prepared.machine.disks
        if off is None:
            uuid = state.prepared.machine.instance_uuid
            taking = partial(take_snapshot, job, f"snapshot-{number}", disks, first=not number, instance_uuid=uuid)
            asked = partial(taking, quiesce=job.request.quiesce)
            snapshot, final = await step(f"{name}-snapshot", Snapshot, asked), False
        else:
            still = await step(f"{name}-snapshot", Still, partial(take_still, job, f"snapshot-{number}", disks, off))
            snapshot, final = still.snapshot, still.off
        # All of the first copy is read back; after that, what each further one writes
        verify = Verify.WRITTEN if bases and job.request.verify is Verify.FULL else job.request.verify
        told: dict[str, Told] = {}
        if bases is not None:
            told = await self._ask_changes(name, disks, snapshot, bases)
        changes: dict[str, Callable[[], Changes]] = {
            disk.key: partial(read_changes, job, disk, told[disk.key]) for disk in disks if disk.key in told
        }
        if all_of_it:
            verify, changes = Verify.FULL, {key: partial(Unknown, "All of it is compared.") for key in changes}
        self._copying = snapshot
        copies = await self._copy(name, disks, snapshot, state.volumes, bases=bases, changes=changes, verify=verify)
        if off is not None and final:
            final = await step(f"{name}-still-off", bool, partial(is_still_off, job, off))
        return Round(began, snapshot, copies, final, told)

    async def _ask_changes(
        self, name: str, disks: tuple[Disk, ...], snapshot: Snapshot, bases: dict[str, DiskBase]
    ) -> dict[str, Told]:
        self._job.begin_together()
        known = [disk for disk in disks if disk.key in bases]
        asked = [
            step(f"{name}-changed-{disk.key}", Told, asker(self._job, disk, snapshot, bases[disk.key].change_id, name))
            for disk in known
        ]
        return dict(zip((disk.key for disk in known), await self._side_by_side(asked), strict=True))

    async def _drop_snapshots(self, state: State, copied: Round) -> None:
        """The base's goes when its successor is copied, and that stays in its place where the source needs it."""
        job, number, base = self._job, state.number, state.base
        if base is not None:
            await step(
                f"sync-{number}-drop-base", type(None), partial(drop_if_possible, job, f"snapshot-{number - 1}", base)
            )
        stays = copied.snapshot.is_base and not copied.final
        if not stays:
            dropping = partial(drop_if_possible, job, f"snapshot-{number}", copied.snapshot)
            await step(f"sync-{number}-drop-snapshot", type(None), dropping)

    def _forget_files(self, sync: Sync) -> None:
        """Syncs may go on for weeks, and a manifest takes 32 bytes for each MiB of disk: only the next base stays."""
        needed = {copy.manifest for copy in sync.copies}
        directory = self._job.store.state.migration(self._job.id)
        for path in (*directory.glob("sync-*"), *directory.glob("seed-*")):
            if path.name not in needed:
                path.unlink()


def after(state: State, sync: Sync, snapshot: Snapshot) -> State:
    """What the next sync goes by once this one, which was of this snapshot, is copied and verified."""
    bases = {
        copy.disk_key: DiskBase(snapshot.disk(copy.disk_key).change_id, copy.manifest, copy.root_digest)
        for copy in sync.copies
    }
    return replace(
        state,
        number=sync.number + 1,
        bases=bases,
        base=snapshot if snapshot.is_base and not sync.final else None,
        history=state.history.plus(sync),
        totals=state.totals.plus(sync.copies),
        written_to=False,
    )


def after_break(job: MoveContext, state: State, snapshot: Snapshot | None, name: str) -> State:
    """Decide what the next sync goes by after copies of this snapshot, called `name`, that broke off.

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
    """Find which blocks of a disk are on its volume after a copy that broke off. None: that has brought nothing."""
    directory, manifest = job.store.state.migration(job.id), f"{sync}-{job.job_id[:8]}.unfinished"
    before = directory / base.manifest if base is not None else None
    root = keep_unfinished(directory / f"{copy}.checkpoint", directory / manifest, before)
    return DiskBase(None, manifest, root, partly=True) if root is not None else None
