"""Deciding where machines land, and saying what stands against it; which points stay, and when the next is due.

Pure functions over the model: nothing in here asks a cloud or a database. Facts come in as values, decisions and
concerns go out.
"""

from longshore.planning.boot_proof import agent_properties, asks_agent, asks_ports, restarts_at_first_boot
from longshore.planning.carried_over import carry_along
from longshore.planning.facts import TargetFacts, find_network
from longshore.planning.guest_looks import concerns_of_guest
from longshore.planning.hardware import choose_hardware
from longshore.planning.landing import Landing, blocked, land
from longshore.planning.placement import wants_choices
from longshore.planning.preflight import Preflight, check
from longshore.planning.tpm import has_tpm, without_tpm
from longshore.planning.volumes import VolumeFacts, VolumeLanding, land_volume

__all__ = [
    "Landing",
    "Preflight",
    "TargetFacts",
    "VolumeFacts",
    "VolumeLanding",
    "agent_properties",
    "asks_agent",
    "asks_ports",
    "blocked",
    "carry_along",
    "check",
    "choose_hardware",
    "concerns_of_guest",
    "find_network",
    "has_tpm",
    "land",
    "land_volume",
    "restarts_at_first_boot",
    "wants_choices",
    "without_tpm",
]
