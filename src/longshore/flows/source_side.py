"""What a migration does to its source machine: little, and each thing can be taken back."""

from typing import Any

from longshore.errors import Conflict, LongshoreError
from longshore.flows.journey import Journey
from longshore.model.machine import Disk, PowerState, Snapshot
from longshore.model.target import Owner
from longshore.store import EntryState, Kind
from longshore.store.tables import utc_now

LAST_CHANCE = 10.0  # seconds, at least, in which a guest that was asked to shut down may still do so
KEPT_OFF = "kept, as asked; it is off"  # note of a server that may stay although its source runs again
POWER_OFF_AFTER_REQUEST = 60.0  # seconds a machine may take to be seen off once its power was cut


def track_changes(j: Journey) -> None:
    """Have the source say what changes from now on. Where it can't, syncs compare whole disks: slower, as safe."""
    j.go_on()
    ref, name = j.record.machine_ref, j.record.machine_name
    with j.clouds.source(j.record.source_id) as source:
        if source.machine(ref).change_tracking:
            return
        entry = j.store.ledger.intend(Owner(j.id, "change-tracking"), j.record.source_id, Kind.CHANGE_TRACKING, ref)
        try:
            source.set_change_tracking(ref, True)
        except Conflict as refusal:
            j.store.ledger.settle(entry.id, EntryState.REMOVED, note=str(refusal))
            j.say(f"{refusal.message} Each sync will read and compare all of {name}'s disks instead.", "warning")
            return
    j.store.ledger.settle(entry.id, EntryState.MADE, ref=ref)
    j.say(f"Change tracking of {name} is on; it was off before, and will be again at the end.")


def take_snapshot(j: Journey, step: str, disks: tuple[Disk, ...], *, quiesce: bool, first: bool = True) -> Snapshot:
    """One moment of all disks, if the source can bring that about; the first time it is said whether it was frozen.

    Raises Conflict when they aren't the disks the migration began with.
    """
    with j.clouds.source(j.record.source_id) as source:
        snapshot = j.make(
            Kind.SOURCE_SNAPSHOT,
            step,
            lambda owner: source.snapshot(j.record.machine_ref, f"longshore-{j.id[:8]}", owner, quiesce=quiesce),
            provider_id=j.record.source_id,
            parent=j.record.machine_ref,
            ref=lambda s: s.ref,
        )
    if first and not snapshot.one_moment:
        j.say(
            f"{j.record.machine_name} couldn't be frozen: each of its disks is as it was at a moment of its own.",
            "warning",
        )
    if first and snapshot.quiesced:
        j.say(f"{j.record.machine_name} was frozen for it: all its disks are as they were at one moment.")
    sizes = {disk.key: disk.size for disk in snapshot.disks}
    for disk in disks:
        if disk.key not in sizes:
            raise Conflict(f"{disk.label} of {j.record.machine_name} is gone.", advice="Start a new migration.")
        if sizes[disk.key] != disk.size:
            raise Conflict(
                f"{disk.label} of {j.record.machine_name} had {disk.size} bytes and has {sizes[disk.key]} now.",
                advice="Start a new migration.",
            )
    if new := sizes.keys() - {disk.key for disk in disks}:
        raise Conflict(
            f"{j.record.machine_name} has got {len(new)} more disk(s) since the migration began.",
            advice="Start a new migration.",
        )
    return snapshot


def drop_snapshot(j: Journey, step: str, snapshot: Snapshot) -> None:
    with j.clouds.source(j.record.source_id) as source:
        source.remove_snapshot(j.record.machine_ref, snapshot.ref)
    for entry in j.store.ledger.entries(j.id):
        if entry.kind is Kind.SOURCE_SNAPSHOT and entry.step == step:
            j.store.ledger.settle(entry.id, EntryState.REMOVED)


def shut_down(j: Journey) -> None:
    """Raises Conflict when the machine doesn't get to be off. Nothing is copied for good before it is seen off."""
    j.go_on()
    ref, name = j.record.machine_ref, j.record.machine_name
    with j.clouds.source(j.record.source_id) as source:
        running = source.power_state(ref) is PowerState.ON
        j.phase("shutting-down", f"Shutting {name} down." if running else f"{name} isn't running.")
        if running:
            j.store.migrations.stamp(j.id, "shutdown_requested_at")
            try:
                source.shut_down(ref)
                down = _wait_off(j, source.wait_powered_off, j.request.shutdown_timeout)
            except Conflict as nobody_answers:
                if not j.request.force_power_off:
                    raise Conflict(
                        nobody_answers.message,
                        advice="Shut it down yourself and start again, or allow a power cut: --force-power-off.",
                    ) from None
                down = False
            if not down:
                if not j.request.force_power_off:
                    raise Conflict(
                        f"{name} didn't shut down within {j.request.shutdown_timeout:.0f} s.",
                        advice="Allow it more time (--shutdown-timeout) or a power cut (--force-power-off).",
                    )
                j.say(f"{name} doesn't shut down by itself: its power is cut.", "warning")
                source.power_off(ref)
        # Whatever was asked and answered: nothing is copied before the machine is seen off.
        if not source.wait_powered_off(ref, POWER_OFF_AFTER_REQUEST):
            raise Conflict(f"{name} isn't off ({source.power_state(ref).value}).", advice="Power it off and try again.")
    j.store.migrations.stamp(j.id, "source_off_at")
    j.say(f"{name} is seen powered off.")


def _wait_off(j: Journey, wait: Any, timeout: float) -> bool:
    """In short turns, so that a cancel is heard."""
    waited = 0.0
    while waited < timeout:
        j.go_on()
        turn = min(2.0, timeout - waited)
        if wait(j.record.machine_ref, turn):
            return True
        waited += turn
    return False


def power_on_again(j: Journey) -> list[str]:
    """After everything was taken back. A sentence where it didn't work or must not be."""
    entries = j.store.ledger.entries(j.id)
    if any(e.kind is Kind.SERVER and e.state is EntryState.LEFT and e.note != KEPT_OFF for e in entries):
        return [
            f"{j.record.machine_name} stays powered off: the server on the target, with the same MACs and "
            "addresses, may still run."
        ]
    try:
        with j.clouds.source(j.record.source_id) as source:
            # A guest that was asked to shut down may still be on its way: powering it on now would come too early.
            if not source.wait_powered_off(j.record.machine_ref, _may_still_shut_down(j)):
                if j.store.migrations.get(j.id).source_off_at is not None:  # on again, by a run that was killed then
                    j.store.migrations.stamp(j.id, "source_on_at")
                return []
            source.power_on(j.record.machine_ref)
            j.store.migrations.stamp(j.id, "source_on_at")
    except LongshoreError as error:
        return [f"{j.record.machine_name} could not be powered on again: {error}"]
    j.say(f"{j.record.machine_name} is powered on again.")
    return []


def _may_still_shut_down(j: Journey) -> float:
    """Seconds: as long as the user thinks that its shutdown may take, counted from when it was asked to."""
    asked = j.store.migrations.get(j.id).shutdown_requested_at
    gone = (utc_now() - asked).total_seconds() if asked else 0.0
    return max(j.request.shutdown_timeout - gone, LAST_CHANCE)
