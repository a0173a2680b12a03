"""Reports about a replica, for those who answer for it. Lengths of time are in seconds."""

from longshore.api.replicas import Point, Replica
from longshore.api.schemas import Moment, Strict


class Arrived(Strict):
    """Arrival of a point, whether it is still there or not."""

    moment: Moment
    usable_at: Moment


class Landed(Strict):
    """A machine that was made of a point, or was to be."""

    id: str
    type: str  # test-failover or failover
    status: str
    point: int
    asked_at: Moment
    seconds: dict[str, float] | None  # of its parts, and of all; null: it isn't up
    proof: str | None
    error: str | None


class ReplicaReport(Strict):
    made_at: Moment
    replica: Replica
    points: list[Point]
    arrivals: list[Arrived]  # of 30 days, oldest first; suspect ones are left out
    landings: list[Landed]  # oldest first
