"""Warm migration: copied while the machine runs, again and again, and stopped only for the last changes.

    begin:      prepare → volumes, ports → track changes
    sync:       snapshot → copy and verify → drop the snapshot [→ look, after the first one]
    cutover:    shut down → last sync → snapshot the volumes → convert → boot → check → hand over

Each line is a job of its own, as short as it can be: what the next one needs is in the migration's record (`State`),
and nobody works for a migration that waits. A sync begins by asking whose turn it is, and goes on into the cutover
where that is it: between the two nobody else may take its place.

The first copy is looked into, if it is to be changed or the guest's hardware is to be chosen: what can't land ends the
migration there, and the machine has run all the time.

Every copy is of one moment: one snapshot of all disks, from which the change ids are read. They become the base of the
next sync only when every disk of this one has been copied, flushed and verified; until then the earlier base counts, so
nothing is ever skipped. A source may need the base's snapshot to tell what changed since (`Snapshot.is_base`): there it
stays until the next sync is copied. The last sync begins when the machine has been seen off, whatever its system, and
is the last one only if the machine has been off until all of it was copied. If somebody has powered it on, that was a
sync like the others, and the machine is shut down once more.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from longshore.engine.steps import step
from longshore.flows.moves.copying import DiskBase
from longshore.flows.moves.look import Choice
from longshore.flows.moves.migration import CopyTotals, Migration, figures_of, result_of
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
from longshore.flows.moves.syncs import History, Sync, Turn, next_moment, next_turn, same_reason, why_waiting
from longshore.flows.moves.target_side import Prepared
from longshore.model.forms import form
from longshore.model.job import JobKind
from longshore.model.machine import Snapshot
from longshore.model.request import Verify
from longshore.model.target import Port, Volume

CUTOVERS = 3  # times the machine is shut down: whoever powers it on again and again doesn't want it moved


@dataclass(frozen=True, slots=True)
class State:
    """What a job of a warm migration leaves to the next one."""

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

    def kept(self) -> dict[str, Any]:
        """As it goes into the record."""
        return form(State).dump_python(self, mode="json")  # type: ignore[no-any-return]


class WarmBegin(Migration):
    async def _forward(self) -> None:
        prepared, volumes, ports = await self._begin()
        await step("track-changes", type(None), partial(track_changes, self._job))
        await step("go-on", type(None), partial(self._go_on, State(prepared, volumes, ports)))

    def _go_on(self, state: State) -> None:
        self._job.store.migrations.end_job(self._job.id, self._job.job_id, next_kind=JobKind.SYNC, state=state.kept())


class WarmSync(Migration):
    async def _forward(self) -> dict[str, Any] | None:
        state = await step("state", State, self._load)
        turn = await step("turn", Turn, partial(self._choose, state))
        if turn is Turn.SYNC:
            _, state = await self._sync(state)
            if state.choice is None:  # now there is something to look into, and the machine still runs
                choice = await self._look_into_copies(state.prepared, state.volumes, state.ports)
                state = replace(state, choice=choice)
            turn = await step("turn-after", Turn, partial(self._choose, state))
        if turn is Turn.CUT_OVER:
            return await self._cut_over(state)
        await step("go-on", type(None), partial(self._go_on, state, turn))
        return None

    def _load(self) -> State:
        job = self._job
        job.raise_if_cancelled()
        return form(State).validate_python(job.store.migrations.get(job.id).state)

    def _choose(self, state: State) -> Turn:
        job = self._job
        job.raise_if_cancelled()
        asked = job.store.migrations.cutover_requested(job.id)
        turn = next_turn(job.request.cutover, state.history, datetime.now(UTC), asked=asked)
        if turn is Turn.CUT_OVER:
            job.store.jobs.set_kind(job.job_id, JobKind.CUTOVER)
        return turn

    def _go_on(self, state: State, turn: Turn) -> None:
        """Another job does what comes next, at once or when its moment has come."""
        job = self._job
        due = None
        if turn is Turn.WAIT:
            now = datetime.now(UTC)
            due = next_moment(job.request.cutover, state.history, now).replace(tzinfo=None)
            why = why_waiting(job.request.cutover, state.history, now)
            if same_reason(why, state.why):
                job.store.migrations.update(job.id, phase="waiting")
            else:
                job.phase("waiting", why)
            state = replace(state, why=why)
        job.store.migrations.end_job(job.id, job.job_id, next_kind=JobKind.SYNC, due_at=due, state=state.kept())

    async def _cut_over(self, state: State) -> dict[str, Any]:
        job = self._job
        for _ in range(CUTOVERS):
            off = await step(f"shut-down-{state.number}", Off, partial(shut_down, job))
            last, state = await self._sync(state, off)
            if last.final:
                break
            again = f"{job.record.machine_name} was powered on after it had been shut down: it is copied once more."
            await step(f"again-{last.number}", type(None), partial(job.say, again, "warning"))
        else:
            raise source_running(job.record.machine_name)
        prepared, ports = state.prepared, state.ports
        assert state.choice is not None  # from after the first sync
        server, report, proof = await self._land(prepared, state.volumes, ports, state.choice, off)
        return result_of(prepared, server, ports, figures_of(state.totals, last.copies), report, proof)

    async def _sync(self, state: State, off: Off | None = None) -> tuple[Sync, State]:
        """One copy of one moment of all disks, and what it is to the next one.

        The base's snapshot goes when this sync is copied, and this one's stays in its place where the source needs it.
        `off`: the machine was seen off, so that this may be the last one.
        """
        job = self._job
        number, bases, base = state.number, state.bases, state.base
        name = f"sync-{number}"
        what = "the last changes" if off else f"what has changed (sync {number})" if number else "all disks"
        began = await step(f"{name}-moment", datetime, partial(self._begin_sync, what, off is not None))
        disks = state.prepared.machine.disks
        if off is None:
            taking = partial(take_snapshot, job, f"snapshot-{number}", disks, quiesce=job.request.quiesce)
            snapshot, final = await step(f"{name}-snapshot", Snapshot, partial(taking, first=not number)), False
        else:
            still = await step(f"{name}-snapshot", Still, partial(take_still, job, f"snapshot-{number}", disks, off))
            snapshot, final = still.snapshot, still.off
        # All of the first copy is read back; after that, what each further one writes
        verify = Verify.WRITTEN if bases and job.request.verify is Verify.FULL else job.request.verify
        copies = await self._copy(name, disks, snapshot, state.volumes, bases=bases, verify=verify)
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
        state = after(state, sync, snapshot)
        await step(f"{name}-record", type(None), partial(self._record, sync, state))
        return sync, state

    def _begin_sync(self, what: str, final: bool) -> datetime:
        self._job.phase("last-sync" if final else "syncing", f"Copying {what}.")
        return datetime.now(UTC)

    def _record(self, sync: Sync, state: State) -> None:
        self._job.store.migrations.add_sync(self._job.id, sync.as_record(), state.kept())
        # Syncs may go on for weeks, and a manifest takes 32 bytes for each MiB of disk: only the next base stays
        needed = {copy.manifest for copy in sync.copies}
        for path in self._job.store.state.migration(self._job.id).glob("sync-*"):
            if path.name not in needed:
                path.unlink()
        changed = "" if sync.changed is None or not sync.number else f", {sync.changed / (1 << 20):.1f} MiB had changed"
        self._job.say(f"Copied and verified in {sync.seconds:.0f} s{changed}.")


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
    )
