"""A replica: a machine that is copied again and again, each time to a point that it can be made of."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Stage(StrEnum):
    """Where a replica is in its life. What is wrong with it for the moment is a condition, and no stage."""

    SEEDING = "seeding"  # there is no point yet
    PROTECTED = "protected"
    FAILING_OVER = "failing-over"
    FAILED_OVER = "failed-over"  # its server runs in the machine's place: to be undone or committed
    COMMITTED = "committed"  # that server is the user's for good


class Wish(StrEnum):
    """What a user wants of a replica beside its schedule."""

    SYNC = "sync"
    FAILOVER = "failover"  # a planned one: the machine is shut down, and the last sync is what lands
    UNDO = "undo"
    COMMIT = "commit"


class PointState(StrEnum):
    MAKING = "making"  # its moment has been; it isn't all there, and may never be
    USABLE = "usable"
    REMOVING = "removing"  # no machine is made of it any more
    GONE = "gone"  # what is left is that there was one


@dataclass(frozen=True, slots=True)
class Protection:
    """How a machine is to be protected, as it is written."""

    schedule: str
    retention: str
    rpo: int | None = None  # seconds
    due_at: datetime | None = None  # of the first sync, in UTC without a zone; None: at once


@dataclass(frozen=True, slots=True)
class PointDisk:
    """One disk of a point: a snapshot of the replica's volume."""

    key: str
    label: str
    size: int  # bytes
    volume_id: str
    snapshot_id: str
    root_digest: str
