"""Facts about a machine before anything is queued for it: what doesn't fit is refused here."""

from dataclasses import asdict, dataclass, replace

from longshore.flows.clouds import Clouds
from longshore.flows.facts import gather, gather_for_volume
from longshore.model.concern import Concern, Severity
from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest, MigrationType
from longshore.planning import Landing, VolumeLanding, blocked, land, land_volume
from longshore.planning.kinds import accept_blockers
from longshore.planning.mappings import unused_of_machine
from longshore.planning.replica_checks import Wanted, replica_concerns
from longshore.planning.validation import check_request, refuse_pointless, refuse_unreadable
from longshore.providers.registry import refuse_missing_library
from longshore.service.caller import Caller
from longshore.service.remote import refuse_unsafe
from longshore.store import Store


@dataclass(frozen=True, slots=True)
class Beforehand:
    machine: Machine
    source_id: str
    target_id: str
    unused: list[Concern]  # mappings that nothing of it needs; of a replica, what is to be said of that besides


def look_beforehand(  # noqa: PLR0917
    store: Store,
    clouds: Clouds,
    caller: Caller,
    name: str,
    source: str,
    target: str,
    request: MigrationRequest,
    protection: Wanted | None = None,
) -> Beforehand:
    """Look at a machine and its target, and return what was found.

    `name`: of the machine, or of a volume that no machine has, as the request's type says. `protection`: of a replica.
    Raises LongshoreError for all that stands against it.
    """
    looked, landing, concerns, of_replica = _look(store, clouds, caller, name, source, target, request, protection)
    if landing is None:
        raise blocked([*(of_replica or concerns), *looked.unused])
    return replace(looked, unused=[*looked.unused, *of_replica])


def concerns_beforehand(  # noqa: PLR0917
    store: Store,
    clouds: Clouds,
    caller: Caller,
    name: str,
    source: str,
    target: str,
    request: MigrationRequest,
    protection: Wanted | None = None,
) -> list[Concern]:
    """Return all concerns that `look_beforehand` would weigh; nothing is refused for them.

    Raises LongshoreError for what can't be looked at.
    """
    looked, _landing, concerns, of_replica = _look(store, clouds, caller, name, source, target, request, protection)
    return [*concerns, *of_replica, *looked.unused]


def _look(  # noqa: PLR0917
    store: Store,
    clouds: Clouds,
    caller: Caller,
    name: str,
    source: str,
    target: str,
    request: MigrationRequest,
    protection: Wanted | None,
) -> tuple[Beforehand, Landing | VolumeLanding | None, list[Concern], list[Concern]]:
    """Look at a machine and its target before anything is made.

    Returns what was found, how the machine lands (None: it can't), the concerns about that, and, where the machine is
    to be protected, the concerns about that.
    """
    if caller.remote:
        refuse_unsafe(asdict(request))
    refuse_unreadable(machine=name, source=source, target=target)
    check_request(request)
    refuse_pointless(request)
    provider = store.providers.get(source)
    here = not caller.remote and not store.state.shared_database  # else another machine reads the disks
    if here:
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
            facts = gather(there, machine, request, room, converts_here=here)
            landing, concerns = land(machine, request, facts)
            if protection is not None and landing is not None:
                further = list(replica_concerns(machine, landing, protection, facts.room))
                of_replica = accept_blockers(further, request.accept)
                landing = None if any(c.severity is Severity.BLOCKER for c in of_replica) else landing
    unused = list(unused_of_machine(machine, request))
    return Beforehand(machine, provider.id, target_id, unused), landing, list(concerns), of_replica
