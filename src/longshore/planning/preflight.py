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
from longshore.model.target import QuotaRoom, SourceRoom
from longshore.planning.cross_machine_checks import shared_disks, storage_concerns, twice
from longshore.planning.facts import TargetFacts
from longshore.planning.kinds import accept_blockers
from longshore.planning.landing import LandingDecision, decide, duplicates
from longshore.planning.source_quota import Mover, quotas
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
    """Return all concerns of a plan: each machine's and volume's own in their order, then those of the plan as a whole.

    The facts must have been gathered for all machines, or volumes; None where there are none. `inventory` is the
    source's: without it nothing is said about its datastores. `at_once` is how many move at the same time; None: all.

    A blocker that a machine's request accepts comes as a warning; one of the plan as a whole, when all requests do.
    """
    whole = Preflight()
    own = whole.of_machines(machines, facts) if facts else []
    own += whole.of_volumes(volumes, volume_facts) if volume_facts else []
    return own + whole.of_all(inventory, at_once)


class Preflight:
    """The same of a plan whose machines are looked at some at a time."""

    def __init__(self) -> None:
        self._decisions: list[LandingDecision] = []
        self._volumes: list[Mover] = []
        self._rooms: tuple[QuotaRoom, SourceRoom | None] | None = None  # as they were first seen

    def of_machines(self, machines: Sequence[Moved], facts: TargetFacts) -> list[Concern]:
        """Return what concerns each of these. The facts must have been gathered for all of them."""
        decided = [decide(machine, request, facts) for machine, request in machines]
        self._decisions += decided
        self._rooms = self._rooms or (facts.room, facts.source)
        return _own(decided)

    def of_volumes(self, volumes: Sequence[Moved], facts: VolumeFacts) -> list[Concern]:
        decided = [decide_volume(volume, request, facts) for volume, request in volumes]
        self._volumes += decided
        self._rooms = self._rooms or (facts.room, facts.source)
        return _own(decided)

    def of_all(self, inventory: Inventory | None, at_once: int | None) -> list[Concern]:
        """Return what only shows now that all of them are known."""
        movers: list[Mover] = [*self._decisions, *self._volumes]
        if not movers or self._rooms is None:
            return []
        what = "machines and volumes" if self._decisions and self._volumes else "machines"
        what = what if self._decisions else "volumes"
        who = f"the plan's {len(movers)} {what} need" if len(movers) > 1 else f"{movers[0].machine.name} needs"
        common = [*twice(movers), *shared_disks(movers), *duplicates(self._decisions)]
        common.extend(quotas(movers, *self._rooms, who, at_once))
        if inventory is not None:
            common.extend(storage_concerns(self._decisions, inventory, at_once))
        agreed = set.intersection(*(set(mover.request.accept) for mover in movers))
        return accept_blockers(common, agreed)


def _own(movers: Sequence[Mover]) -> list[Concern]:
    return [replace(c, machine=mover.machine.ref) for mover in movers for c in mover.concerns]
