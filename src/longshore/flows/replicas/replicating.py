"""A replica's job: one sync of its machine to one more point, or something else that is wanted of it.

    the first one:  prepare → volumes → track changes
    a sync:         look at the machine → snapshot → copy and verify → one snapshot for each volume: a point
                      → drop the source's snapshot → remove the points that the policy doesn't keep

The replica's record has one job at a time, so nothing writes to its volumes while a point is made of them, and no point
goes by the retention while one comes. The volumes' own content is never what a machine is made of: a sync that is
broken off leaves them between two moments, and the points as they are. What it may have written is known
(docs/formats/dirty.md), so the next sync copies that again, whatever the source says has changed.

A sync that fails takes back what it has made, and the next one comes soon. Only what fails before there is anything to
keep ends the replica; and who deletes it has everything of it taken back.
"""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from longshore.errors import Cancelled, Conflict, LongshoreError
from longshore.flows.moves.copying import DiskBase
from longshore.flows.moves.migration import figures_of, result_of
from longshore.flows.moves.source_side import (
    Off,
    run_source_again,
    shut_down,
    source_running,
    track_changes,
)
from longshore.flows.moves.syncing import Round, Syncing, SyncState, after, after_break, look_at_source
from longshore.flows.moves.syncs import Sync
from longshore.flows.moves.target_side import Prepared, make_ports, volume_request
from longshore.flows.replicas.at_home import commit_failback, undo_failback
from longshore.flows.replicas.auditing import Audit, audit, outcome, verdict
from longshore.flows.replicas.failing_over import commit_failover, undo_failover
from longshore.flows.replicas.landing import landing_of, refuse_landings
from longshore.flows.replicas.looking import begin_look_if_due, begin_test_if_due, end_looks
from longshore.flows.replicas.marks import disks_of, of_volume
from longshore.flows.replicas.migrating import begin_afresh, take_back
from longshore.flows.replicas.moments import after_begin, after_end, after_failure, at_rest, begin_by, mistimed
from longshore.flows.replicas.points import find_lost, is_of_any_point, is_of_point, snapshot_disk, thin
from longshore.flows.replicas.seeding import base_of, find_seed, write_seed
from longshore.flows.undo import undo
from longshore.model.forms import form
from longshore.model.machine import Machine, PowerState
from longshore.model.point import Consistency
from longshore.model.replica import OF_RUN, PointState, Stage, Wish
from longshore.model.target import Volume
from longshore.planning.protection_figures import WINDOWS
from longshore.store import EntryState, LedgerRecord, ReplicaRecord, ThingKind
from longshore.store.jobs import NEVER
from longshore.store.tables import utc_now, with_zone

_REMEMBERED = max(WINDOWS) + timedelta(days=1)  # how long it is known when points came


class ReplicaTurn(StrEnum):
    SYNC = "sync"
    AUDIT = "audit"
    REST = "rest"
    FAILOVER = "failover"
    UNDO = "undo"  # the failover
    COMMIT = "commit"
    UNDO_FAILBACK = "undo-failback"
    COMMIT_FAILBACK = "commit-failback"
    MIGRATE = "migration"


# What is done at these turns, and the wishes that they fulfil
_ENDS = {
    ReplicaTurn.UNDO: (undo_failover, Wish.UNDO),
    ReplicaTurn.COMMIT: (commit_failover, Wish.COMMIT),
    ReplicaTurn.UNDO_FAILBACK: (undo_failback, Wish.UNDO),
    ReplicaTurn.COMMIT_FAILBACK: (commit_failback, Wish.COMMIT),
}


@dataclass(frozen=True, slots=True)
class MachineAtSync:
    """The machine as it is when a sync begins."""

    machine: Machine
    off: Off | None  # None: it runs


class Replicating(Syncing):
    async def _forward(self) -> dict[str, Any] | None:
        turn = await self._job.step("turn", self._choose)
        match turn:
            case ReplicaTurn.SYNC | ReplicaTurn.AUDIT:
                await self._sync(await self._begun(), audits=turn is ReplicaTurn.AUDIT)
            case ReplicaTurn.FAILOVER:
                state = await self._begun()
                await self._job.step("can-land", self._refuse_landing, state)
                await self._sync(state, last=True)
            case ReplicaTurn.MIGRATE:
                return await self._migrate(await self._begun())
            case _ if turn in _ENDS:
                end, wish = _ENDS[turn]
                await self._job.step(wish.value, end, self._job)
        await self._job.step("go-on", self._go_on, turn)
        return None

    async def _migrate(self, state: SyncState) -> dict[str, Any]:
        """Cut the replica over as a warm migration is: its own volumes are once more looked into and brought up to
        date.

        What can fail without stopping the machine comes first.
        """
        job = self._job
        up = await job.step("afresh", begin_afresh, job, state)
        if up:  # under another flow version, whose worker was ended before it handed it over
            return {"server_id": job.store.migrations.get(job.id).server_id, "ports": []}
        ports = await job.step("ports", make_ports, job, state.prepared, {})
        choice = await self._look_into_copies(state.prepared, state.volumes, ports)
        off, copied = await self._sync(state, last=True)
        server, report, proof = await self._land(state.prepared, state.volumes, ports, choice, off)
        figures = figures_of(state.totals.plus(copied.copies), copied.copies)
        return result_of(state.prepared, server, ports, figures, report, proof)

    def _hand_over(self, result: dict[str, Any]) -> None:
        """Hand the migrated machine over. All points go with it: their snapshots are none of what is handed over."""
        job = self._job
        job.store.points.all_removed(job.id)
        job.store.groups.leave(job.id)
        job.store.replicas.update(job.id, stage=Stage.COMMITTED.value, error=None, error_code=None)
        super()._hand_over(result)

    def _choose(self) -> ReplicaTurn:
        job = self._job
        job.raise_if_cancelled()
        replica = job.store.replicas.get(job.id)
        now = utc_now()
        if late := mistimed(replica, with_zone(now)):
            job.store.replicas.update(job.id, **late)
            replica = job.store.replicas.get(job.id)
        begin_test_if_due(job, replica)
        if replica.wish is Wish.AUDIT:  # which is due until one has succeeded
            job.store.replicas.update(job.id, audit_due_at=now)
            job.store.replicas.fulfil(job.id, Wish.AUDIT)
            return ReplicaTurn.AUDIT
        syncs = (
            ReplicaTurn.AUDIT if replica.audit_due_at is not None and replica.audit_due_at <= now else ReplicaTurn.SYNC
        )
        if replica.wish is Wish.SYNC:
            return syncs
        if replica.wish is Wish.MIGRATE and (left := end_looks(job)):
            raise Conflict(f"What looks have left has to go first. {' '.join(left)}")
        if replica.stage is Stage.FAILED_BACK and replica.wish in (Wish.UNDO, Wish.COMMIT):
            return ReplicaTurn.UNDO_FAILBACK if replica.wish is Wish.UNDO else ReplicaTurn.COMMIT_FAILBACK
        if replica.wish is not None:
            return ReplicaTurn(replica.wish.value)
        rests = replica.rests(now) or (replica.due_at is not None and now < replica.due_at)
        return syncs if _is_synchronised(replica) and not rests else ReplicaTurn.REST

    async def _begun(self) -> SyncState:
        """Return what the sync before has left; before the first one, make what all of them need."""
        kept = await self._job.step("state", self._load)
        if kept and kept[0].choice is not None:  # a warm migration's: it is one no longer
            state = replace(kept[0], ports=[], choice=None, why="")
            await self._job.step("keep", self._keep_migration, state)
            return state
        if kept:
            return kept[0]
        prepared, volumes = await self._begin_volumes()
        await self._job.step("track-changes", track_changes, self._job)
        state = SyncState(prepared, volumes, [], bases=await self._seed(prepared, volumes))
        await self._job.step("begun", self._keep, state)
        return state

    async def _seed(self, prepared: Prepared, volumes: list[Volume]) -> dict[str, DiskBase] | None:
        """Return the bases from which the first sync copies only what differs; None: there is nothing yet."""
        job = self._job
        seed = (await asyncio.to_thread(job.store.replicas.get, job.id)).seed
        if seed is None:
            return None
        found = await job.step("seed", find_seed, job, seed, prepared.machine)
        job.begin_together()
        pairs = [
            (disk, volume)
            for disk, volume in zip(prepared.machine.disks, volumes, strict=True)
            if disk.key in found.change_ids
        ]
        copies = await self._side_by_side(
            [job.step(f"seed-{disk.key}", write_seed, job, found, disk, volume) for disk, volume in pairs]
        )
        return {copy.disk_key: base_of(found, copy) for copy in copies}

    def _keep_migration(self, state: SyncState) -> None:
        """Keep what the migration has copied as the replica's seed. Its ports go: each machine made of a point gets its
        own.

        Raise Conflict when one can't be removed.
        """
        job, ports = self._job, (ThingKind.PORT, ThingKind.FLOATING_ADDRESS)
        if left := undo(job.store, job.clouds, job.id, lambda entry: entry.kind in ports):
            raise Conflict(f"What the migration has made has to go first. {' '.join(left)}")
        self._keep(state)
        job.say("The migration is a replica from now on. The next sync makes its first point.")

    def _load(self) -> list[SyncState]:
        """Return what the sync before has left, if anything. From here on a further wish is for a further sync.

        The turn is recorded by then, so a kill loses no wish; and whatever fails from here on, none is there that would
        have the next sync come at once.
        """
        self._job.store.replicas.fulfil(self._job.id, Wish.SYNC)
        kept = self._job.store.migrations.get(self._job.id).state
        return [form(SyncState).validate_python(kept)] if kept else []

    def _keep(self, state: SyncState) -> None:
        job = self._job
        with job.clouds.target(job.record.target_id) as target:
            for disk, volume in zip(state.prepared.machine.disks, state.volumes, strict=True):
                marks = of_volume(job.id, state.prepared.machine, disk)
                target.finish_volume(volume.id, replace(volume_request(job, state.prepared, disk), metadata=marks))
        job.store.migrations.update(job.id, state=state.kept())

    # One sync

    async def _sync(self, state: SyncState, *, last: bool = False, audits: bool = False) -> tuple[Off | None, Round]:
        """Make one more point. Return since when the machine was seen off, and what was copied.

        `last`: the machine is shut down for it. Raise SourceRunning when it was powered on meanwhile. `audits`: all is
        read and compared, as far as there is something to compare with.
        """
        job, number = self._job, state.number
        name = f"sync-{number}"
        await job.step("tidy", self._tidy, state)
        seen = await job.step("machine", self._look, state)
        off = await job.step("shut-down", shut_down, job) if last else seen.off
        audits = audits and state.bases is not None and not state.written_to  # else the next one is
        moment = await job.step(f"{name}-moment", self._begin_point, state, audits=audits)
        copied = await self._copy_snapshot(state, moment, off, all_of_it=audits)
        if last and not copied.final:
            raise source_running(job.record.machine_name)
        audited = await job.step("audit", audit, job, state, copied) if audits else None
        consistency = _consistency(copied)
        machine = called(seen.machine, state.called)
        pairs = list(zip(machine.disks, state.volumes, copied.copies, strict=True))
        job.begin_together()
        snapshots = await self._side_by_side(
            [
                job.step(
                    f"point-{disk.key}",
                    snapshot_disk,
                    job,
                    number + 1,
                    copied.moment,
                    consistency,
                    machine,
                    disk,
                    volume,
                    copy.root_digest,
                )
                for disk, volume, copy in pairs
            ]
        )
        ended = await job.step(f"{name}-end", self._now)
        sync = Sync(number, copied.moment, ended, tuple(copied.copies))
        made = {
            disk.key: (volume.id, snapshot.id, copy.root_digest, copied.snapshot.disk(copy.disk_key).change_id)
            for (disk, volume, copy), snapshot in zip(pairs, snapshots, strict=True)
        }
        following = after(state, sync, copied.snapshot)
        await job.step(f"{name}-record", self._complete, sync, following, consistency, machine, made, audited)
        # There is a point by now: what can't be removed is, before the next snapshot is taken
        await self._drop_snapshots(state, replace(copied, final=False))
        await job.step("retention", self._thin)
        return off, copied

    def _refuse_landing(self, state: SyncState) -> None:
        """Raise InvalidInput, before the machine is shut down, with all that stands against its server."""
        job = self._job
        wished = job.store.replicas.get(job.id).wished or {}
        machine = called(self._look(state).machine, state.called)
        job.phase("preparing", "Looking whether it can land, before it is shut down.")
        refuse_landings(job.clouds, job.record.target_id, [(machine, landing_of(wished))])

    def _tidy(self, state: SyncState) -> None:
        """Take away what earlier syncs have left. Raise Conflict when something can't be removed.

        A source that still merges an earlier snapshot may give a wrong account of what has changed.
        """
        job = self._job
        job.raise_if_cancelled()
        there = {point.number for point in job.store.points.all(job.id) if point.state is not PointState.MAKING}
        base = f"snapshot-{state.number - 1}" if state.base is not None else None
        own = f"snapshot-{state.number}"  # of an earlier run of this sync, which was killed: it goes on with that

        def is_left(entry: LedgerRecord) -> bool:
            if entry.kind is ThingKind.SOURCE_SNAPSHOT:
                return entry.step != base and (entry.step != own or entry.state is EntryState.LEFT)
            return is_of_any_point(entry) and not any(is_of_point(entry, number) for number in there)

        if left := undo(job.store, job.clouds, job.id, is_left):
            raise Conflict(f"What an earlier sync has left has to go first. {' '.join(left)}")

    def _look(self, state: SyncState) -> MachineAtSync:
        """Return the machine as a point describes it: as it is now, but for its tags and user data, which stay those of
        the first look."""
        job, before = self._job, state.prepared.machine
        machine, off = look_at_source(job, before), None
        if machine.power is PowerState.OFF:
            with job.clouds.source(job.record.source_id) as source:
                off = Off(source.last_start(machine.ref))
        settings = replace(machine.server_settings, user_data=before.server_settings.user_data)
        disks = {disk.key: disk for disk in machine.disks}
        # In the order of the volumes; whether they are still the same ones is seen by the snapshot
        same = tuple(disks.get(disk.key, disk) for disk in before.disks)
        return MachineAtSync(replace(machine, disks=same, tags=before.tags, server_settings=settings), off)

    def _begin_point(self, state: SyncState, *, audits: bool) -> datetime:
        """Return the moment of the point: before the source's snapshot is asked for, and durable."""
        job, number = self._job, state.number
        now = datetime.now(UTC)
        replica = job.store.replicas.get(job.id)
        due = after_begin(replica, now)
        job.store.replicas.update(job.id, due_at=due.at, missed=replica.missed + due.missed)
        if due.missed:
            job.say(f"{due.missed} sync(s) were missed; this one makes up for them.", "warning")
        what = f"what has changed, for point {number + 1}" if state.bases is not None else "all disks"
        if state.partly:
            what = f"what hasn't arrived yet, and what has changed, for point {number + 1}"
        job.phase("syncing", f"Reading everything, for point {number + 1}." if audits else f"Copying {what}.")
        entries = job.store.ledger.entries(job.id)
        goes_on = any(e.step == f"snapshot-{number}" and e.state is not EntryState.REMOVED for e in entries)
        return job.store.points.begin(job.id, number + 1, now, goes_on=goes_on)

    def _complete(  # noqa: PLR0917
        self,
        sync: Sync,
        following: SyncState,
        consistency: Consistency,
        machine: Machine,
        made: dict[str, tuple[str, str, str, str | None]],
        found: Audit | None,
    ) -> None:
        job = self._job
        described = Prepared(machine, following.prepared.landing)
        before = job.store.replicas.get(job.id)
        # The first one is an audit, too, unless it goes by what its seed's source has told
        read_all = not sync.number and all(copy.changed is None for copy in sync.copies)
        audited = outcome(before, sync, found) if found is not None or read_all else None
        job.store.points.complete(
            job.id,
            sync.number + 1,
            usable_at=sync.ended,
            consistency=consistency,
            disks=disks_of(machine, made),
            machine=form(Prepared).dump_python(described, mode="json"),
            sync=sync.as_record(),
            state=following.kept(),
            audit=audited,
        )
        self._forget_files(sync)
        if found is not None:
            job.say_each(found.sentences(), "error")
            job.say(verdict(found, before, sync), "information" if found.is_good else "error")
        changed = "" if sync.changed is None else f", {sync.changed / (1 << 20):.1f} MiB had changed"
        job.say(f"Point {sync.number + 1} is usable after {sync.seconds:.0f} s{changed} ({consistency.value}).")

    def _thin(self) -> None:
        job = self._job
        replica = job.store.replicas.get(job.id)
        self._compare_points()
        job.say_each(thin(job.store, job.clouds, job.id, replica.retention), "warning")
        job.store.points.forget(job.id, datetime.now(UTC) - _REMEMBERED)

    def _compare_points(self) -> None:
        """Find points whose snapshots others have deleted at the target. There is a new point by now, so a target that
        can't be asked is only told of."""
        job = self._job
        try:
            points = job.store.points.usable(job.id)
            made = max(points, key=lambda point: point.number, default=None)
            with job.clouds.target(job.record.target_id) as target:
                lost = find_lost(job.store, target, job.id, points, made=made)
        except LongshoreError as error:
            if error.code == Cancelled.code:
                raise
            job.say(f"The target couldn't be asked whether it still has all points: {error}", "warning")
            return
        for sentence in lost:
            job.say(f"{sentence} Somebody has deleted it there.", "error")

    # Its end

    def _go_on(self, turn: ReplicaTurn) -> None:
        job, now = self._job, datetime.now(UTC)
        replica = job.store.replicas.get(job.id)
        if turn is ReplicaTurn.REST or turn in _ENDS:
            due = at_rest(replica, now, synchronised=_is_synchronised(replica))
            _, done = _ENDS.get(turn, (None, None))
            place = begin_by(replica, job.store.points.arrivals(job.id, now), due, now)
            job.store.replicas.end_job(job.id, job.job_id, due_at=due, begin_by=place, done=done)
            return
        if turn is ReplicaTurn.FAILOVER:
            number = form(SyncState).validate_python(job.store.migrations.get(job.id).state).number
            lands = {**(replica.wished or {}), "point": number}
            waits = lands.pop(OF_RUN, None) is not None
            job.store.replicas.end_job(job.id, job.job_id, due_at=NEVER, done=Wish.FAILOVER, lands=lands, waits=waits)
            return
        begin_look_if_due(job, form(SyncState).validate_python(job.store.migrations.get(job.id).state).prepared)
        arrivals = job.store.points.arrivals(job.id, now)
        due = after_end(replica, arrivals, now)
        place = begin_by(replica, arrivals, due, now)
        job.store.replicas.end_job(job.id, job.job_id, due_at=due, begin_by=place)

    def _fail(self, error: LongshoreError) -> None:
        """End this sync, which has come to nothing; what is there of earlier ones stays as it is."""
        job = self._job
        record = job.store.migrations.get(job.id)
        begun = record.state is not None or job.store.replicas.get(job.id).stage is not Stage.SEEDING
        if error.code == Cancelled.code or not begun:
            self._roll_back(error)
            return
        job.ignore_cancel()
        if record.state is not None:
            before = form(SyncState).validate_python(record.state)
            state = after_break(job, before, self._copying, f"sync-{before.number}")
            number, base = before.number, state.base if state.number > before.number else None
            job.say_each(
                undo(job.store, job.clouds, job.id, lambda entry: _is_of_sync(entry, number, snapshot=base is None)),
                "warning",
            )
            job.store.points.discard(job.id, number + 1)
            job.store.migrations.update(job.id, state=state.kept())
        what = "sync"
        if job.store.replicas.get(job.id).stage is Stage.MIGRATING:
            what = "migration"
            job.say_each(take_back(job), "error")
            job.store.replicas.fulfil(job.id, Wish.MIGRATE)
            job.store.replicas.update(job.id, stage=Stage.PROTECTED.value)
        job.say_each(run_source_again(job), "error")
        if job.store.replicas.get(job.id).wish is Wish.FAILOVER:
            job.store.replicas.update(job.id, failover_error=str(error))
        job.store.replicas.fulfil(job.id, Wish.FAILOVER)
        replica = job.store.replicas.get(job.id)
        now = datetime.now(UTC)
        due = after_failure(replica, now)
        said = str(error)
        if said != replica.error:
            again = f"The next sync is due at {due:%H:%M:%S} UTC." if due < NEVER else "The replica is paused."
            job.say(f"The {what} failed: {said} {again}", "error")
        job.store.replicas.end_job(
            job.id,
            job.job_id,
            due_at=due,
            begin_by=begin_by(replica, job.store.points.arrivals(job.id, now), due, now),
            failed=True,
            failures=replica.failures + 1,
            error=said,
            error_code=error.code,
        )

    def _take_back(self) -> list[str]:
        left = [*end_looks(self._job), *super()._take_back()]
        self._job.store.points.all_removed(self._job.id)
        return left


def _is_synchronised(replica: ReplicaRecord) -> bool:
    return replica.stage in (Stage.SEEDING, Stage.PROTECTED)


def called(machine: Machine, names: dict[str, str]) -> Machine:
    """Return the machine with its disks called as the replica's volumes and points call them: by its first machine's
    keys."""
    return replace(machine, disks=tuple(replace(disk, key=names.get(disk.key, disk.key)) for disk in machine.disks))


def _is_of_sync(entry: LedgerRecord, number: int, *, snapshot: bool) -> bool:
    """Tell whether the thing was made by this sync. `snapshot`: that of the source counts, too."""
    of_source = snapshot and entry.kind is ThingKind.SOURCE_SNAPSHOT
    return is_of_point(entry, number + 1) or (of_source and entry.step == f"snapshot-{number}")


def _consistency(copied: Round) -> Consistency:
    if copied.final:
        return Consistency.OFF
    return Consistency.FILE_SYSTEMS if copied.snapshot.quiesced else Consistency.CRASH
