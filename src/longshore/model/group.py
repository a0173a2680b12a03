"""Groups of replicas: machines that are tried, or fail over, together and one tier after another."""

from dataclasses import dataclass
from enum import StrEnum

MOST_TIERS = 1000  # the highest number of one


@dataclass(frozen=True, slots=True)
class Gate:
    """The condition for the next tier to begin, once all machines of this one have been seen up."""

    pause: float = 0.0  # seconds
    command: tuple[str, ...] = ()  # of the operator's: program and arguments; it has to succeed


@dataclass(frozen=True, slots=True)
class Tier:
    number: int
    replicas: tuple[str, ...]  # their ids
    gate: Gate


class TierState(StrEnum):
    """The state of a tier in a run."""

    WAITING = "waiting"
    SHUTTING_DOWN = "shutting-down"
    SHUT_DOWN = "shut-down"  # and it waits for its servers
    LANDING = "landing"
    AT_GATE = "at-gate"  # all of it was seen up
    UP = "up"  # and its gate is passed
    STOPPED = "stopped"  # the run ended, or ends, here
    NOT_BEGUN = "not-begun"  # and won't be


class GateState(StrEnum):
    WAITING = "waiting"
    PASSED = "passed"
    NOT_PASSED = "not-passed"  # its command failed, or the run was stopped before it was open
    NOT_REACHED = "not-reached"  # and won't be
