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
from longshore.planning.kinds import accept_blockers
from longshore.planning.landing import decide
from longshore.planning.source_quota import Mover, quotas
from longshore.planning.together import duplicates, storage_concerns, twice
from longshore.planning.volumes import VolumeFacts, decide_volume

Moved = tuple[Machine, MigrationRequest]


def check(
    machines: Sequence[Moved],
    facts: TargetFacts | None,
    inventory: Inventory | None = None,
    at_once: int | None = None,
    *,
    volumes: Sequence[Moved] = (),
    volume_facts: VolumeFacts | None = None,
) -> list[Concern]:
    """All concerns of a plan: each machine's and volume's own in their order, then those of the plan as a whole.

    The facts must have been gathered for all machines, or volumes; None where there are none. `inventory` is the
    source's: without it nothing is said about its datastores. `at_once` is how many move at the same time; None: all.

    A blocker that a machine's request accepts comes as a warning; one of the plan as a whole, when all requests do.
    """
    decisions = [decide(machine, request, facts) for machine, request in machines] if facts else []
    decided = [decide_volume(volume, request, volume_facts) for volume, request in volumes] if volume_facts else []
    movers: list[Mover] = [*decisions, *decided]
    own = [replace(c, machine=mover.machine.ref) for mover in movers for c in mover.concerns]
    any_facts = facts or volume_facts
    if not movers or any_facts is None:
        return own
    what = "machines and volumes" if decisions and decided else "machines" if decisions else "volumes"
    who = f"the plan's {len(movers)} {what} need" if len(movers) > 1 else f"{movers[0].machine.name} needs"
    common = [*twice(movers), *duplicates(decisions)]
    common.extend(quotas(movers, any_facts.room, any_facts.source, who, at_once))
    if inventory is not None:
        common.extend(storage_concerns(decisions, inventory, at_once))
    agreed = set.intersection(*(set(mover.request.accept) for mover in movers))
    return own + accept_blockers(common, agreed)
