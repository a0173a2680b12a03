"""Deciding where machines land, and saying what stands against it: pure functions over the model."""

from longshore.planning.landing import Landing, TargetFacts, blocked, find_network, land

__all__ = ["Landing", "TargetFacts", "blocked", "find_network", "land"]
