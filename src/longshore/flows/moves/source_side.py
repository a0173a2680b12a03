"""The few things that a migration does to its source machine, each of which can be taken back."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from longshore.errors import AccessDenied, Cancelled, Conflict, LongshoreError, NotFound, SourceRunning
from longshore.flows.following import DRIFTED, last_known, reference_now
from longshore.flows.moves.context import MachinePlace, MoveContext
from longshore.model.concern import Severity
from longshore.model.machine import Disk, Machine, PowerState, Snapshot, SnapshotDisk
from longshore.model.request import MigrationType
from longshore.model.target import Owner
from longshore.planning.file_checks import file_concerns
from longshore.planning.kinds import accept_blockers
from longshore.providers.contract import Source, Tags, WholeDisks
from longshore.store import EntryState, ThingKind
from longshore.store.tables import utc_now

GIB = 1 << 30
READING_TOLD_EVERY = 2.0  # seconds, at least
LAST_CHANCE = 10.0  # seconds, at least, in which a guest that was asked to shut down may still do so
# Notes of servers that may stay although their source runs again
KEPT_OFF = "kept, as asked; it is off"
LEFT_OFF = "it couldn't be removed; it is off"
UNKNOWN_FOR = 60.0  # seconds a machine of which the source knows no state is waited for
POWER_OFF_AFTER_REQUEST = 60.0  # seconds a machine may take to be seen off once its power was cut


@dataclass(frozen=True, slots=True)
class Off:
    """A machine that was seen off."""

    last_start: str | None  # as the source tells it (`Power.last_start`): another one means that it has run since


@dataclass(frozen=True, slots=True)
class Still:
    """A snapshot, and whether the machine was off all the time that it was taken."""

    snapshot: Snapshot
    off: bool
    frozen: bool = False  # its application, by a playbook
    asked_at: datetime | None = None  # None: it isn't known better than when the step before it was done


def with_tags(job: MoveContext, source: Tags, machine: Machine) -> Machine:
    """Return the machine with its tags, if they go along: reading them takes calls of its own, and a right that the
    account may lack."""
    if job.copy_request.carry.tags is False or not machine.platform.traits.tags_apart:
        return machine
    try:
        return replace(machine, tags=source.tags([machine.ref]).get(machine.ref, ()))
    except LongshoreError as error:
        if error.code == Cancelled.code:
            raise
        job.say(f"The tags of {machine.name} can't be read, and don't go along: {error}", "warning")
        return machine


def without_texts(job: MoveContext, machine: Machine) -> Machine:
    """Return the machine with a mark in place of its user data, since what a step answers is written down."""
    has = machine.server_settings
    if not has.user_data:
        return machine
    mark = job.store.migrations.keep_text(job.id, has.user_data)
    return replace(machine, server_settings=replace(has, user_data=mark))


class ReadingBeforehand:
    """The progress of a source that reads a machine before anything is made."""

    def __init__(self, job: MoveContext) -> None:
        self._job = job
        self._looked = time.monotonic()
        self._told = 0  # tenths

    def see(self, done: int, total: int) -> None:
        """Take note that so many bytes are read. Raises Cancelled."""
        if time.monotonic() - self._looked < READING_TOLD_EVERY:
            return
        self._looked = time.monotonic()
        job = self._job
        job.raise_if_cancelled()
        tenth = done * 10 // total
        if tenth > self._told or not self._told:
            self._told = max(tenth, 1)
            job.say(f"Checking {job.record.machine_name}: {done / GIB:.1f} of {total / GIB:.1f} GiB are read.")


def check_files(job: MoveContext, source: WholeDisks, machine_ref: str) -> None:
    """Have the source read what tells whether the machine's disks are whole. Raise InvalidInput when they aren't."""
    doubts = source.check_machine(machine_ref, ReadingBeforehand(job).see, job.copy_request.accept)
    for concern in accept_blockers(file_concerns(doubts), job.copy_request.accept):
        job.say(str(concern), "information" if concern.severity is Severity.INFORMATION else "warning")


def track_changes(job: MoveContext, *, stays: bool = False, known: Machine | None = None) -> None:
    """Have the source say what changes from now on. Where it can't, syncs compare whole disks: slower, as safe.

    `stays`: it isn't to be switched off again. `known`: the machine as `find_source` finds it again.
    """
    find_source(job, known)
    try:
        _begin_tracking(job, stays=stays)
    except Conflict as refusal:
        what, name = "backup" if stays else "sync", job.record.machine_name
        job.say(f"{refusal.message} Each {what} will read and compare all of {name}'s disks instead.", "warning")


def track_for_another_try(job: MoveContext) -> None:
    """Have the source say what changes once a machine that is off runs again, so that another try reads only that.

    Where that can't be had, this try is none the worse, and another one compares whole disks.
    """
    try:
        _begin_tracking(job, stays=False)
    except Cancelled:
        raise
    except LongshoreError as error:
        job.say(f"{error} If this try fails, the next one will read and compare whole disks.")


def _begin_tracking(job: MoveContext, *, stays: bool) -> None:
    """Switch change tracking on where it is off, and say so. Raise Conflict, AccessDenied: it stays off."""
    job.raise_if_cancelled()
    ref = job.record.machine_ref
    with job.clouds.source(job.record.source_id) as source:
        if source.by_reference(ref).change_tracking:
            return
        entry = job.store.ledger.intend(
            Owner(job.id, "change-tracking"), job.record.source_id, ThingKind.CHANGE_TRACKING, ref
        )
        try:
            source.set_change_tracking(ref, True)
        except (Conflict, AccessDenied) as refusal:
            job.store.ledger.settle(entry.id, EntryState.REMOVED, note=str(refusal))
            raise
    job.store.ledger.settle(entry.id, EntryState.MADE, ref=ref)
    end = "stays on" if stays else "will be again at the end"
    job.say(f"Change tracking of {job.record.machine_name} is on; it was off before, and {end}.")


def find_source(job: MoveContext, known: Machine | None) -> None:
    """See that the reference of the source machine is still its own, and follow it where it was registered anew.

    `known`: the machine as it was when it was last looked at; None: nothing is known of it yet. Raise NotFound when it
    is gone, Conflict (code drifted) when another machine has its reference now.
    """
    if known is not None and known.instance_uuid:  # else its reference is of nothing else, and nobody need be asked
        with job.clouds.source(job.record.source_id) as source:
            follow_source(job, source, known)


def follow_source(job: MoveContext, source: Source, known: Machine | None) -> None:
    """Do as `find_source` does, by a source that is open."""
    before, name = job.record.machine_ref, job.record.machine_name
    try:
        now = reference_now(source, before, known)
    except NotFound as gone:
        raise (_drifted(job, gone.message) if gone.code == DRIFTED else gone) from None
    if now != before:
        job.store.migrations.follow_machine(job.id, before, now)
        job.read_record_again()
        job.say(f"{name} was registered anew at its source: it was {before}, and is {now} now.", "warning")


def take_snapshot(
    job: MoveContext,
    step: str,
    disks: tuple[Disk, ...],
    *,
    quiesce: bool,
    first: bool = True,
    known: Machine | None = None,
) -> Snapshot:
    """Take a snapshot of all disks at one moment, if the source can; the first time it is said whether the machine was
    frozen.

    `known`: the machine as `find_source` finds it again. Raise Conflict when they aren't the disks the migration began
    with.
    """
    find_source(job, known)
    snapshot = make_snapshot(job, step, quiesce=quiesce)
    if first and not snapshot.one_moment:
        job.say(
            f"{job.record.machine_name} couldn't be frozen: each of its disks is as it was at a moment of its own.",
            "warning",
        )
    if first and snapshot.quiesced:
        job.say(f"{job.record.machine_name} was frozen for it: all its disks are as they were at one moment.")
    refuse_other_disks(job, disks, snapshot.disks)
    return snapshot


def make_snapshot(
    job: MoveContext,
    step: str,
    *,
    quiesce: bool,
    of: MachinePlace | None = None,
    kind: ThingKind = ThingKind.SOURCE_SNAPSHOT,
) -> Snapshot:
    """Take a snapshot of all disks that a machine has now. `of`: which machine; None: the migration's source. `kind`:
    what it is in the ledger."""
    place = of or job.source
    with job.clouds.source(place.provider_id) as source:
        return job.make(
            kind,
            step,
            lambda owner: source.snapshot(place.machine_ref, f"longshore-{job.id[:8]}", owner, quiesce=quiesce),
            provider_id=place.provider_id,
            parent=place.machine_ref,
            ref=lambda s: s.ref,
        )


def refuse_other_disks(job: MoveContext, disks: tuple[Disk, ...], now: Sequence[Disk | SnapshotDisk]) -> None:
    """Raise Conflict when the machine's disks aren't those that the migration began with."""
    sizes = {disk.key: disk.size for disk in now}
    name = job.record.machine_name
    for disk in disks:
        if disk.key not in sizes:
            raise _drifted(job, f"{disk.label} of {name} is gone.")
        if sizes[disk.key] != disk.size:
            raise _drifted(job, f"{disk.label} of {name} had {disk.size} bytes and has {sizes[disk.key]} now.")
    if new := sizes.keys() - {disk.key for disk in disks}:
        raise _drifted(job, f"{name} has got {len(new)} more disk(s) since its copying began.")


def _drifted(job: MoveContext, said: str) -> Conflict:
    if job.record.type is MigrationType.REPLICA:
        advice = "Its points stay, and can be failed over to. For new ones, delete this replica and make another one."
    elif job.record.type is MigrationType.BACKUP:
        advice = "Back it up again."
    else:
        advice = "Start a new migration."
    return Conflict(said, advice=advice, code=DRIFTED)


def take_still(job: MoveContext, step: str, disks: tuple[Disk, ...], off: Off) -> Still:
    """Take the snapshot of a machine that is to be off. A recorded step says that it was: what counts is what it is
    now."""
    before = is_still_off(job, off)
    snapshot = take_snapshot(job, step, disks, quiesce=False)
    return Still(snapshot, before and is_still_off(job, off))


def is_still_off(job: MoveContext, off: Off) -> bool:
    """Tell whether the machine is off, and has been since `off`, as far as the source can tell."""
    ref = job.replaced.machine_ref
    with job.clouds.source(job.replaced.provider_id) as source:
        power = source.power_state(ref)
        if power in (PowerState.UNKNOWN, PowerState.SUSPENDED):  # a host that lost its vCenter for a moment
            power = PowerState.OFF if source.wait_powered_off(ref, UNKNOWN_FOR) else power
        # Asked after the state: whoever powers it on between the two is seen here
        started = source.last_start(ref)
    if power is not PowerState.OFF:
        return False
    return None in (started, off.last_start) or started in ("", off.last_start)


def require_still_off(job: MoveContext, off: Off) -> None:
    """Raise SourceRunning unless the machine is off, and has been since `off`."""
    if not is_still_off(job, off):
        raise source_running(job.record.machine_name)


def source_running(name: str) -> SourceRunning:
    return SourceRunning(
        f"{name} was powered on after it had been shut down: what it has written since isn't on the target, and both "
        "must not run.",
        advice="Find out who or what powers it on (an operator, high availability, a schedule), and start again.",
    )


def drop_if_possible(job: MoveContext, step: str, snapshot: Snapshot, of: MachinePlace | None = None) -> None:
    """Remove a snapshot that has served: one that can't be removed now, as somebody reads it, is no reason to throw
    away what came of it.

    It stays in the ledger, and goes before the next sync, or when the migration is handed over or taken back. `of`:
    which machine's; None: the migration's source's.
    """
    place = of or job.source
    try:
        with job.clouds.source(place.provider_id) as source:
            source.remove_snapshot(place.machine_ref, snapshot.ref)
        for entry in job.store.ledger.entries(job.id):
            if entry.kind is ThingKind.SOURCE_SNAPSHOT and entry.step == step:
                job.store.ledger.settle(entry.id, EntryState.REMOVED)
    except LongshoreError as error:
        if error.code == "cancelled":
            raise
        job.say(
            f"A snapshot of {job.record.machine_name} couldn't be removed, which is tried again: {error}", "warning"
        )


def shut_down(job: MoveContext, known: Machine | None = None) -> Off:
    """Shut the machine down, or see that it is off. Raise Conflict when it doesn't get to be off.

    Nothing is copied for good before it is seen off. `known`: the source machine as `find_source` finds it again.
    """
    job.raise_if_cancelled()
    find_source(job, known)
    ref, name = job.replaced.machine_ref, job.record.machine_name
    with job.clouds.source(job.replaced.provider_id) as source:
        running = source.power_state(ref) is PowerState.ON
        job.phase("shutting-down", f"Shutting {name} down." if running else f"{name} isn't running.")
        if running:
            # One that was off when we first looked was powered on since: it is to run again after a roll-back
            power = PowerState.ON.value
            job.store.migrations.update(job.id, source_power=power, shutdown_requested_at=utc_now(), source_off_at=None)
            try:
                source.shut_down(ref)
                down = _wait_off(job, source.wait_powered_off, job.request.shutdown_timeout)
            except Conflict as nobody_answers:
                if not job.request.force_power_off:
                    job.store.migrations.update(job.id, shutdown_requested_at=None)
                    raise Conflict(
                        nobody_answers.message,
                        advice="Shut it down yourself and start again, or allow a power cut: --force-power-off.",
                    ) from None
                down = False
            if not down:
                if not job.request.force_power_off:
                    raise Conflict(
                        f"{name} didn't shut down within {job.request.shutdown_timeout:.0f} s.",
                        advice="Allow it more time (--shutdown-timeout) or a power cut (--force-power-off).",
                    )
                job.say(f"{name} doesn't shut down by itself: its power is cut.", "warning")
                source.power_off(ref)
        # Whatever was asked and answered: nothing is copied before the machine is seen off.
        if not source.wait_powered_off(ref, POWER_OFF_AFTER_REQUEST):
            raise Conflict(f"{name} isn't off ({source.power_state(ref).value}).", advice="Power it off and try again.")
        off = Off(source.last_start(ref))
    job.store.migrations.stamp(job.id, "source_off_at")
    job.say(f"{name} is seen powered off.")
    return off


def _wait_off(job: MoveContext, wait: Any, timeout: float) -> bool:
    """Tell whether the machine is off within `timeout` seconds. Waiting is done in short turns, so that a cancel is
    heard."""
    waited = 0.0
    while waited < timeout:
        job.raise_if_cancelled()
        turn = min(2.0, timeout - waited)
        if wait(job.replaced.machine_ref, turn):
            return True
        waited += turn
    return False


def power_on_again(job: MoveContext) -> list[str]:
    """Power the machine on after everything was taken back. Return a sentence where that didn't work or must not be."""
    entries = job.store.ledger.entries(job.id)
    left = [e for e in entries if e.kind is ThingKind.SERVER and e.state is EntryState.LEFT]
    if any(entry.note not in (KEPT_OFF, LEFT_OFF) for entry in left):
        return [
            f"{job.record.machine_name} stays powered off: the server on the target, with the same MACs and "
            "addresses, may still run."
        ]
    name, place = job.record.machine_name, job.replaced
    seen_off = job.store.migrations.get(job.id).source_off_at is not None
    try:
        find_source(job, last_known(job.store, job.id, place.provider_id, place.machine_ref))
        ref = job.replaced.machine_ref
        with job.clouds.source(job.replaced.provider_id) as source:
            if seen_off and source.power_state(ref) is PowerState.ON:
                # By somebody, or by a run of this step that was killed then
                job.say(f"{name} is on already.")
                job.store.migrations.stamp(job.id, "source_on_at")  # at the latest
                return []
            # A guest that was asked to shut down may still be on its way: powering it on now would come too early.
            if not source.wait_powered_off(ref, _may_still_shut_down(job)):
                return [f"{name} was asked to shut down and hasn't: if it does so later, power it on again."]
            source.power_on(ref)
            job.store.migrations.stamp(job.id, "source_on_at")
    except LongshoreError as error:
        return [f"{name} could not be powered on again: {error}"]
    job.say(f"{name} is powered on again.")
    return []


def run_source_again(job: MoveContext) -> list[str]:
    """Power the machine on if it was shut down for what came to nothing. Return a sentence where that didn't work."""
    record = job.store.migrations.get(job.id)
    asked = record.shutdown_requested_at is not None and record.source_power == PowerState.ON.value
    said = power_on_again(job) if asked else []
    job.store.migrations.update(job.id, shutdown_requested_at=None, source_off_at=None, source_on_at=None)
    return said


def _may_still_shut_down(job: MoveContext) -> float:
    """Return for how many seconds the machine may still shut down: as long as the user thinks that this may take,
    counted from when it was asked to."""
    asked = job.store.migrations.get(job.id).shutdown_requested_at
    gone = (utc_now() - asked).total_seconds() if asked else 0.0
    return max(job.request.shutdown_timeout - gone, LAST_CHANCE)
