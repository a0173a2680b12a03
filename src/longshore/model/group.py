"""Groups of replicas: machines that are tried, or fail over, together and one tier after another."""

from dataclasses import dataclass

MOST_TIERS = 1000  # the highest number of one


@dataclass(frozen=True, slots=True)
class Gate:
    """What has to be before the next tier begins, beside all machines of this one having been seen up."""

    pause: float = 0.0  # seconds
    command: tuple[str, ...] = ()  # of the operator's: program and arguments; it has to succeed


@dataclass(frozen=True, slots=True)
class Tier:
    number: int
    replicas: tuple[str, ...]  # their ids
    gate: Gate
