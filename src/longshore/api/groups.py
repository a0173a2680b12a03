"""Groups of replicas, as they go over the wire. Lengths of time are seconds where they are numbers."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from longshore.api.replicas import Name, Text
from longshore.api.schemas import Moment
from longshore.model.group import MOST_TIERS
from longshore.model.replica import Stage
from longshore.model.status import Status

TierNumber = Annotated[int, Field(ge=0, le=MOST_TIERS)]
Word = Annotated[str, Field(min_length=1, max_length=4096)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewGate(_Strict):
    """After a tier, beside all of its machines having been seen up."""

    pause: Text | None = None  # as 2m
    command: list[Word] = Field(default=[], max_length=100)  # program and arguments; not on a server


class NewGroup(_Strict):
    name: Name
    members: dict[Text, TierNumber]  # replica: its tier; lower ones begin first
    gates: dict[TierNumber, NewGate] = {}  # by the tier that they are after


class GroupChange(_Strict):
    """What isn't named stays as it was; null takes it away."""

    members: dict[Text, TierNumber | None] = {}
    gates: dict[TierNumber, NewGate | None] = {}


class GroupLanding(_Strict):
    """What its machines become: as their replicas say, but for this."""

    at: Moment | None = None  # of each the newest usable point that isn't of a later moment; null: the newest
    networks: dict[str, str] = {}  # source network: target network; of others the replicas' mappings hold


class GroupTest(GroupLanding):
    isolated: bool = True  # each machine on networks of its own that lead nowhere
    clean_up_after: Text | None = None  # as 30m: all stay so long once the last gate is passed


class GroupFailover(GroupLanding):
    planned: bool = False  # machines are shut down, the last tier first, and last syncs make the points


class Gate(_Strict):
    pause: float  # seconds
    command: list[str]


class GroupMember(_Strict):
    replica: str
    machine_name: str
    tier: int
    stage: Stage
    newest: Moment | None  # moment of its newest usable point
    migration: str | None  # of its machine in the last run
    status: Status | None  # of that
    phase: str | None
    error: str | None


class GroupRun(_Strict):
    """The last test or failover: a migration, too."""

    id: str
    type: str
    status: Status
    phase: str
    error: str | None


class Group(_Strict):
    id: str
    project_id: str
    name: str
    members: list[GroupMember]  # in the order of their tiers
    gates: dict[int, Gate]
    run: GroupRun | None
    created_at: Moment
