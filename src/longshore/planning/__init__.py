"""Deciding where machines land, and saying what stands against it: pure functions over the model."""

from longshore.planning.hardware import choose_hardware, firmware_properties, likely_drivers
from longshore.planning.landing import Landing, TargetFacts, blocked, find_network, land
from longshore.planning.preflight import check

__all__ = [
    "Landing",
    "TargetFacts",
    "blocked",
    "check",
    "choose_hardware",
    "find_network",
    "firmware_properties",
    "land",
    "likely_drivers",
]
