"""Deciding where machines land, and saying what stands against it: pure functions over the model."""

from longshore.planning.landing import Landing, TargetFacts, blocked, find_network, land
from longshore.planning.preflight import check

__all__ = ["Landing", "TargetFacts", "blocked", "check", "find_network", "land"]
