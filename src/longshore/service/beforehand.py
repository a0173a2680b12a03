"""Facts about a machine before anything is queued for it: what doesn't fit is refused here."""

from dataclasses import asdict, dataclass
from typing import Any

from longshore.flows.clouds import Clouds
from longshore.flows.facts import gather, gather_for_volume
from longshore.model.concern import Concern, Severity
from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest, MigrationType
from longshore.planning import Landing, VolumeLanding, blocked, land, land_volume
from longshore.planning.kinds import accept_blockers
from longshore.planning.mappings import unused_of_machine
from longshore.planning.replica_checks import WantedProtection, replica_concerns
from longshore.planning.validation import check_request, refuse_pointless, refuse_unreadable
from longshore.providers.registry import refuse_missing_library
from longshore.service.caller import Caller
from longshore.service.remote import refuse_unsafe
from longshore.store import NewMigration, Store


@dataclass(frozen=True, slots=True)
class Beforehand:
    machine: Machine
    source_id: str
    target_id: str
    request: MigrationRequest
    lands: bool  # as the request wants it, and can be protected so
    concerns: list[Concern]  # about how it lands
    of_replica: list[Concern]  # where it is to be protected: about that
    unused: list[Concern]  # mappings that nothing of it needs

    @property
    def all_concerns(self) -> list[Concern]:
        return [*self.concerns, *self.of_replica, *self.unused]

    @property
    def said(self) -> list[Concern]:
        """Return the concerns that its own job wouldn't tell once more."""
        return [*self.unused, *self.of_replica]

    def new(self, **more: Any) -> NewMigration:
        """Return what is to be added for it. `more`: further fields. Raise LongshoreError when something stands against
        it."""
        if not self.lands:
            raise blocked([*(self.of_replica or self.concerns), *self.unused])
        return NewMigration.of_machine(self.machine, self.source_id, self.target_id, self.request, **more)


def look_beforehand(  # noqa: PLR0917
    store: Store,
    clouds: Clouds,
    caller: Caller,
    name: str,
    source: str,
    target: str,
    request: MigrationRequest,
    protection: WantedProtection | None = None,
) -> Beforehand:
    """Look at a machine and its target before anything is made, and return what was found.

    `name`: of the machine, or of a volume that no machine has, as the request's type says. `protection`: of a replica.
    Raises LongshoreError for what can't be looked at, or meant; what else stands against it is told by `new`.
    """
    refuse_unsafe(caller, asdict(request))
    refuse_unreadable(machine=name, source=source, target=target)
    check_request(request, within=("request",))
    refuse_pointless(request)
    provider = store.providers.get(source)
    if caller.works_here(store):
        refuse_missing_library(provider.kind, provider.settings)
    target_id = store.providers.get(target).id
    alone = request.type is MigrationType.VOLUME
    with clouds.source(provider.id) as cloud:
        machine = cloud.volume(name) if alone else cloud.machine(name)
        # Before the target is looked at: what is in its way there would be that migration's own
        store.migrations.refuse_busy(provider.id, machine.ref, machine.name)
        room = cloud.room()
    of_replica: list[Concern] = []
    with clouds.target(target_id) as there:
        landing: Landing | VolumeLanding | None
        if alone:
            landing, concerns = land_volume(machine, request, gather_for_volume(there, room))
        else:
            facts = gather(there, machine, request, room, converts_here=caller.works_here(store))
            landing, concerns = land(machine, request, facts)
            if protection is not None and landing is not None:
                further = list(replica_concerns(machine, landing, protection, facts.room))
                of_replica = accept_blockers(further, request.accept)
                landing = None if any(c.severity is Severity.BLOCKER for c in of_replica) else landing
    return Beforehand(
        machine,
        provider.id,
        target_id,
        request,
        landing is not None,
        list(concerns),
        of_replica,
        list(unused_of_machine(machine, request)),
    )
