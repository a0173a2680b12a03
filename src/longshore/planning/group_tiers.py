"""How far each tier of a group's run is, for those who look on."""

from collections.abc import Collection
from dataclasses import dataclass

from longshore.model.group import GateState, Tier, TierState
from longshore.planning.group_runs import Progress


@dataclass(frozen=True, slots=True)
class TierStanding:
    state: TierState
    gate: GateState | None  # None: there is none


def tier_standings(
    tiers: tuple[Tier, ...], progress: Progress, up: Collection[str], *, passed: bool, stops: bool
) -> list[TierStanding]:
    """`up`: replicas whose machines were seen up. `passed`: all tiers are; `stops`: no further one begins."""
    found = []
    for number, tier in enumerate(tiers):
        whole = all(replica in up for replica in tier.replicas)
        state = TierState.UP if passed else _state(number, tier, progress, whole=whole, stops=stops)
        found.append(TierStanding(state, _gate(tier, state, whole=whole)))
    return found


def _state(number: int, tier: Tier, progress: Progress, *, whole: bool, stops: bool) -> TierState:
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


def _gate(tier: Tier, state: TierState, *, whole: bool) -> GateState | None:
    if not tier.gate.pause and not tier.gate.command:
        return None
    if state is TierState.UP:
        return GateState.PASSED
    return GateState.CLOSED if state is TierState.STOPPED and whole else GateState.WAITING
