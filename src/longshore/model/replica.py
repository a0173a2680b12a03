"""A replica: a machine that is copied again and again, each time to a point that it can be made of."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

LAST_POINT = (1 << 31) - 1  # as databases keep it


class Stage(StrEnum):
    """The stage of a replica's life. What is wrong with it for the moment is a condition, and no stage."""

    SEEDING = "seeding"  # there is no point yet
    PROTECTED = "protected"
    FAILING_OVER = "failing-over"
    FAILED_OVER = "failed-over"  # its server runs in the machine's place: to be undone or committed
    COMMITTED = "committed"  # that server is the user's for good
    MIGRATING = "migrating"  # its own volumes are to be a server's, in the machine's place: then it is no replica more
    ADOPTED = "adopted"  # found at its target: it has points, and no source that more could come from
    FAILING_BACK = "failing-back"
    FAILED_BACK = "failed-back"  # the machine runs again, as the server was: to be undone or committed


SYNCED = (Stage.SEEDING, Stage.PROTECTED)  # it is copied to on its schedule
IN_PLACE = (Stage.FAILED_OVER, Stage.COMMITTED)  # a server runs in the machine's place


class Wish(StrEnum):
    """A user's wish for a replica beside its schedule."""

    SYNC = "sync"
    AUDIT = "audit"  # a sync that reads everything
    FAILOVER = "failover"  # a planned one: the machine is shut down, and the last sync is what lands
    UNDO = "undo"
    COMMIT = "commit"
    MIGRATE = "migration"  # its own volumes become a server's, as those of a warm migration do


OF_RUN = "of_run"  # beside the request of a wished failover: its group's run, which says when its server is made


class PointState(StrEnum):
    MAKING = "making"  # its moment has been; it isn't all there, and may never be
    USABLE = "usable"
    LOST = "lost"  # somebody has deleted at the target what it is made of
    REMOVING = "removing"  # no machine is made of it any more
    GONE = "gone"  # what is left is that there was one


@dataclass(frozen=True, slots=True)
class Seed:
    """A point of the same machine in a vault, which a replica's volumes are written from before its first sync."""

    vault_id: str
    point: str  # its whole name


@dataclass(frozen=True, slots=True)
class Protection:
    """The protection of a machine, as it is written."""

    schedule: str
    retention: str
    rpo: int | None = None  # seconds
    due_at: datetime | None = None  # of the first sync, in UTC without a zone; None: at once
    prove: str | None = None  # the schedule of its tests
    prove_due_at: datetime | None = None  # of the first one, in UTC without a zone
    audit: str | None = None  # schedule; None: only when somebody asks for one
    audit_due_at: datetime | None = None  # of the first one; None: the first sync is one
    seed: Seed | None = None  # None: the first sync copies all of it


@dataclass(frozen=True, slots=True)
class PointDisk:
    """One disk of a point: a snapshot of the replica's volume."""

    key: str
    label: str
    size: int  # bytes
    volume_id: str
    snapshot_id: str
    root_digest: str
    change_id: str | None = None  # the source's own mark of that moment; None: it doesn't track, or it can't be trusted
