"""Checks whether the source project's quota has room for what is made there to read disks: snapshots, and volumes of
them.

Nearly all of it is there only while a machine's disks are copied. Of a warm migration, and of backups, one snapshot of
each volume stays until the next one was copied: it tells what changed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from longshore.model.concern import Concern
from longshore.model.machine import Disk, Machine
from longshore.model.request import CopyRequest, MigrationRequest, MigrationType
from longshore.model.target import QuotaRoom, SourceRoom
from longshore.planning.kinds import ConcernKind, blocker, warning
from longshore.planning.quota import Needs, quota_concerns, shortages, snapshot_needs, together, volume_needs

_ADVICE = "Ask for a larger quota there, free some, or accept it, if the quota will be raised before the machines move."


def _kind(what: str, meaning: str) -> ConcernKind:
    return blocker(f"source-quota-{what}", meaning, _ADVICE, acceptable=True)


SOURCE_QUOTA_SNAPSHOTS = _kind(
    "snapshots",
    "The source's project may not have as many volume snapshots as are copied from (warm, and from the second backup "
    "on: two of a volume).",
)
SOURCE_QUOTA_VOLUMES = _kind(
    "volumes",
    "The source's project may not have as many volumes as are read from: one of each snapshot with "
    "`--transport relay`, and one of a root disk that is no volume.",
)
SOURCE_QUOTA_GIGABYTES = _kind(
    "gigabytes", "The source's project may not have as many GiB as the snapshots and volumes need that are read from."
)
SOURCE_QUOTA_VOLUME_TYPE = _kind(
    "volume-type", "The volume type has a quota of its own at the source, which has no room for what is read from."
)
SOURCE_QUOTA_NEXT_BACKUP = warning(
    "source-quota-next-backup",
    "The source's project has room for this backup, but not for the next one beside it: the snapshots of a backup stay "
    "until the next one has its own.",
    "Ask for a larger quota there: two snapshots of each volume that is backed up.",
)

_KINDS = {
    "volumes": SOURCE_QUOTA_VOLUMES,
    "gigabytes": SOURCE_QUOTA_GIGABYTES,
    "snapshots": SOURCE_QUOTA_SNAPSHOTS,
}


def needs_at_source(machine: Machine, request: CopyRequest, room: SourceRoom, *, kept: bool = False) -> Needs:
    """Return what reading a machine's disks needs at the source: nothing of a machine from elsewhere. `kept`: of a
    backup, whether an earlier one's snapshots are there still."""
    if not machine.platform.traits.in_quota:
        return Needs()
    moment: Counter[str] = Counter()  # that all disks are copied of
    for disk in machine.disks:
        moment.update(_of(disk))
    read: Counter[str] = Counter()  # volumes that are made of it, for as long as they are read
    if room.reads_volumes:
        for disk in machine.disks:
            read.update(volume_needs(disk.size, disk.storage or None) if disk.tracked else Counter())
    if request.type is MigrationType.WARM and any(disk.tracked for disk in machine.disks):
        return Needs(lasting=moment, passing=moment + read)
    if request.type is MigrationType.BACKUP:
        stays = Counter[str]() if kept else _snapshots(machine)
        return Needs(lasting=stays, passing=moment + read - stays)
    return Needs(passing=moment + read)


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A machine, or a volume that none has, that is to be backed up, now and again and again."""

    machine: Machine
    kept: bool  # an earlier backup's snapshots are there still

    def needs(self, request: CopyRequest, room: SourceRoom) -> Needs:
        return needs_at_source(self.machine, request, room, kept=self.kept)


def backup_quotas(
    backups: Sequence[BackedUp], request: CopyRequest, room: SourceRoom | None, who: str
) -> Iterator[Concern]:
    """Yield shortages for those that are backed up one after another, whom `who` names. None as the room: nothing is
    counted there."""
    if room is None:
        return
    verb = "need" if len(backups) > 1 else "needs"
    each = [one.needs(request, room) for one in backups]
    needed = together(each, 1)
    short = list(shortages(needed, room.quota, f"{who} {verb}", "source", _KINDS, SOURCE_QUOTA_VOLUME_TYPE))
    yield from short
    if short:
        return
    later = together([Needs(one.lasting, one.lasting + one.passing) for one in each], 1)
    kinds = dict.fromkeys(_KINDS, SOURCE_QUOTA_NEXT_BACKUP)
    what = f"the next backup of {who} needs"
    yield from shortages(later, room.quota, what, "source", kinds, SOURCE_QUOTA_NEXT_BACKUP)


class Mover(Protocol):
    """A machine, or a volume that none has, of which is decided where it lands."""

    @property
    def machine(self) -> Machine: ...
    @property
    def request(self) -> MigrationRequest: ...
    @property
    def concerns(self) -> tuple[Concern, ...]:
        """Return its own concerns, quotas left out."""

    @property
    def needs(self) -> Needs:
        """Return what it needs at the target."""


def quotas(
    movers: Sequence[Mover], target: QuotaRoom, source: SourceRoom | None, who: str, at_once: int | None = None
) -> Iterator[Concern]:
    """Yield shortages on both sides for those that move together, `at_once` of them at a time (None: all).

    `who` needs it, as in "web01 needs". None as the source: nothing is counted there.
    """
    yield from quota_concerns(together([mover.needs for mover in movers], at_once), target, who)
    if source is not None:
        there = [needs_at_source(mover.machine, mover.request, source) for mover in movers]
        needed = together(there, at_once)
        yield from shortages(needed, source.quota, who, "source", _KINDS, SOURCE_QUOTA_VOLUME_TYPE)


def _snapshots(machine: Machine) -> Counter[str]:
    """Return the needs of one snapshot of each volume."""
    found: Counter[str] = Counter()
    for disk in machine.disks:
        found.update(_of(disk) if disk.tracked else Counter())
    return found


def _of(disk: Disk) -> Counter[str]:
    """Return the needs of a snapshot; of a disk that is no volume and so isn't tracked, those of a volume of the
    default type."""
    return snapshot_needs(disk.size, disk.storage or None) if disk.tracked else volume_needs(disk.size, None)
