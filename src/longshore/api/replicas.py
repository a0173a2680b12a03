"""Replicas and their points, as they go over the wire. Lengths of time are seconds where they are numbers."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from longshore.api.schemas import Moment
from longshore.model.replica import Stage
from longshore.model.request import MigrationRequest
from longshore.model.status import Status

LAST_POINT = (1 << 31) - 1  # as databases keep it
Text = Annotated[str, Field(min_length=1, max_length=255)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewReplica(_Strict):
    machine: str
    source: str
    target: str
    schedule: Text = "every 15m"
    retention: Text = "last 24"
    rpo: Text | None = None  # as 15m: how old the newest usable point may become
    request: MigrationRequest = Field(default_factory=MigrationRequest)  # its type counts for nothing


class ReplicaChange(_Strict):
    """What isn't named stays as it was."""

    schedule: Text | None = None
    retention: Text | None = None
    rpo: Text | None = None


class Pause(_Strict):
    until: Moment | None = None  # null: until it is resumed


class NewLanding(_Strict):
    """What a point becomes: as its replica says, but for this."""

    point: int | None = Field(default=None, ge=1, le=LAST_POINT)  # null: the newest usable one
    networks: dict[str, str] = {}  # source network: target network; of others the replica's mapping holds


class NewTest(NewLanding):
    isolated: bool = True  # on networks of its own that lead nowhere
    keep: bool = False  # until it is cleaned up


class NewFailover(NewLanding):
    planned: bool = False  # the machine is shut down, and a last sync makes the point


class NewHold(_Strict):
    name: Name = "held"
    until: Moment | None = None  # null: until it is released


class Condition(_Strict):
    code: str
    text: str


class Figures(_Strict):
    """Over some time until now, as far as the replica was there then."""

    hours: int
    length: float
    worst: float | None  # RPO, seconds; null: there was no usable point at all
    without: float  # seconds without a usable point
    kept: float | None  # share of the time in which the objective was kept, 0 to 1; null: there is none


class Hold(_Strict):
    name: str
    until: Moment | None


class Point(_Strict):
    number: int
    state: str
    moment: Moment
    usable_at: Moment | None
    consistency: str | None
    bytes_changed: int | None  # null: the source couldn't say
    bytes_written: int | None
    kept: list[str]  # why it stays; empty: it goes with the next sync
    holds: list[Hold]
    users: list[str]
    proved_at: Moment | None
    proof: str | None
    note: str | None  # why it couldn't be removed yet
    disks: list[dict[str, Any]]
    machine: dict[str, Any] | None  # as it was then; in a list of points null


class Replica(_Strict):
    id: str
    project_id: str
    machine_name: str
    machine_ref: str
    source: str
    target: str
    request: MigrationRequest
    status: Status  # of its record: running as long as it is there
    phase: str
    stage: Stage
    schedule: str
    retention: str
    rpo: int | None
    paused: bool
    paused_until: Moment | None
    due_at: Moment | None  # of its next sync
    missed: int  # times of the schedule that passed without a sync of their own
    failures: int  # syncs in a row
    error: str | None
    error_code: str | None
    wish: str | None  # what is wanted of it beside its schedule
    failover: str | None  # the migration that landed, or lands, in the machine's place
    rpo_now: float | None  # the age of the newest usable point; null: there is none
    next_takes: float | None  # seconds that a sync would take that began now; null: not known yet
    points: int  # usable ones
    newest: Moment | None  # its moment
    figures: list[Figures]
    conditions: list[Condition]
    tests: dict[str, float] | None  # seconds of the parts of the last machine that was made of a point
    syncs: list[dict[str, Any]]  # oldest first
    created_at: Moment
    finished_at: Moment | None
