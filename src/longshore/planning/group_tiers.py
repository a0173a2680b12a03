"""The standing of each tier of a group's run, for those who look on."""

from collections.abc import Collection
from dataclasses import dataclass

from longshore.model.group import GateState, Tier, TierState
from longshore.planning.group_runs import RunProgress


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
        gate = _gate(progress.lands - number, whole=whole, passed=passed, stops=stops)
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


def _gate(beyond: int, *, whole: bool, passed: bool, stops: bool) -> GateState:
    """Return the state of a gate. `beyond`: how many tiers further the run is."""
    if passed or beyond > 0:
        return GateState.PASSED
    if not stops:
        return GateState.WAITING
    return GateState.NOT_PASSED if beyond == 0 and whole else GateState.NOT_REACHED
