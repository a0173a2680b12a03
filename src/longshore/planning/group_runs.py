"""The order of a group's run: its tiers one after another, each only when the one before was seen up.

A planned failover begins by shutting the machines down, from the last tier to the first, so that none runs without
those that it needs. Where a machine fails, or a gate does, the run stops: what is up stays, and no other tier begins.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from longshore.model.group import GateState, Tier, TierState


class MachineStanding(StrEnum):
    """The standing of one machine of a run."""

    IDLE = "idle"  # nothing was asked of it yet
    WAITING = "waiting"  # its server is to be made when its tier begins
    UNDER_WAY = "under-way"
    UP = "up"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class SeenMachine:
    """A machine of a run, as it is when somebody looks."""

    name: str
    standing: MachineStanding
    why: str = ""  # it has failed


@dataclass(frozen=True, slots=True)
class RunProgress:
    """The progress of a run. Tiers are counted from 0, in their order; moments are in UTC, and say so."""

    # Tier whose machines are being shut down, as many as there are before the last one's; None: that is over, or isn't
    # wanted
    shuts_down: int | None = None
    lands: int = -1  # tier whose servers are being made
    pause_until: datetime | None = None  # of its gate
    passed: bool = False  # the gate's command has succeeded


class Do(StrEnum):
    WAIT = "wait"
    SHUT_DOWN = "shut-down"  # the machines of a tier
    LAND = "land"  # those of a tier
    PAUSE = "pause"
    COMMAND = "command"
    STOP = "stop"
    END = "end"


@dataclass(frozen=True, slots=True)
class Next:
    do: Do
    tier: int = -1
    why: str = ""  # it stops


def next_of(tiers: tuple[Tier, ...], progress: RunProgress, seen: Mapping[str, SeenMachine], now: datetime) -> Next:
    """Return what the run does next. `seen`: by replica."""
    down = progress.shuts_down
    if down is None and progress.lands < 0:
        return Next(Do.LAND, 0)
    if down == len(tiers):
        return Next(Do.SHUT_DOWN, down - 1)
    for number in range(progress.lands + 1) if down is None else range(down, len(tiers)):
        failed = [
            seen[replica] for replica in tiers[number].replicas if seen[replica].standing is MachineStanding.FAILED
        ]
        if failed:
            return Next(Do.STOP, number, " ".join(f"{one.name}: {one.why}" for one in failed))
    if down is not None:
        ready = (MachineStanding.WAITING, MachineStanding.UP)
        if any(seen[replica].standing not in ready for replica in tiers[down].replicas):
            return Next(Do.WAIT, down)
        return Next(Do.SHUT_DOWN, down - 1) if down else Next(Do.LAND, 0)
    return _gate(tiers, progress, seen, now)


def _gate(tiers: tuple[Tier, ...], progress: RunProgress, seen: Mapping[str, SeenMachine], now: datetime) -> Next:
    number = progress.lands
    tier = tiers[number]
    if any(seen[replica].standing is not MachineStanding.UP for replica in tier.replicas):
        return Next(Do.WAIT, number)
    if tier.gate.pause and progress.pause_until is None:
        return Next(Do.PAUSE, number)
    if progress.pause_until is not None and now < progress.pause_until:
        return Next(Do.WAIT, number)
    if tier.gate.command and not progress.passed:
        return Next(Do.COMMAND, number)
    return Next(Do.LAND, number + 1) if number + 1 < len(tiers) else Next(Do.END)


# For those who look on


@dataclass(frozen=True, slots=True)
class TierStanding:
    state: TierState
    gate: GateState | None  # None: there is none


def tier_standings(
    tiers: tuple[Tier, ...], progress: RunProgress, up: Collection[str], *, passed: bool, stops: bool
) -> list[TierStanding]:
    """Return the standing of each tier. `up`: replicas whose machines were seen up. `passed`: all tiers are; `stops`:
    no further one begins."""
    found = []
    for number, tier in enumerate(tiers):
        whole = all(replica in up for replica in tier.replicas)
        state = TierState.UP if passed else _state(number, tier, progress, whole=whole, stops=stops)
        gate = _gate_state(progress.lands - number, whole=whole, passed=passed, stops=stops)
        found.append(TierStanding(state, gate if tier.gate.pause or tier.gate.command else None))
    return found


def _state(number: int, tier: Tier, progress: RunProgress, *, whole: bool, stops: bool) -> TierState:
    down, lands = progress.shuts_down, progress.lands
    if down is not None and number >= down:
        if stops:
            return TierState.STOPPED
        return TierState.SHUTTING_DOWN if number == down else TierState.SHUT_DOWN
    if number > lands:
        return TierState.NOT_BEGUN if stops else TierState.WAITING
    if stops and (number == lands or not whole):
        return TierState.STOPPED
    if number < lands:
        return TierState.UP
    if not whole:
        return TierState.LANDING
    return TierState.AT_GATE if tier.gate.pause or tier.gate.command else TierState.UP


def _gate_state(beyond: int, *, whole: bool, passed: bool, stops: bool) -> GateState:
    """Return the state of a gate. `beyond`: how many tiers further the run is."""
    if passed or beyond > 0:
        return GateState.PASSED
    if not stops:
        return GateState.WAITING
    return GateState.NOT_PASSED if beyond == 0 and whole else GateState.NOT_REACHED
