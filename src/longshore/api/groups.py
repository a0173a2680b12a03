"""Groups of replicas, as they go over the wire. Lengths of time are seconds where they are numbers."""

from typing import Annotated

from pydantic import Field

from longshore.api.replicas import Condition, Text
from longshore.api.schemas import InPieces, Moment, Name, Strict
from longshore.model.group import MOST_TIERS, GateState, TierState
from longshore.model.replica import Stage
from longshore.model.status import Status

TierNumber = Annotated[int, Field(ge=0, le=MOST_TIERS)]
Word = Annotated[str, Field(min_length=1, max_length=4096)]


class NewGate(Strict):
    """Conditions to pass after a tier, in addition to all of its machines having been seen up."""

    pause: Text | None = None  # as 2m
    command: list[Word] = Field(default=[], max_length=100)  # program and arguments; not on a server


class NewGroup(Strict):
    name: Name
    members: Annotated[dict[Text, TierNumber], InPieces]  # replica: its tier; lower ones begin first
    gates: dict[TierNumber, NewGate] = Field(default={})  # by the tier that they are after


class GroupChange(Strict):
    """Changes to a group. A member or gate that isn't named stays as it was; null takes it away."""

    members: Annotated[dict[Text, TierNumber | None], InPieces] = Field(default={})
    gates: dict[TierNumber, NewGate | None] = Field(default={})


class GroupLanding(Strict):
    """Options of a group's test or failover. Each machine is made as its replica says, but for what is given here."""

    at: Moment | None = None  # of each the newest usable point that isn't of a later moment; null: the newest
    # Source network: target network; of others the replicas' mappings hold
    networks: dict[str, str] = Field(default={})


class GroupTest(GroupLanding):
    isolated: bool = True  # each machine on networks of its own that lead nowhere
    clean_up_after: Text | None = None  # as 30m: all stay so long once the last gate is passed


class GroupFailover(GroupLanding):
    planned: bool = False  # machines are shut down, the last tier first, and last syncs make the points


class Gate(Strict):
    pause: float  # seconds
    command: list[str]


class GroupMember(Strict):
    replica: str
    machine_name: str
    tier: int
    stage: Stage
    newest: Moment | None  # moment of its newest usable point that isn't suspect
    rpo: int | None  # seconds
    rpo_now: float | None  # the age of that point; null: there is none
    conditions: list[Condition]  # but for rpo-warning, machine-off and test-failed, which take a look of its own
    unready: str | None  # why it can't fail over now; null: it can, or has
    networks: dict[str, str]  # source network: target network, as its replica says
    migration: str | None  # of its machine in the last run
    status: Status | None  # of that
    phase: str | None
    up_at: Moment | None  # when that was seen up
    error: str | None


class GroupTier(Strict):
    """One tier of a run, as the group was when the run began."""

    tier: int
    state: TierState
    gate: GateState | None  # null: nothing but its machines is waited for


class GroupRun(Strict):
    """The last test or failover of a group, which is a migration, too."""

    id: str
    type: str
    status: Status
    phase: str
    error: str | None  # why it stopped, or stops
    tiers: list[GroupTier]  # in their order
    pause_until: Moment | None  # of the gate that it waits at
    remove_at: Moment | None  # of a test whose machines are all up: they go then
    created_at: Moment
    finished_at: Moment | None


class Group(Strict):
    id: str
    project_id: str
    name: str
    members: list[GroupMember]  # in the order of their tiers
    gates: dict[int, Gate]
    run: GroupRun | None
    created_at: Moment
