"""Points: what a replica or a backup can make a machine of again, each as the machine was at one moment."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Consistency(StrEnum):
    """The consistency of a point: what of the guest it holds."""

    OFF = "off"  # all: it was shut down
    APPLICATION = "application"  # what its application had written; a playbook froze that
    FILE_SYSTEMS = "file systems"  # what its file systems had written; its agent froze them
    CRASH = "crash"  # what its disks had, as after a power cut


class Arrival(NamedTuple):
    """The arrival of a point. Moments are in UTC, and say so."""

    moment: datetime  # when the source's snapshot was asked for: what is older is in the point
    usable_at: datetime  # when a machine could be made of it


@dataclass(frozen=True, slots=True)
class Hold:
    """A wish that a point stays."""

    name: str
    until: datetime | None = None  # None: until it is taken off

    def counts(self, now: datetime) -> bool:
        return self.until is None or now < self.until


@dataclass(frozen=True, slots=True)
class Point:
    """One that is complete: all disks of one moment, verified. Others are no points yet, or no longer."""

    id: str
    arrival: Arrival
    consistency: Consistency
    suspect: bool = False  # an audit has found that the source may have hidden changes from it
    proved: bool = False  # a machine made of it was seen up
    holds: tuple[Hold, ...] = ()
    users: tuple[str, ...] = ()  # jobs, and servers, that stand on it, as people call them
    base_of: str | None = None  # the sync that runs and asks what has changed since this point

    @property
    def moment(self) -> datetime:
        return self.arrival.moment
