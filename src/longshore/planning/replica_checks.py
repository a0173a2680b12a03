"""Concerns about a replica, beside those about moving its machine: that ends, and this doesn't."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from longshore.model.concern import Concern
from longshore.model.durations import duration
from longshore.model.machine import Machine
from longshore.model.retention import Retention
from longshore.model.schedule import Calendar, Continuous, Every, Schedule
from longshore.model.target import QuotaRoom
from longshore.planning.kinds import ConcernKind, blocker, information, warning
from longshore.planning.landing import Landing
from longshore.planning.quota import shortages, snapshot_needs, volume_needs
from longshore.planning.retention import COUNTS
from longshore.planning.schedules import next_time

SHORT = timedelta(minutes=5)  # from which on stuns needn't be talked of
_A_DAY = timedelta(days=1)
_ADVICE = "Keep fewer points, ask for a larger quota, or accept it, if the quota will be raised before it is full."


def _kind(what: str, meaning: str) -> ConcernKind:
    return blocker(f"replica-quota-{what}", meaning, _ADVICE, acceptable=True)


REPLICA_QUOTA_VOLUMES = _kind("volumes", "The project may not have as many volumes as the machine has disks.")
REPLICA_QUOTA_SNAPSHOTS = _kind(
    "snapshots",
    "The project may not have as many volume snapshots as points are to be kept: one of each disk for each.",
)
REPLICA_QUOTA_GIGABYTES = _kind(
    "gigabytes",
    "The project may not have as many GiB as the volumes and the points that are to be kept count: each snapshot "
    "counts as much as its volume.",
)
REPLICA_QUOTA_VOLUME_TYPE = _kind(
    "volume-type", "The volume type has a quota of its own, which has no room for the points that are to be kept."
)
REPLICA_STUNS = warning(
    "replica-stuns",
    "Syncs follow each other within less than five minutes. For each, vSphere takes a snapshot and removes it, and "
    "both stop the machine for a moment: mostly for less than half a second, under load for seconds.",
    "Lengthen the interval, or see that the machine bears it.",
)
REPLICA_FOREIGN_SNAPSHOTS = warning(
    "replica-foreign-snapshots",
    "The machine has snapshots of others. Where they are taken and removed while it is protected, as by backups, syncs "
    "may fail meanwhile, and what the source says of changes may be wrong.",
    "Remove them, keep other tools' times apart from syncs', and have audits on a clock.",
)
REPLICA_UNTRACKED = warning(
    "replica-untracked",
    "Changes of the machine, or of a disk of it, can't be tracked: each sync reads all of that, and takes as long as "
    "the first one.",
    "Choose a schedule that leaves the time for it.",
)
SEED_MISSES_DISKS = information(
    "seed-misses-disks",
    "The point that the replica is seeded from hasn't got all disks of the machine in their size: the first sync "
    "copies the others in full.",
)
SEED_IS_COMPARED = warning(
    "seed-is-compared",
    "The source can't tell what has changed since the point that the replica is seeded from: the first sync reads all "
    "of the machine, and writes what differs.",
    "Seed it from a point that was made while changes were tracked, on an OpenStack the newest one, if that matters.",
)

_KINDS = {
    "volumes": REPLICA_QUOTA_VOLUMES,
    "gigabytes": REPLICA_QUOTA_GIGABYTES,
    "snapshots": REPLICA_QUOTA_SNAPSHOTS,
}


@dataclass(frozen=True, slots=True)
class WantedProtection:
    """The schedule and retention by which the machine is to be protected."""

    schedule: Schedule
    retention: Retention


def replica_concerns(
    machine: Machine, landing: Landing, wanted: WantedProtection, room: QuotaRoom
) -> Iterator[Concern]:
    """Yield concerns. `landing`: where it would land, which says of which types its volumes are."""
    points = most_points(wanted)
    needed: Counter[str] = Counter()
    for disk, landed in zip(machine.disks, landing.disks, strict=True):
        needed.update(volume_needs(disk.size, landed.volume_type))
        for what, count in snapshot_needs(disk.size, landed.volume_type).items():
            needed[what] += count * points
    who = f"{machine.name} with up to {points} points needs"
    yield from shortages(needed, room, who, "target", _KINDS, REPLICA_QUOTA_VOLUME_TYPE)
    interval = _interval(wanted.schedule)
    if machine.platform.traits.stuns and interval < SHORT:
        times = round(_A_DAY / interval)
        each = duration(interval.total_seconds())
        text = f"A sync each {each} stops {machine.name} for a moment twice: {2 * times} times a day."
        yield REPLICA_STUNS(machine.name, text)
    if machine.platform.traits.stuns and machine.snapshots:
        text = f"{machine.name} has {len(machine.snapshots)} snapshot(s) that aren't Longshore's."
        yield REPLICA_FOREIGN_SNAPSHOTS(machine.name, text)
    untracked = [disk.label for disk in machine.disks if not disk.tracked]
    if not machine.can_track_changes or untracked:
        what = ", ".join(untracked) if machine.can_track_changes else "all disks"
        yield REPLICA_UNTRACKED(machine.name, f"Each sync of {machine.name} reads all of this: {what}.")


def seed_concerns(machine: Machine, fitting: Mapping[str, str | None]) -> Iterator[Concern]:
    """Yield concerns about a seed. `fitting`: of the disks that the point has in their size, by key the source's own
    mark of its moment."""
    others = [disk.label for disk in machine.disks if disk.key not in fitting]
    if others:
        text = f"These disks of {machine.name} aren't in the point in their size, and are copied in full: "
        yield SEED_MISSES_DISKS(machine.name, f"{text}{', '.join(others)}.")
    unmarked = [disk.label for disk in machine.disks if disk.key in fitting and fitting[disk.key] is None]
    if unmarked or not machine.change_tracking:
        what = f"of these disks: {', '.join(unmarked)}" if unmarked else "since its changes aren't tracked"
        yield SEED_IS_COMPARED(machine.name, f"The first sync of {machine.name} reads all {what}.")


def most_points(wanted: WantedProtection) -> int:
    """Return the most points that may be there at once: each rule's own, as if no two rules kept the same one, and the
    one that comes before an older one goes."""
    policy = wanted.retention
    counted: int = sum(getattr(policy, name) for name in COUNTS)
    recent = -(-policy.within // _interval(wanted.schedule)) if policy.within else 0
    return counted + recent + 1


def _interval(schedule: Schedule) -> timedelta:
    """Return the shortest time that is to be expected between two syncs."""
    if isinstance(schedule, Continuous):
        return schedule.rpo / 2
    return schedule.interval if isinstance(schedule, Every) else _of_calendar(schedule)


def _of_calendar(schedule: Calendar) -> timedelta:
    first = next_time(schedule, datetime(2026, 1, 1, tzinfo=UTC), "")
    moments = [first]
    while len(moments) < 50 and moments[-1] - first < timedelta(days=14):
        moments.append(next_time(schedule, moments[-1], ""))
    return min(later - earlier for earlier, later in pairwise(moments))
