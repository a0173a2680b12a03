"""Points of a replica: one snapshot for each volume, while nobody writes to them; all of them, or none.

Each is in the ledger before it exists, by the point's number. A point counts from the moment on in which the store says
so; until then what there is of it goes with the next sync, and nobody is told of it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from longshore.errors import ProviderError
from longshore.flows.clouds import Clouds
from longshore.flows.moves.context import MoveContext
from longshore.flows.replicas.marks import of_snapshot
from longshore.flows.undo import undo
from longshore.model.machine import Disk, Machine
from longshore.model.point import Consistency
from longshore.model.replica import PointState
from longshore.model.target import Volume, VolumeSnapshot
from longshore.planning.retention import decide, parse_retention
from longshore.providers.contract import Target
from longshore.store import LedgerRecord, PointRecord, Store, ThingKind


def snapshot_disk(  # noqa: PLR0917
    job: MoveContext,
    number: int,
    moment: datetime,
    consistency: Consistency,
    machine: Machine,
    disk: Disk,
    volume: Volume,
    root: str,
) -> VolumeSnapshot:
    """Take the snapshot of one disk of a point. A second run returns the same. `root`: the digest of what the volume
    holds."""
    said = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    notes = of_snapshot(job.id, number, said, consistency, machine, disk, root)
    with job.clouds.target(job.record.target_id) as target:
        make = partial(target.snapshot_volume, volume.id, notes=notes)
        return job.make_at_target(ThingKind.VOLUME_SNAPSHOT, f"{_beginning(number)}{disk.key}", make)


def is_of_point(entry: LedgerRecord, number: int) -> bool:
    return entry.kind is ThingKind.VOLUME_SNAPSHOT and entry.step.startswith(_beginning(number))


def is_of_any_point(entry: LedgerRecord) -> bool:
    return entry.kind is ThingKind.VOLUME_SNAPSHOT and entry.step.startswith("point-")


def _beginning(number: int) -> str:
    return f"point-{number}-"


def thin(store: Store, clouds: Clouds, replica_id: str, retention: str) -> list[str]:
    """Remove the points that the policy doesn't keep, and those whose removal was broken off.

    Return a sentence for each that can't be removed now: it is tried again after the next sync.
    """
    points = store.points.all(replica_id)
    usable = [point.point for point in points if point.state is PointState.USABLE]
    going = {int(point.id) for point in decide(usable, parse_retention(retention), datetime.now(UTC)).going}
    left = [point.number for point in points if point.state in (PointState.REMOVING, PointState.LOST)]
    return remove_points(store, clouds, replica_id, [*left, *going])


def find_lost(
    store: Store, target: Target, replica_id: str, points: Sequence[PointRecord], *, made: PointRecord | None = None
) -> list[str]:
    """Compare usable points with the snapshots that the target has: what is gone there is no point any more.

    `made`: the point that has just been made. Return a sentence for each point that was usable until now. Raise
    ProviderError when the target's list lacks even the one that was made: what is left of a lost point is removed.
    """
    there = target.snapshots_of(sorted({disk.volume_id for point in points for disk in point.disks}))
    if made is not None and not there.issuperset(disk.snapshot_id for disk in made.disks):
        raise ProviderError("Its list lacks snapshots that it made a moment ago, so it isn't believed.")
    said = []
    for point in points:
        gone = [disk.key for disk in point.disks if disk.snapshot_id not in there]
        if not gone:
            continue
        note = f"The target has no snapshot of {len(gone)} of its {len(point.disks)} disk(s) any more."
        if store.points.lost(replica_id, point.number, note):
            said.append(f"Point {point.number}, of {point.moment:%Y-%m-%d %H:%M:%S} UTC, is lost. {note}")
    return said


def remove_points(store: Store, clouds: Clouds, replica_id: str, numbers: Sequence[int]) -> list[str]:
    """Remove points, but for those that somebody has begun to use. Return a sentence for each that can't be removed.

    What was said before isn't said again.
    """
    said = []
    for number in store.points.claim(replica_id, numbers):
        sentences = undo(store, clouds, replica_id, lambda entry, number=number: is_of_point(entry, number))  # type: ignore[misc]
        if not sentences:
            store.points.removed(replica_id, number)
        elif not store.points.stays(replica_id, number, " ".join(sentences)):
            said.append(f"Point {number} stays for now. {' '.join(sentences)}")
    return said


def newest(points: Sequence[PointRecord], now: datetime) -> PointRecord | None:
    """Return the newest of usable points. One that is suspect, or whose moment is still to come, is returned only where
    there is no other.

    `now` is in UTC, with a zone.
    """
    by_age = lambda point: (not point.suspect, point.moment <= now, point.moment, point.number)  # noqa: E731
    return max(points, key=by_age, default=None)
