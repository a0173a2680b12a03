"""Warm migration: copied while the machine runs, again and again, and stopped only for the last changes.

    begin:      prepare → volumes, ports → track changes
    sync:       snapshot → copy and verify → drop the snapshot [→ look, after the first one]
    cutover:    shut down → last sync → snapshot the volumes → convert → boot → check → hand over

Each line is a job of its own, as short as it can be: what the next one needs is in the migration's record (`State`),
and nobody works for a migration that waits. A sync begins by asking whose turn it is, and goes on into the cutover
where that is it: between the two nobody else may take its place.

The first copy is looked into, if it is to be changed or the guest's hardware is to be chosen: what can't land ends the
migration there, and the machine has run all the time.

Whatever else fails, what was copied stays, from the first block on. A sync comes again at its next turn. A cutover
takes back the server, has the volumes as they were before the guest was changed, and the source run again; then the
migration waits until somebody asks for another one.

Every copy is of one moment (flows/moves/syncing.py). The last sync begins when the machine has been seen off, whatever
its system, and is the last one only if the machine has been off until all of it was copied. If somebody has powered it
on, that was a sync like the others, and the machine is shut down once more.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from longshore.errors import Conflict, LongshoreError
from longshore.flows.facts import gather
from longshore.flows.moves.kept_copies import (
    is_of_landing,
    is_of_no_sync,
    is_synchronised,
    keep_copy,
    next_look,
    raise_if_expired,
    stays,
    waits_for,
    why_kept,
)
from longshore.flows.moves.look import Choice
from longshore.flows.moves.migration import Migration, figures_of, result_of
from longshore.flows.moves.source_side import (
    Off,
    find_source,
    refuse_other_disks,
    shut_down,
    source_running,
    track_changes,
)
from longshore.flows.moves.syncing import Syncing, SyncState, after, after_break, look_at_source
from longshore.flows.moves.syncs import Sync, Turn, next_moment, next_turn, same_reason, why_waiting
from longshore.flows.moves.target_side import Prepared, make_ports
from longshore.flows.undo import undo
from longshore.model.forms import form
from longshore.model.guest import GuestFindings
from longshore.model.job import JobKind
from longshore.model.request import Cutover
from longshore.planning import land
from longshore.store.tables import without_zone

CUTOVERS = 3  # times the machine is shut down: whoever powers it on again and again doesn't want it moved


class WarmBegin(Migration):
    async def _forward(self) -> None:
        prepared, volumes, ports = await self._begin()
        await self._job.step("track-changes", track_changes, self._job)
        await self._job.step("go-on", self._go_on, SyncState(prepared, volumes, ports))

    def _go_on(self, state: SyncState) -> None:
        self._job.end(next_kind=JobKind.SYNC, state=state.kept())


class WarmSync(Syncing):
    goes_back = True
    _lands = True  # as far as was seen by looking into the first copy

    async def _forward(self) -> dict[str, Any] | None:
        state = await self._job.step("state", self._load)
        await self._job.step("tidy", self._tidy, state)
        turn = await self._job.step("turn", self._choose, state)
        again = bool(state.held)  # then it lands by what another try was asked for with
        if again and (turn is Turn.CUT_OVER or (turn is Turn.SYNC and not is_synchronised(self._job))):
            state, again = await self._prepare_again(state), False
        if turn is Turn.SYNC:
            if not is_synchronised(self._job):
                await self._job.step("track-changes", track_changes, self._job, known=state.prepared.machine)
            _, state = await self._sync(state)
            if state.choice is None and not state.held:  # there is something to look into, and the machine runs
                choice = await self._look_into_copies(state.prepared, state.volumes, state.ports)
                state = replace(state, choice=choice)
            turn = await self._job.step("turn-after", self._choose, state)
        if turn is Turn.CUT_OVER:
            return await self._cut_over(await self._prepare_again(state) if again else state)
        await self._job.step("go-on", self._go_on, state, turn)
        return None

    async def _prepare_again(self, state: SyncState) -> SyncState:
        """Decide the landing anew, by the options of this try. The machine runs, and nothing has been done to it."""
        prepared = await self._job.step("prepare-again", self._land_again, state.prepared)
        before, asked = state.prepared.landing.request, prepared.landing.request
        same = (before.landing, before.accept, before.guest_keys) == (asked.landing, asked.accept, asked.guest_keys)
        return replace(state, prepared=prepared, choice=state.choice if same else None)

    def _land_again(self, before: Prepared) -> Prepared:
        """Ask both clouds again, and decide the landing. Its volumes are there: no quota has to have room for them.

        Raise InvalidInput when it can't land.
        """
        job = self._job
        job.raise_if_cancelled()
        find_source(job, before.machine)
        with job.clouds.source(job.record.source_id) as source:
            machine = replace(before.machine, power=source.power_state(job.record.machine_ref))
            room = source.room()
        with job.clouds.target(job.record.target_id) as target:
            facts = gather(target, machine, job.request, room, converts_here=True)
        there = replace(facts.room, volumes=None, gigabytes=None, largest_volume=None, volume_types={})
        return self._prepared(machine, *land(machine, job.request, replace(facts, room=there)))

    def _load(self) -> SyncState:
        job = self._job
        job.raise_if_cancelled()
        return form(SyncState).validate_python(job.store.migrations.get(job.id).state)

    def _tidy(self, state: SyncState) -> None:
        """Take away what a try that failed has left, before the volumes are written to again. Raise Conflict if that
        can't be."""
        job = self._job
        if left := undo(
            job.store, job.clouds, job.id, lambda entry: is_of_landing(entry) or is_of_no_sync(entry, state)
        ):
            raise Conflict(f"What an earlier try has left has to go first. {' '.join(left)}")

    def _choose(self, state: SyncState) -> Turn:
        job = self._job
        job.raise_if_cancelled()
        cutover, asked = self._wished()
        now = datetime.now(UTC)
        if not asked:
            raise_if_expired(job, state, now)
        if not is_synchronised(job) and state.number == 1:  # what has changed since isn't tracked: that takes a while
            return Turn.SYNC if asked else Turn.WAIT
        if not is_synchronised(job) and not asked:
            return Turn.WAIT
        turn = next_turn(cutover, state.history, now, asked=asked, held=bool(state.held))
        if turn is Turn.CUT_OVER:
            if not job.store.migrations.begin_cutover(job.id, job.job_id, cutover, asked=asked):
                return self._choose(state)
            self._refuse_changed(state)
        return turn

    def _refuse_changed(self, state: SyncState) -> None:
        """Raise Conflict, while the machine runs, when its disks aren't those that were copied, or somebody has deleted
        a volume that they were copied to."""
        job, copied = self._job, state.prepared.machine
        refuse_other_disks(job, copied.disks, look_at_source(job, copied).disks)
        with job.clouds.target(job.record.target_id) as target:
            pairs = zip(copied.disks, state.volumes, strict=True)
            gone = [disk.label for disk, volume in pairs if not target.has_volume(volume.id)]
        if gone:
            raise Conflict(
                f"The volume of {', '.join(gone)} was deleted at the target.",
                advice="Cancel this migration, and start a new one.",
                code="drifted",
            )

    def _wished(self) -> tuple[Cutover, bool]:
        """Return when it is to be cut over, and whether somebody has asked for that: both may change while it runs."""
        record = self._job.store.migrations.get(self._job.id)
        return form(Cutover).validate_python(record.request.get("cutover") or {}), record.cutover_requested

    def _go_on(self, state: SyncState, turn: Turn) -> None:
        """End this job, and queue the one that does what comes next, at once or when its moment has come."""
        job = self._job
        due, told = None, {}
        if turn is Turn.WAIT:
            now = datetime.now(UTC)
            due = without_zone(self._next_moment(state, now))
            why = why_kept(job, state) if state.held else why_waiting(self._wished()[0], state.history, now)
            if not same_reason(why, state.why) or not is_synchronised(job):  # then it is a reminder
                job.say(why, phase="waiting")
            state, told = replace(state, why=why), {"phase": "waiting"}
        # Who sees it wait finds the job that it waits for: both are written at once
        job.end(next_kind=JobKind.SYNC, due_at=due, state=state.kept(), **told)

    def _next_moment(self, state: SyncState, now: datetime) -> datetime:
        due = now + timedelta(seconds=waits_for(self._job))
        if is_synchronised(self._job):
            due = next_moment(self._wished()[0], state.history, now)
        return next_look(self._job, state, due, now)

    async def _cut_over(self, state: SyncState) -> dict[str, Any]:
        job = self._job
        # Those that were made at first are gone where a cutover has failed before
        ports = state.ports or await job.step("ports", make_ports, job, state.prepared, {})
        if state.choice is None:  # it is to land in another way than the try before
            choice = await self._look_into_copies(state.prepared, state.volumes, ports)
            state = replace(state, choice=choice)
        for _ in range(CUTOVERS):
            off = await job.step(f"shut-down-{state.number}", shut_down, job, state.prepared.machine)
            last, state = await self._sync(state, off)
            if last.final:
                break
            again = f"{job.record.machine_name} was powered on after it had been shut down: it is copied once more."
            await job.step(f"again-{last.number}", job.say, again, "warning")
        else:
            raise source_running(job.record.machine_name)
        prepared = state.prepared
        assert state.choice is not None  # from after the first sync
        server, report, proof = await self._land(prepared, state.volumes, ports, state.choice, off)
        return result_of(prepared, server, ports, figures_of(state.totals, last.copies), report, proof)

    async def _judge(self, prepared: Prepared, findings: GuestFindings, again: str = "") -> Choice:
        try:
            return await super()._judge(prepared, findings, again)
        except LongshoreError:
            self._lands = False
            raise

    async def _sync(self, state: SyncState, off: Off | None = None) -> tuple[Sync, SyncState]:
        """Copy all disks as they are at one moment. Return the sync, and the state that the next one goes by.

        `off`: the machine was seen off, so that this may be the last one.
        """
        number = state.number
        name = f"sync-{number}"
        what = "the last changes" if off else f"what has changed (sync {number})" if number else "all disks"
        if state.partly:
            what = "what hasn't arrived yet, and what has changed"
        moment = await self._job.step(f"{name}-moment", self._begin_sync, what, off is not None)
        copied = await self._copy_snapshot(state, moment, off)
        await self._drop_snapshots(state, copied)
        ended = await self._job.step(f"{name}-end", self._now)
        sync = Sync(number, copied.moment, ended, tuple(copied.copies), copied.final)
        state = after(state, sync, copied.snapshot)
        await self._job.step(f"{name}-record", self._record, sync, state)
        return sync, state

    def _begin_sync(self, what: str, final: bool) -> datetime:
        self._job.phase("last-sync" if final else "syncing", f"Copying {what}.")
        return datetime.now(UTC)

    def _record(self, sync: Sync, state: SyncState) -> None:
        self._job.store.migrations.add_sync(self._job.id, sync.as_record(), state.kept())
        self._forget_files(sync)
        if not state.held:
            self._job.store.migrations.update(self._job.id, error=None, error_code=None)
        changed = "" if sync.changed is None or not sync.number else f", {sync.changed / (1 << 20):.1f} MiB had changed"
        self._job.say(f"Copied and verified in {sync.seconds:.0f} s{changed}.")

    # What fails

    def _fail(self, error: LongshoreError) -> None:
        job = self._job
        record = job.store.migrations.get(job.id)
        state = form(SyncState).validate_python(record.state)
        begun = state.bases is not None or any(disk.progress for disk in record.disks)
        other = self._other_landing(error)
        if not (begun and (other or (stays(job, error) and (self._lands or state.held)))):
            self._roll_back(error)
        else:
            state = after_break(job, state, self._copying, f"sync-{state.number}")
            landing = job.store.jobs.get(job.job_id).kind is JobKind.CUTOVER
            keep_copy(job, error, state, landing=landing, other=other)
