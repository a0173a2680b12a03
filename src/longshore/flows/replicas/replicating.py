"""A replica's job: one sync of its machine to one more point, or what else is wanted of it.

    the first one:  prepare → volumes → track changes
    a sync:         look at the machine → snapshot → copy and verify → one snapshot for each volume: a point
                      → drop the source's snapshot → remove the points that the policy doesn't keep

The replica's record has one job at a time, so nothing writes to its volumes while a point is made of them, and no point
goes while one comes. The volumes' own content is never what a machine is made of: a sync that is broken off leaves them
between two moments, and the points as they are. What it may have written is known (docs/formats/dirty.md), so the next
sync copies that again, whatever the source says has changed.

A sync that fails takes back what it has made, and the next one comes soon. Only what fails before there is anything to
keep ends the replica; and who deletes it has everything of it taken back.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial

from longshore.engine.steps import step
from longshore.errors import Cancelled, Conflict, LongshoreError
from longshore.flows.moves.source_side import Off, drop_last_snapshot, shut_down, source_running, track_changes
from longshore.flows.moves.syncing import Round, State, Syncing, after
from longshore.flows.moves.syncs import Sync
from longshore.flows.moves.target_side import Prepared, volume_request
from longshore.flows.replicas.failing_over import commit_failover, run_source_again, undo_failover
from longshore.flows.replicas.marks import disks_of, of_volume
from longshore.flows.replicas.moments import after_begin, after_end, after_failure, at_rest
from longshore.flows.replicas.points import is_of_any_point, is_of_point, snapshot_disk, thin
from longshore.flows.undo import undo
from longshore.model.forms import form
from longshore.model.machine import Machine, PowerState
from longshore.model.point import Consistency
from longshore.model.replica import PointState, Stage, Wish
from longshore.model.target import VolumeSnapshot
from longshore.planning.protection_figures import WINDOWS
from longshore.store import Entry, EntryState, ReplicaRecord, ThingKind
from longshore.store.jobs import NEVER

_REMEMBERED = max(WINDOWS) + timedelta(days=1)  # how long it is known when points came


class Turn(StrEnum):
    SYNC = "sync"
    REST = "rest"
    FAILOVER = "failover"
    UNDO = "undo"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class Seen:
    """The machine as it is when a sync begins."""

    machine: Machine
    off: Off | None  # None: it runs


class Replicating(Syncing):
    async def run(self) -> None:
        try:
            await self._forward()
        except LongshoreError as error:
            if error.code == Cancelled.code:
                await step("roll-back", type(None), partial(self._roll_back, error))
            else:
                await step("failed", type(None), partial(self._fail, error))

    async def _forward(self) -> None:
        turn = await step("turn", Turn, self._choose)
        match turn:
            case Turn.SYNC:
                await self._sync(await self._begun())
            case Turn.FAILOVER:
                await self._sync(await self._begun(), last=True)
            case Turn.UNDO:
                await step("undo", type(None), partial(undo_failover, self._job))
            case Turn.COMMIT:
                await step("commit", type(None), partial(commit_failover, self._job))
        await step("go-on", type(None), partial(self._go_on, turn))

    def _choose(self) -> Turn:
        job = self._job
        job.raise_if_cancelled()
        replica = job.store.replicas.get(job.id)
        now = datetime.now(UTC).replace(tzinfo=None)
        if replica.wish is Wish.SYNC:
            job.store.replicas.fulfil(job.id, Wish.SYNC)  # from here on a further wish is for a further one
            return Turn.SYNC
        if replica.wish is not None:
            return Turn(replica.wish.value)
        rests = replica.rests(now) or (replica.due_at is not None and now < replica.due_at)
        return Turn.SYNC if _is_synchronised(replica) and not rests else Turn.REST

    async def _begun(self) -> State:
        """What the sync before has left; before the first one, what all of them need is made."""
        kept = await step("state", list[State], self._load)
        if kept:
            return kept[0]
        prepared, volumes = await self._begin_volumes()
        await step("track-changes", type(None), partial(track_changes, self._job))
        state = State(prepared, volumes, [])
        await step("begun", type(None), partial(self._keep, state))
        return state

    def _load(self) -> list[State]:
        kept = self._job.store.migrations.get(self._job.id).state
        return [form(State).validate_python(kept)] if kept else []

    def _keep(self, state: State) -> None:
        job = self._job
        with job.clouds.target(job.record.target_id) as target:
            for disk, volume in zip(state.prepared.machine.disks, state.volumes, strict=True):
                marks = of_volume(job.id, state.prepared.machine, disk)
                target.finish_volume(volume.id, replace(volume_request(job, state.prepared, disk), metadata=marks))
        job.store.migrations.update(job.id, state=state.kept())

    # One sync

    async def _sync(self, state: State, *, last: bool = False) -> None:
        """`last`: the machine is shut down for it. Raises SourceRunning when it was powered on meanwhile."""
        job, number = self._job, state.number
        name = f"sync-{number}"
        await step("tidy", type(None), partial(self._tidy, state))
        seen = await step("machine", Seen, partial(self._look, state))
        off = await step("shut-down", Off, partial(shut_down, job)) if last else seen.off
        copied = await self._copy_moment(state, partial(self._begin_point, number), off)
        if last and not copied.final:
            raise source_running(job.record.machine_name)
        consistency = _consistency(copied)
        pairs = list(zip(seen.machine.disks, state.volumes, copied.copies, strict=True))
        job.begin_together()
        snapshots = await self._side_by_side(
            [
                step(
                    f"point-{disk.key}",
                    VolumeSnapshot,
                    partial(
                        snapshot_disk,
                        job,
                        number + 1,
                        copied.moment,
                        consistency,
                        seen.machine,
                        disk,
                        volume,
                        copy.root_digest,
                    ),
                )
                for disk, volume, copy in pairs
            ]
        )
        ended = await step(f"{name}-end", datetime, lambda: datetime.now(UTC))
        sync = Sync(number, copied.moment, ended, tuple(copied.copies))
        made = {
            disk.key: (volume.id, snapshot.id, copy.root_digest)
            for (disk, volume, copy), snapshot in zip(pairs, snapshots, strict=True)
        }
        following = after(state, sync, copied.snapshot)
        recording = partial(self._complete, sync, following, consistency, seen.machine, made)
        await step(f"{name}-record", type(None), recording)
        # There is a point by now: what can't be removed is, before the next snapshot is taken
        await self._drop_snapshots(state, replace(copied, final=False), drop_last_snapshot)
        await step("retention", type(None), self._thin)

    def _tidy(self, state: State) -> None:
        """What earlier syncs have left goes before another begins.

        A source that still merges an earlier snapshot may give a wrong account of what has changed.
        Raises Conflict when something can't be removed.
        """
        job = self._job
        job.raise_if_cancelled()
        there = {point.number for point in job.store.points.all(job.id) if point.state is not PointState.MAKING}
        base = f"snapshot-{state.number - 1}" if state.base is not None else None
        own = f"snapshot-{state.number}"  # of an earlier run of this sync, which was killed: it goes on with that

        def is_left(entry: Entry) -> bool:
            if entry.kind is ThingKind.SOURCE_SNAPSHOT:
                return entry.step != base and (entry.step != own or entry.state is EntryState.LEFT)
            return is_of_any_point(entry) and not any(is_of_point(entry, number) for number in there)

        if left := undo(job.store, job.clouds, job.id, is_left):
            raise Conflict(f"What an earlier sync has left has to go first. {' '.join(left)}")

    def _look(self, state: State) -> Seen:
        """What a point says of its machine is what it was then, but for what takes calls of its own, or is a secret."""
        job, before = self._job, state.prepared.machine
        ref = job.record.machine_ref
        with job.clouds.source(job.record.source_id) as source:
            machine = source.machine(ref)
            off = Off(source.last_start(ref)) if machine.power is PowerState.OFF else None
        settings = replace(machine.server_settings, user_data=before.server_settings.user_data)
        disks = {disk.key: disk for disk in machine.disks}
        # In the order of the volumes; whether they are still the same ones is seen by the snapshot
        same = tuple(disks.get(disk.key, disk) for disk in before.disks)
        return Seen(replace(machine, disks=same, tags=before.tags, server_settings=settings), off)

    def _begin_point(self, number: int) -> datetime:
        """The moment of the point: before the source's snapshot is asked for, and durable."""
        job = self._job
        now = datetime.now(UTC)
        replica = job.store.replicas.get(job.id)
        due = after_begin(replica, now)
        job.store.replicas.update(job.id, due_at=due.at, missed=replica.missed + due.missed)
        if due.missed:
            job.say(f"{due.missed} sync(s) were missed; this one makes up for them.", "warning")
        job.phase("syncing", f"Copying {f'what has changed, for point {number + 1}' if number else 'all disks'}.")
        entries = job.store.ledger.entries(job.id)
        goes_on = any(e.step == f"snapshot-{number}" and e.state is not EntryState.REMOVED for e in entries)
        return job.store.points.begin(job.id, number + 1, now, goes_on=goes_on)

    def _complete(
        self,
        sync: Sync,
        following: State,
        consistency: Consistency,
        machine: Machine,
        made: dict[str, tuple[str, str, str]],
    ) -> None:
        job = self._job
        described = Prepared(machine, following.prepared.landing)
        job.store.points.complete(
            job.id,
            sync.number + 1,
            usable_at=sync.ended,
            consistency=consistency,
            disks=disks_of(machine, made),
            machine=form(Prepared).dump_python(described, mode="json"),
            sync=sync.as_record(),
            state=following.kept(),
        )
        self._forget_files(sync)
        changed = "" if sync.changed is None or not sync.number else f", {sync.changed / (1 << 20):.1f} MiB had changed"
        job.say(f"Point {sync.number + 1} is usable after {sync.seconds:.0f} s{changed} ({consistency.value}).")

    def _thin(self) -> None:
        job = self._job
        replica = job.store.replicas.get(job.id)
        for sentence in thin(job.store, job.clouds, job.id, replica.retention):
            job.say(sentence, "warning")
        job.store.points.forget(job.id, datetime.now(UTC) - _REMEMBERED)

    # Its end

    def _go_on(self, turn: Turn) -> None:
        job, now = self._job, datetime.now(UTC)
        replica = job.store.replicas.get(job.id)
        job.store.migrations.update(job.id, phase="waiting")
        if turn in (Turn.REST, Turn.UNDO, Turn.COMMIT):
            due = at_rest(replica, now, synchronised=_is_synchronised(replica))
            done = Wish(turn.value) if turn is not Turn.REST else None
            job.store.replicas.end_job(job.id, job.job_id, due_at=due, done=done)
            return
        if turn is Turn.FAILOVER:
            number = form(State).validate_python(job.store.migrations.get(job.id).state).number
            lands = {**(replica.wished or {}), "point": number}
            job.store.replicas.end_job(job.id, job.job_id, due_at=NEVER, done=Wish.FAILOVER, lands=lands)
            return
        due = after_end(replica, job.store.points.arrivals(job.id, now), now)
        job.store.replicas.end_job(job.id, job.job_id, due_at=due)

    def _fail(self, error: LongshoreError) -> None:
        """This sync has come to nothing; what is there of earlier ones stays as it is."""
        job = self._job
        record = job.store.migrations.get(job.id)
        if record.state is None:  # nothing is there yet that it could go on with
            self._roll_back(error)
            return
        job.ignore_cancel()
        number = form(State).validate_python(record.state).number
        for sentence in undo(job.store, job.clouds, job.id, lambda entry: _is_of_sync(entry, number)):
            job.say(sentence, "warning")
        job.store.points.discard(job.id, number + 1)
        for sentence in run_source_again(job):
            job.say(sentence, "error")
        job.store.replicas.fulfil(job.id, Wish.FAILOVER)
        replica = job.store.replicas.get(job.id)
        due = after_failure(replica, datetime.now(UTC))
        said = str(error)
        if said != replica.error:
            again = f"It is tried again from {due:%H:%M:%S} UTC on." if due < NEVER else "The replica is paused."
            job.say(f"The sync failed: {said} {again}", "error")
        job.store.migrations.update(job.id, phase="waiting")
        job.store.replicas.end_job(
            job.id,
            job.job_id,
            due_at=due,
            failed=True,
            failures=replica.failures + 1,
            error=said,
            error_code=error.code,
        )

    def _take_back(self) -> list[str]:
        left = super()._take_back()
        self._job.store.points.all_removed(self._job.id)
        return left


def _is_synchronised(replica: ReplicaRecord) -> bool:
    return replica.stage in (Stage.SEEDING, Stage.PROTECTED)


def _is_of_sync(entry: Entry, number: int) -> bool:
    return is_of_point(entry, number + 1) or (
        entry.kind is ThingKind.SOURCE_SNAPSHOT and entry.step == f"snapshot-{number}"
    )


def _consistency(copied: Round) -> Consistency:
    if copied.final:
        return Consistency.OFF
    return Consistency.FILE_SYSTEMS if copied.snapshot.quiesced else Consistency.CRASH
