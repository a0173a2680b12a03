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
    # What is told of a migration in the place of one of those that is kept: see `longshore.store.standing`
    WAITS_FOR_CUTOVER = "waits-for-cutover"  # its copy is up to date, and a person is to say when its machine stops
    WAITS_WITH_COPY = "waits-with-copy"  # its cutover has failed; a person is to say when it is tried again
    WAITS_FOR_DECISION = "waits-for-decision"  # what was restored is up; a person is to say whether that stays
    REHEARSED = "rehearsed"  # a dry run that is done: nothing was moved

    @property
    def ended(self) -> bool:
        return self in (Status.DONE, Status.FAILED, Status.CANCELLED, Status.REHEARSED)

    @property
    def waits_for_person(self) -> bool:
        return self in (Status.WAITS_FOR_CUTOVER, Status.WAITS_WITH_COPY, Status.WAITS_FOR_DECISION)

    @property
    def kept(self) -> bool:
        """Say whether records have it; the others are only told."""
        return not self.waits_for_person and self is not Status.REHEARSED


UNFINISHED = [status.value for status in Status if status.kept and not status.ended]

WAITING = "waiting"  # the phase of a migration between two syncs, or with a copy that is kept for another try
