"""Replicas and their points, as they go over the wire. Lengths of time are seconds where they are numbers."""

from typing import Annotated, Any, Literal

from pydantic import Field

from longshore.api.schemas import Moment, Name, Strict
from longshore.model.replica import LAST_POINT, Stage
from longshore.model.request import MigrationRequest
from longshore.model.status import Status

Text = Annotated[str, Field(min_length=1, max_length=255)]


class NewSeed(Strict):
    """A backup of the machine, which its volumes are written from before the first sync."""

    vault: Text
    point: Text  # its name, the part behind the slash, or the machine's name for the newest one


class Seed(Strict):
    vault: str
    point: str


class NewReplica(Strict):
    machine: str
    source: str
    target: str
    schedule: Text = "every 15m"
    retention: Text = "last 24"
    rpo: Text | None = None  # as 15m: how old the newest usable point may become
    prove: Text | None = None  # as a schedule: a test of the newest point then, on networks that lead nowhere
    audit: Text | None = None  # as a schedule: the next sync from then on reads everything
    seed: NewSeed | None = None  # null: the first sync copies all of it
    request: MigrationRequest = Field(default_factory=MigrationRequest)  # its type counts for nothing


class KeptMigration(Strict):
    """Protection for the machine of a warm migration that becomes a replica."""

    schedule: Text = "every 15m"
    retention: Text = "last 24"
    rpo: Text | None = None
    prove: Text | None = None
    audit: Text | None = None


class ReplicaChange(Strict):
    """Changes to a replica. A field that isn't given stays as it is."""

    schedule: Text | None = None
    retention: Text | None = None
    rpo: Text | None = None
    prove: Text | None = None  # "never": no more
    audit: Text | None = None  # or "never"


class Pause(Strict):
    until: Moment | None = None  # null: until it is resumed


class NewLanding(Strict):
    """Options of a test or failover. The machine is made as its replica says, except for what is given here."""

    point: int | None = Field(default=None, ge=1, le=LAST_POINT)  # null: the newest usable one
    # Source network: target network; of others the replica's mapping holds
    networks: dict[str, str] = Field(default={})


class NewTest(NewLanding):
    isolated: bool = True  # on networks of its own that lead nowhere
    keep: bool = False  # until it is cleaned up
    clean_up_after: Text | None = None  # as 30m: its server stays so long once it is up


class NewFailover(NewLanding):
    planned: bool = False  # the machine is shut down, and a last sync makes the point


class NewFailback(Strict):
    new_machine: bool = False  # the machine that it came from is gone: another one is made there, and written in full
    accept: list[Text] = Field(default=[])  # codes of what stands against it that you take upon yourself


class NewDirection(Strict):
    target: str | None = None  # null: where the machine came from
    # The server's network: network there; of others the replica's mapping, turned round
    networks: dict[str, str] = Field(default={})


class NewHold(Strict):
    name: Name = "held"
    until: Moment | None = None  # null: until it is released


class Condition(Strict):
    code: str
    text: str


class Figures(Strict):
    """Figures of a replica over some time until now, as far as it was there then. Lengths of time are seconds."""

    hours: int
    length: float
    worst: float | None  # RPO, seconds; null: there was no usable point at all
    without: float  # seconds without a usable point
    kept: float | None  # share of the time in which the objective was kept, 0 to 1; null: there is none


class Hold(Strict):
    name: str
    until: Moment | None


class Point(Strict):
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
    suspect: bool  # an audit has found that it may lack something
    disks: list[dict[str, Any]]
    machine: dict[str, Any] | None  # as it was then; in a list of points null


# Header of a list of replicas: the ids of those that can't be read, and so aren't in it
LEFT_OUT = "X-Longshore-Left-Out"


class Replica(Strict):
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
    due_at: Moment | None  # of its next sync; null where no more come
    missed: int  # times of the schedule that passed without a sync of their own
    failures: int  # syncs in a row
    error: str | None
    error_code: str | None
    wish: str | None  # what is wanted of it beside its schedule
    failover: str | None  # the migration that landed, or lands, in the machine's place
    failback: str | None = None  # the migration that takes that back to the machine
    rpo_now: float | None  # the age of the newest usable point; null: there is none
    next_takes: float | None  # seconds that a sync would take that began now; null: not known yet
    audit: str | None  # schedule of audits
    audit_due_at: Moment | None  # the next sync from then on reads everything
    audited_at: Moment | None  # the moment of the last sync that did, the first one included
    audits: list[dict[str, Any]]  # what the last ones have found, oldest first
    seed: Seed | None = None  # what its volumes have been written from first
    points: int  # usable ones
    newest: Moment | None  # its moment
    figures: list[Figures]
    conditions: list[Condition]
    prove: str | None  # when its points are tried by themselves
    prove_due_at: Moment | None  # of the next such test
    proved_at: Moment | None  # when a machine made of one of its usable points was last seen up
    looked_at: Moment | None = None  # when it was last looked into one of its points, to know how it lands
    looked_point: int | None = None
    tests: dict[str, float] | None  # seconds of the parts of the last machine that was made of a point
    syncs: list[dict[str, Any]]  # oldest first
    created_at: Moment
    finished_at: Moment | None


class Applied(Strict):
    """Outcome of applying one entry of a file."""

    kind: Literal["replica", "group"]
    name: str
    id: str
    what: Literal["made", "changed", "as it was"]


# Replicas that are found at a target


class NewAdoption(Strict):
    target: str
    machines: list[str] = Field(default=[], max_length=1000)  # by name, reference or replica's id; none: all
    request: MigrationRequest = Field(default_factory=MigrationRequest)  # its type counts for nothing


class FoundReplica(Strict):
    id: str
    machine_name: str
    machine_ref: str
    disks: int
    size: int  # bytes, of the newest point's disks
    points: int  # whole ones
    newest: Moment | None  # its moment
    adopted: bool  # by this very request
    objection: str | None  # why it can't be adopted
    refused: list[str]  # what of it isn't taken for what it says it is, and why
