"""Failback: the content of a failover's server is written back to the machine, which then runs in its place.

    both sides looked at → a snapshot of the machine: it can always go back to that
      → server snapshotted, its changes written back, while it runs; again, if that took long
      → server stopped, its last changes written back → change ids of the machine → the machine powered on, seen up

Written is what differs from the point that was failed over, on either side: what the server has written, and, with the
server's content, what the machine has written since the point. Where one of them can't tell, all of a disk is read on
both sides, and written is what differs.

Whatever fails before the machine is seen up takes it back to its snapshot, and the server runs again. Afterwards the
replica is told which of both is wanted (`longshore.flows.replicas.at_home`).
"""

import asyncio
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from longshore.blocks.exports import Export
from longshore.errors import BootError, Conflict, LongshoreError
from longshore.flows.moves.context import MachinePlace, MoveContext
from longshore.flows.moves.copying import Copied, DiskCopy
from longshore.flows.moves.downtime import downtime_of
from longshore.flows.moves.migration import CopyTotals, Migration, figures_of
from longshore.flows.moves.source_side import (
    Off,
    drop_if_possible,
    is_still_off,
    make_snapshot,
    power_on_again,
    require_still_off,
    shut_down,
    source_running,
    take_snapshot,
    take_still,
)
from longshore.flows.moves.told_changes import Told, ask_source, read_changes
from longshore.flows.replicas.former_addresses import put_addresses_back, were_changed
from longshore.flows.replicas.way_back import Pair, WayHome, find_way, machine_to_make
from longshore.flows.undo import undo
from longshore.model.changes import Changed, Changes, Unknown
from longshore.model.extents import Extent, merge
from longshore.model.machine import PowerState, Snapshot, ToolsState
from longshore.model.request import Verify
from longshore.model.target import Owner, Volume
from longshore.store import EntryState, ThingKind

HOME = "home"  # what the ledger calls the machine's snapshot, and the list of its changes
AFTER = "after"
ROUNDS = 3  # at most, while the server runs
QUICK = 60.0  # seconds: a round that took no longer is followed by the last one
_LOOK_EVERY = 2.0  # seconds


@dataclass(frozen=True, kw_only=True)
class HomeCopy(DiskCopy):
    """The copy that writes back to a disk of the machine what has changed on the server's."""

    pair: Pair
    home: Snapshot  # the machine's
    lists: tuple[Told, ...]  # of what differs: what the server has written, and in the first round the machine, too

    def _changes(self) -> Changes:
        return together([read_changes(self.job, self.disk, told) for told in self.lists])

    def _open_target(self, exports: ExitStack) -> Export:
        return open_home(self.job, self.home, self.pair, exports)


class Failback(Migration):
    async def _forward(self) -> dict[str, Any]:
        job = self._job
        await job.step("start", self._start)
        if job.request.new_machine:
            await job.step("make", self._make_machine)
        way = await job.step("prepare", self._look)
        untouched = await job.step("home-off", self._last_start, way)
        home = await job.step("protect", self._protect, way)
        told = await self._ask_home(way, home)
        await job.step("forget", self._forget_change_ids)
        totals, last = CopyTotals(), None
        lists: dict[str, list[str | None]] = {key: [one.file] for key, one in told.items()}
        disks = tuple(pair.disk for pair in way.pairs)
        for number in range(ROUNDS):
            began = await job.step(f"began-{number}", self._time)
            quiesce, called = job.request.quiesce, f"snapshot-{number}"
            snapshot = await job.step(called, take_snapshot, job, called, disks, quiesce=quiesce, first=False)
            copies = await self._write_back(number, way, home, snapshot, last, told, lists)
            ended = await job.step(f"ended-{number}", self._time)
            if last is not None:
                await job.step(f"drop-{number}", drop_if_possible, job, f"snapshot-{number - 1}", last)
            totals, last = totals.plus(copies), snapshot
            if ended - began <= QUICK:
                break
        off = await job.step("shut-down", shut_down, job)
        number += 1
        still = await job.step(f"snapshot-{number}", take_still, job, f"snapshot-{number}", disks, off)
        copies = await self._write_back(number, way, home, still.snapshot, last, told, lists)
        if not (still.off and await job.step("still-off", is_still_off, job, off)):
            raise source_running(f"The server of {job.record.machine_name}")
        ids = await self._change_ids(way)
        if await job.step("were-readdressed", were_changed, job):
            # After the change ids were read, so that the next sync copies what is written here
            await job.step("put-back", put_addresses_back, job, partial(self._open_all_home, home, way))
            if not await job.step("are-writes-tracked", self._are_writes_tracked):
                ids = dict.fromkeys(ids)  # it compares all of them
        await job.step("run", self._run_at_home, way, off, untouched)
        await job.step("check", self._check, way)
        return {
            "change_ids": ids,
            "lists": lists,
            **figures_of(totals.plus(copies), copies),
        }

    # Beforehand

    def _look(self) -> WayHome:
        job = self._job
        job.begin_phase("preparing", f"Looking at the server of {job.record.machine_name}, and at the machine.")
        replica = job.store.replicas.get(job.record.of)
        made = job.home.machine_ref if job.request.new_machine else None
        way = find_way(job.store, job.clouds, replica, job.request.accept, made=made)
        with job.clouds.source(job.record.source_id) as cloud:
            cloud.make_ready(Owner(job.id, "read"), way.server.ref)
        for pair in way.pairs:
            if pair.base is None or pair.since is None:
                job.say(
                    f"{pair.home.label}: all of it is read and compared: nothing tells what has changed.", "warning"
                )
        job.store.disks.keep(job.id, tuple(pair.disk for pair in way.pairs))
        job.store.migrations.update(job.id, source_power=way.server.power.value)
        return way

    def _make_machine(self) -> str:
        """Make a machine where the replica's came from, and return its reference.

        Raise Conflict when the one that it came from is there, or its name is taken.
        """
        job = self._job
        job.raise_if_cancelled()
        replica = job.store.replicas.get(job.record.of)
        then = machine_to_make(job.store, job.clouds, replica, job.request.accept, begins=False)
        job.phase("preparing", f"Making a machine like {then.name} where that came from.")
        with job.clouds.source(job.record.target_id) as source:
            made = job.make(
                ThingKind.MACHINE,
                "machine",
                lambda owner: source.create_machine(then, owner),
                provider_id=job.record.target_id,
                parent=then.name,
                ref=str,
            )
            try:
                left = source.set_boot_order(made, then)
            except LongshoreError as error:  # without it, it can run all the same
                job.say(f"The boot order that {then.name} had couldn't be set: {error}", "warning")
            else:
                for drive in left:
                    job.say(f"{then.name} was told to boot from {drive}, too: the new machine has none.", "warning")
        return made

    def _last_start(self, way: WayHome) -> Off:
        """Return when the machine was last started: whoever powers it on until we do changes what is being written."""
        with self._job.clouds.source(self._job.home.provider_id) as source:
            return Off(source.last_start(way.home.ref))

    def _protect(self, way: WayHome) -> Snapshot:
        """Take a snapshot of the machine, so that it can go back to that. Raise Conflict when somebody powers it on."""
        job, ref = self._job, way.home.ref
        job.phase("protecting", f"Taking a snapshot of {way.home.name}: it can go back to that.")
        at = MachinePlace(job.home.provider_id, ref)
        made = make_snapshot(job, HOME, quiesce=False, of=at, kind=ThingKind.HOME_SNAPSHOT)
        with job.clouds.source(at.provider_id) as source:
            if source.power_state(ref) is not PowerState.OFF:
                raise Conflict(f"{way.home.name} was powered on where it came from.", advice="Power it off.")
        return made

    async def _ask_home(self, way: WayHome, home: Snapshot) -> dict[str, Told]:
        """Return what the machine has written since the point, by its disks."""
        job, provider_id = self._job, self._job.record.target_id
        asked = [
            job.step(
                f"home-changed-{pair.home.key}",
                ask_source,
                job,
                pair.home,
                home,
                pair.since,
                HOME,
                provider_id=provider_id,
            )
            for pair in way.pairs
        ]
        return dict(zip((p.home.key for p in way.pairs), await self._side_by_side(asked), strict=True))

    def _time(self) -> float:
        return time.time()

    def _forget_change_ids(self) -> None:
        """Forget the change ids of the replica's points and bases: what is written from here on isn't the guest's."""
        job, replica_id = self._job, self._job.record.of
        job.store.points.forget_change_ids(replica_id)
        state = job.store.migrations.get(replica_id).state or {}
        bases = {key: {**base, "change_id": None} for key, base in (state.get("bases") or {}).items()}
        job.store.migrations.update(replica_id, state={**state, "bases": bases})

    # Writing back

    async def _write_back(  # noqa: PLR0917
        self,
        number: int,
        way: WayHome,
        home: Snapshot,
        snapshot: Snapshot,
        last: Snapshot | None,
        told: dict[str, Told],
        lists: dict[str, list[str | None]],
    ) -> list[Copied]:
        """Write back what differs since the point in the first round, in each further one since the one before.

        The names of the lists that say where are added to `lists`.
        """
        job, name = self._job, f"back-{number}"
        if last is None:
            await job.step(f"{name}-say", job.phase, "copying", "Writing back what has changed.")
        job.begin_together()
        asked = [
            job.step(f"{name}-changed-{pair.disk.key}", ask_source, job, pair.disk, snapshot, _since(pair, last), name)
            for pair in way.pairs
        ]
        server = await self._side_by_side(asked)
        for pair, since in zip(way.pairs, server, strict=True):
            lists[pair.home.key].append(since.file)
        # One step after the other for all disks: their order has to be the same when they run again
        copies = [
            HomeCopy(
                job=job,
                disk=pair.disk,
                snapshot=snapshot,
                volume=Volume(f"{home.machine_ref}/{pair.home.key}", pair.home.label, pair.disk.size),
                name=name,
                verify=Verify.NONE if job.request.verify is Verify.NONE else Verify.WRITTEN,
                pair=pair,
                home=home,
                lists=(since, told[pair.home.key]) if last is None else (since,),
            )
            for pair, since in zip(way.pairs, server, strict=True)
        ]
        copies = await self._compared(copies)
        return await self._side_by_side([job.step(f"{name}-{copy.disk.key}", copy.run) for copy in copies])

    async def _compared(self, copies: list[HomeCopy]) -> list[HomeCopy]:
        """Return the copies with the digests of what the machine's disks hold, where a list is missing: that is
        compared then."""
        unknown = [copy for copy in copies if any(told.file is None for told in copy.lists)]
        reading = [self._job.step(f"{copy.name}-held-{copy.disk.key}", copy.digest_target) for copy in unknown]
        held = dict(zip((copy.disk.key for copy in unknown), await self._side_by_side(reading), strict=True))
        return [replace(copy, base=held.get(copy.disk.key)) for copy in copies]

    def _open_all_home(self, home: Snapshot, way: WayHome, exports: ExitStack) -> list[Export]:
        pairs = sorted(way.pairs, key=lambda pair: pair.home.position)
        return [open_home(self._job, home, pair, exports) for pair in pairs]

    # The machine

    async def _change_ids(self, way: WayHome) -> dict[str, str | None]:
        """Return the change ids of the machine's disks at a moment after the last write, and before its guest's first
        one.

        The snapshot that tells them goes at once.
        """
        job = self._job
        home = await asyncio.to_thread(lambda: job.home)
        snapshot = await job.step(AFTER, make_snapshot, job, AFTER, quiesce=False, of=home)
        await job.step(f"drop-{AFTER}", drop_if_possible, job, AFTER, snapshot, home)
        return {pair.home.key: snapshot.disk(pair.home.key).change_id for pair in way.pairs}

    def _are_writes_tracked(self) -> bool:
        with self._job.clouds.source(self._job.home.provider_id) as source:
            return source.tracks_writes()

    def _run_at_home(self, way: WayHome, off: Off, untouched: Off) -> None:
        """Power the machine on. A second run does so again, and no longer checks that nobody else has started it.

        Raise SourceRunning when the server was started meanwhile, or the machine by somebody else.
        """
        job = self._job
        job.raise_if_cancelled()
        require_still_off(job, off)
        job.phase("booting", f"Powering {way.home.name} on where it came from.")
        with job.clouds.source(job.home.provider_id) as source:
            if not (job.store.migrations.get(job.id).state or {}).get("started"):
                if self._last_start(way) != untouched:
                    raise source_running(way.home.name)
                job.store.migrations.update(job.id, state={"started": True})
            source.power_on(way.home.ref)
        require_still_off(job, off)

    def _check(self, way: WayHome) -> None:
        """Wait until the machine is up. Raise BootError when it, or its tools if they answered before, don't answer in
        time."""
        job = self._job
        job.phase("checking", f"Waiting for {way.home.name} to come up.")
        deadline = time.monotonic() + job.request.boot_timeout
        while True:
            job.raise_if_cancelled()
            with job.clouds.source(job.home.provider_id) as source:
                machine = source.by_reference(way.home.ref)
            if machine.power is PowerState.ON and (not way.proves or machine.tools is ToolsState.RUNNING):
                job.store.migrations.stamp(job.id, "target_up_at")
                return
            if time.monotonic() > deadline:
                raise BootError(
                    f"{machine.name} didn't come up within {job.request.boot_timeout:.0f} s where it came from: it is "
                    f"{machine.power.value}, and its tools are {machine.tools.value}.",
                    advice="Look at its console, then try again.",
                )
            time.sleep(_LOOK_EVERY)

    # The end

    def _hand_over(self, result: dict[str, Any]) -> None:
        finish(self._job, result)
        self._done(result)

    def _take_back(self) -> list[str]:
        job = self._job
        left = undo(job.store, job.clouds, job.id)
        record = job.store.migrations.get(job.id)
        if record.source_power == PowerState.ON.value and record.shutdown_requested_at:
            if (record.state or {}).get("started") and not is_reverted(job):
                left.append(f"The server of {record.machine_name} stays off: the machine may run.")
            else:
                left.extend(power_on_again(job))
        job.store.replicas.stays_away(job.record.of, job.id)
        return left


def open_home(job: MoveContext, home: Snapshot, pair: Pair, exports: ExitStack) -> Export:
    """Open a disk of the machine for writing, until the stack is left."""
    source = exports.enter_context(job.clouds.source(job.home.provider_id))
    return exports.enter_context(source.open_disk_to_write(home, pair.home.key, pair.disk.size))


def finish(job: MoveContext, result: dict[str, Any]) -> None:
    """Remove what was made on the way, and add the downtime to the result. The machine runs where it came
    from by now."""
    replica_id = job.record.of
    job.phase("cleaning-up", "Removing what was made on the way.")
    gone = (ThingKind.SOURCE_SNAPSHOT, ThingKind.AGENT_PROBE)
    job.say_each(undo(job.store, job.clouds, job.id, lambda entry: entry.kind in gone), "warning")
    record = job.store.migrations.get(job.id)
    if record.source_off_at and record.target_up_at:
        result["downtime_seconds"] = downtime_of(record).seconds
    again = f"longshore replica undo {replica_id}"
    job.say(f"It runs where it came from. For good: longshore replica commit {replica_id}; back: {again}.")


def is_reverted(job: MoveContext) -> bool:
    """Tell whether the machine is off, and as it was before."""
    entries = job.store.ledger.entries(job.id)
    return all(e.state is EntryState.REMOVED for e in entries if e.kind is ThingKind.HOME_SNAPSHOT)


def together(changes: list[Changes]) -> Changes:
    """Return what any of these names; Unknown if one is."""
    extents: list[Extent] = []
    for one in changes:
        if isinstance(one, Unknown):
            return one
        extents.extend(one.extents)
    return Changed(tuple(merge(extents)))


def _since(pair: Pair, last: Snapshot | None) -> str | None:
    return pair.base if last is None else last.disk(pair.disk.key).change_id
