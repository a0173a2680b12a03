"""Reports about a replica, for those who answer for it. Lengths of time are in seconds."""

from pydantic import BaseModel, ConfigDict

from longshore.api.replicas import Point, Replica
from longshore.api.schemas import Moment


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Arrived(_Strict):
    """Arrival of a point, whether it is still there or not."""

    moment: Moment
    usable_at: Moment


class Landed(_Strict):
    """A machine that was made of a point, or was to be."""

    id: str
    type: str  # test-failover or failover
    status: str
    point: int
    asked_at: Moment
    seconds: dict[str, float] | None  # of its parts, and of all; null: it isn't up
    proof: str | None
    error: str | None


class ReplicaReport(_Strict):
    made_at: Moment
    replica: Replica
    points: list[Point]
    arrivals: list[Arrived]  # of 30 days, oldest first; suspect ones are left out
    landings: list[Landed]  # oldest first
