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
from longshore.planning.facts import TargetFacts
from longshore.planning.kinds import accepted
from longshore.planning.landing import decide, quotas
from longshore.planning.together import duplicates, storage_concerns


def check(
    machines: Sequence[tuple[Machine, MigrationRequest]],
    facts: TargetFacts,
    inventory: Inventory | None = None,
    at_once: int | None = None,
) -> list[Concern]:
    """All concerns of a plan: each machine's own in the machines' order, then those of the plan as a whole.

    `facts` must have been gathered for all the machines. `inventory` is the source's: without it nothing is said about
    its datastores. `at_once` is how many machines move at the same time; None: all of them.

    A blocker that a machine's request accepts comes as a warning; one of the plan as a whole, when all requests do.
    """
    decisions = [decide(machine, request, facts) for machine, request in machines]
    own = [replace(c, machine=d.machine.ref) for d in decisions for c in d.concerns]
    if not decisions:
        return own
    who = f"the plan's {len(decisions)} machines need" if len(decisions) > 1 else f"{decisions[0].machine.name} needs"
    common = [*duplicates(decisions), *quotas(decisions, facts, who, at_once)]
    if inventory is not None:
        common.extend(storage_concerns(decisions, inventory, at_once))
    agreed = set.intersection(*(set(request.accept) for _, request in machines))
    return own + accepted(common, agreed)
