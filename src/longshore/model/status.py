"""The status of a migration or a job, as users are told it."""

from enum import StrEnum


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    PARKED = "parked"  # it can't go on, keeps what it has, and is tried again by itself
    ROLLING_BACK = "rolling-back"
    DONE = "done"
    FAILED = "failed"  # rolled back; what could not be removed is in the ledger
    CANCELLED = "cancelled"  # rolled back because the user asked for it

    @property
    def ended(self) -> bool:
        return self in (Status.DONE, Status.FAILED, Status.CANCELLED)


UNFINISHED = [status.value for status in Status if not status.ended]

WAITING = "waiting"  # the phase of a migration between two syncs, or with a copy that is kept for another try
