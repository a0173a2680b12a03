"""The operator's view of an installation, over all projects."""

from longshore.api.schemas import Moment, Strict
from longshore.model.job import JobKind
from longshore.model.status import Status


class Operation(Strict):
    """State of the whole installation, over all projects."""

    version: str  # of the release that answers
    flow_version: str  # that it begins jobs with
    database: str  # sqlite or postgresql
    database_primary: str | None  # its address, as it sees itself
    database_servers: int  # that the configuration names
    database_standbys: int  # that follow the primary
    database_waits: bool  # for one of them, before it acknowledges
    workers: int  # that are alive
    capacity: int  # migrations that they take at once
    queue: dict[str, int]  # jobs that have not ended: waits, moves, cutover, parked
    stranded: int  # of those, that no living worker can take
    left: int  # things that ended migrations may have left outside
    kept: int  # bytes of volumes that migrations keep which wait after a cutover that failed
    oldest: Moment | None  # since when the oldest job waits that could begin now


class Worker(Strict):
    id: str
    host: str
    pid: int
    flow_version: str
    capacity: int  # migrations at once; 0: it takes nothing new
    labels: list[str]
    started_at: Moment
    alive: bool
    lease_ends_in: float | None  # seconds, negative when it is over; null: it is alone, and needs none
    jobs: int  # that it has


class QueuedJob(Strict):
    """A job in the queue: it waits for a worker, or one has it."""

    id: str
    migration: str  # the record that it works for: a migration, or what is watched as one
    machine_name: str
    project_id: str  # empty without a server
    kind: JobKind
    status: Status
    phase: str
    source: str
    target: str
    worker: str | None  # that has it
    flow_version: str | None  # that it was begun with
    asked_at: Moment
    taken_at: Moment | None
    due_at: Moment | None  # not before
    cancel_requested: bool
    reason: str | None  # why it is parked
    stranded: str | None  # why nobody that lives can take it, and what to do


class LeftOver(Strict):
    """Something outside that should be gone, or may be there: what made it has ended; or a copy that is kept, while its
    migration waits for somebody."""

    migration_id: str
    machine_name: str
    project_id: str  # empty without a server
    provider: str  # where it is
    kind: str
    ref: str | None  # its id there, once known
    state: str  # intended: it may be there; made; left: removing it failed; kept: for another try
    note: str | None  # why
    changed_at: Moment
    size: int | None  # bytes, of a disk's volume
