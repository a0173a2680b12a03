"""Replicas as a target tells of them, by marks on its volumes and snapshots: what can be taken over."""

from dataclasses import dataclass
from datetime import datetime

from longshore.model.machine import Disk, Machine
from longshore.model.point import Consistency
from longshore.model.replica import PointDisk


@dataclass(frozen=True, slots=True)
class FoundPoint:
    """One that is whole."""

    number: int
    moment: datetime  # in UTC, and says so
    consistency: Consistency
    machine: Machine  # as it was then
    disks: tuple[PointDisk, ...]


@dataclass(frozen=True, slots=True)
class FoundSnapshot:
    """One that is the replica's, whether its point is whole or not."""

    id: str
    point: int
    disk: str  # its key


@dataclass(frozen=True, slots=True)
class FoundReplica:
    id: str
    machine_name: str
    machine_ref: str
    volumes: dict[str, str]  # by disk
    points: tuple[FoundPoint, ...]  # oldest first
    snapshots: tuple[FoundSnapshot, ...]
    refused: tuple[str, ...] = ()  # a sentence for each thing that isn't taken for what it says it is

    @property
    def disks(self) -> tuple[Disk, ...]:
        """Return the disks of the newest point; none where there is no point."""
        return self.points[-1].machine.disks if self.points else ()
