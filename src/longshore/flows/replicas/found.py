"""Replicas that a target's volumes and snapshots tell of by their marks: found with no database, and no source.

Whoever may write in that project may have written the marks. So a thing counts only as far as all that is said of it
agrees, here and with what the cloud itself says, within bounds; everything else is refused in a sentence, which has the
cloud's own ids and none of the marks' words. See docs/formats/point-marks.md.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from longshore.flows.replicas import marks
from longshore.model.adoption import FoundPoint, FoundReplica, FoundSnapshot
from longshore.model.machine import Machine
from longshore.model.point import Consistency
from longshore.model.replica import LAST_POINT
from longshore.model.target import Marked, MarkedSnapshot, MarkedVolume

OWNER = "longshore:owner"
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")  # it goes into names of files
_NUMBER = re.compile(r"[1-9][0-9]{0,18}")
_ROOT = re.compile(r"[0-9a-f]{64}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z")
_AHEAD = timedelta(days=1)  # as far as two clocks may disagree


@dataclass(frozen=True, slots=True)
class _Volume:
    id: str
    replica: str
    disk: str
    size: int  # bytes
    name: str
    machine: str


@dataclass(frozen=True, slots=True)
class _Snapshot:
    of: _Volume  # as the snapshot says, under the snapshot's id
    volume_id: str
    number: int
    moment: datetime
    consistency: Consistency
    root: str
    disks: int
    marks: Mapping[str, str]


def find_replicas(marked: Marked, now: datetime) -> list[FoundReplica]:
    """Return the replicas that these marks tell of, by the names of their machines. `now` is in UTC, with a zone."""
    volumes: dict[str, dict[str, _Volume]] = defaultdict(dict)
    refused: dict[str, list[str]] = defaultdict(list)
    for found in sorted(marked.volumes, key=lambda one: one.id):
        replica = found.metadata.get(marks.REPLICA, "")
        if not _ID.fullmatch(replica):
            continue  # somebody else's mark
        try:
            volume = _volume(found, volumes[replica])
        except ValueError as error:
            refused[replica].append(f"Volume {found.id} isn't taken: {error}.")
        else:
            volumes[replica][volume.disk] = volume
    snapshots: dict[str, list[_Snapshot]] = defaultdict(list)
    for taken in sorted(marked.snapshots, key=lambda one: one.id):
        replica = taken.metadata.get(marks.REPLICA, "")
        if not _ID.fullmatch(replica):
            continue
        try:
            snapshots[replica].append(_snapshot(taken, volumes[replica], now))
        except ValueError as error:
            refused[replica].append(f"Snapshot {taken.id} isn't taken: {error}.")
    replicas = [_replica(id_, volumes[id_], snapshots[id_], refused[id_]) for id_ in sorted({*volumes, *refused})]
    return sorted(replicas, key=lambda one: (one.machine_name, one.id))


def _replica(
    id_: str, volumes: Mapping[str, _Volume], snapshots: Sequence[_Snapshot], refused: list[str]
) -> FoundReplica:
    numbers: dict[int, list[_Snapshot]] = defaultdict(list)
    for snapshot in snapshots:
        numbers[snapshot.number].append(snapshot)
    points = []
    for number, parts in sorted(numbers.items()):
        try:
            points.append(_point(number, parts))
        except ValueError as error:
            refused.append(f"Point {number} isn't taken: {error}.")
    points.sort(key=lambda point: (point.moment, point.number))
    last = points[-1].machine if points else None
    any_volume = min(volumes.values(), key=lambda one: one.disk, default=None)
    return FoundReplica(
        id=id_,
        machine_name=last.name if last else any_volume.name if any_volume else "",
        machine_ref=last.ref if last else any_volume.machine if any_volume else "",
        volumes={disk: volume.id for disk, volume in volumes.items()},
        points=tuple(points),
        snapshots=tuple(FoundSnapshot(one.of.id, one.number, one.of.disk) for one in _each_once(snapshots)),
        refused=tuple(refused),
    )


def _each_once(snapshots: Sequence[_Snapshot]) -> list[_Snapshot]:
    """Return one of each two that say the same of themselves: the ledger can have one, the other is found by its
    owner's mark."""
    return list({(one.number, one.of.disk): one for one in snapshots}.values())


def _volume(found: MarkedVolume, others: Mapping[str, _Volume]) -> _Volume:
    """Return what a volume says of itself. `others`: of the same replica. Raise ValueError when it can't be true."""
    volume = _said(found.id, found.metadata, found.size)
    if found.metadata.get(OWNER) != f"{volume.replica}/volume-{volume.disk}":
        raise ValueError("its owner's mark is another's")
    if volume.disk in others:
        raise ValueError("another volume says that it is of the same disk")
    return volume


def _snapshot(found: MarkedSnapshot, volumes: Mapping[str, _Volume], now: datetime) -> _Snapshot:
    """Return what a snapshot says of itself. Raise ValueError when it can't be true."""
    said = _said(found.id, found.metadata, found.size)
    number = _number(found.metadata, marks.POINT, LAST_POINT)
    if found.metadata.get(OWNER) != f"{said.replica}/point-{number}-{said.disk}":
        raise ValueError("its owner's mark is another's")
    volume = volumes.get(said.disk)
    if volume is None or volume.id != found.volume_id:
        raise ValueError("it isn't of the replica's volume")
    if not found.usable:
        raise ValueError("the cloud doesn't call it available")
    root = found.metadata.get(marks.ROOT, "")
    if not _ROOT.fullmatch(root):
        raise ValueError("its digest is none")
    consistency = found.metadata.get(marks.CONSISTENCY)
    if consistency not in {one.value for one in Consistency}:
        raise ValueError("its consistency is none")
    return _Snapshot(
        of=said,
        volume_id=volume.id,
        number=number,
        moment=_moment(found.metadata.get(marks.MOMENT, ""), now),
        consistency=Consistency(consistency),
        root=root,
        disks=_number(found.metadata, marks.DISKS, 10_000),
        marks=found.metadata,
    )


def _said(id_: str, told: Mapping[str, str], largest: int) -> _Volume:
    """Return what both volumes and snapshots say. `largest`: bytes, by the cloud. Raise ValueError when it can't be
    true."""
    disk, name, machine = (told.get(key, "") for key in (marks.DISK, marks.NAME, marks.MACHINE))
    if not _KEY.fullmatch(disk):
        raise ValueError("its disk's key is none")
    for text in (name, machine):
        if not text or len(text) > marks.LONGEST or not text.isprintable():
            raise ValueError("its machine's name or reference is none")
    return _Volume(id_, told[marks.REPLICA], disk, _number(told, marks.SIZE, largest), name, machine)


def _point(number: int, parts: Sequence[_Snapshot]) -> FoundPoint:
    """Return the point that these snapshots are. Raise ValueError unless it is whole, and all of it says the same."""
    first = parts[0]
    alike = {(part.moment, part.consistency, part.disks, part.of.name, part.of.machine) for part in parts}
    if len(alike) > 1:
        raise ValueError("its snapshots tell of different moments or machines")
    by_disk = {part.of.disk: part for part in parts}
    if len(by_disk) < len(parts):
        raise ValueError("there are two snapshots of the same disk")
    if len(parts) != first.disks:
        raise ValueError(f"it has {len(parts)} of {first.disks} snapshots")
    machine = _machine(parts)
    if {disk.key: disk.size for disk in machine.disks} != {key: part.of.size for key, part in by_disk.items()}:
        raise ValueError("its machine has other disks than it")
    if sorted(disk.position for disk in machine.disks) != list(range(first.disks)):
        raise ValueError("its machine's disks have no order")
    cut = machine.name[: marks.LONGEST], machine.ref[: marks.LONGEST]
    if cut != (first.of.name, first.of.machine):
        raise ValueError("it describes another machine")
    made = {key: (part.volume_id, part.of.id, part.root, None) for key, part in by_disk.items()}
    return FoundPoint(number, first.moment, first.consistency, machine, tuple(marks.disks_of(machine, made)))


def _machine(parts: Sequence[_Snapshot]) -> Machine:
    """Return the machine that one of the snapshots describes. Raise ValueError unless exactly one does."""
    found = [machine for part in parts if (machine := marks.described(part.marks)) is not None]
    if len(found) != 1:
        raise ValueError("it has no description of its machine, or several")
    return found[0]


def _number(told: Mapping[str, str], key: str, largest: int) -> int:
    """Return a number from 1 to `largest`. Raise ValueError for anything else."""
    text = told.get(key, "")
    if not _NUMBER.fullmatch(text) or int(text) > largest:
        raise ValueError(f"its {key.partition(':')[2]} can't be")
    return int(text)


def _moment(text: str, now: datetime) -> datetime:
    """Return the moment. Raise ValueError for one that is badly written, before 2020, or more than a day ahead."""
    try:
        moment = datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None
    except ValueError:  # the 31st of February
        moment = None
    if moment is None:
        raise ValueError("its moment is none")
    if not datetime(2020, 1, 1, tzinfo=UTC) <= moment <= now + _AHEAD:
        raise ValueError("its moment can't be")
    return moment
