"""Ways on after a failover: back to the machine, or protection in the other direction."""

from dataclasses import replace

from longshore.api.replicas import NewDirection, NewFailback, NewReplica, Replica
from longshore.errors import Conflict, InvalidInput
from longshore.flows.replicas.way_back import find_return, find_way, machine_to_make
from longshore.model.forms import form
from longshore.model.replica import Stage
from longshore.model.request import MigrationRequest, MigrationType
from longshore.providers.registry import kinds_for
from longshore.service.parts import TheCaller, TheClouds, TheReplica, TheStore, judged_router
from longshore.service.replicas import begun, create
from longshore.store import NewMigration, ReplicaRecord, Store
from longshore.store.adoption import was_adopted

router = judged_router("/v1")
# What holds in the other direction, too: it is about the guest, or the user's own ways
_BOTH_WAYS = (
    *("verify", "rate_limit", "when_stuck", "shutdown_timeout", "force_power_off"),
    *("boot_timeout", "boot_proof", "boot_mark", "boot_port"),
)


@router.post("/replicas/{replica}/failback", status_code=202)
def failback(replica: TheReplica, body: NewFailback, store: TheStore, clouds: TheClouds) -> Replica:
    """Write what the failover's server has become back to the machine, which then runs in its place. Where the machine
    came from an OpenStack, it is copied in full to a new server there, which gets its name, flavor and ports.

    The server runs on until its last changes are copied. Raises Conflict for what stands against it.
    """
    asked = form(MigrationRequest).validate_python(store.migrations.get(replica.id).request)
    accept = (*asked.accept, *body.accept)
    to_server = _home_takes_servers(store, replica)
    if replica.stage in (Stage.FAILED_OVER, Stage.COMMITTED):
        if to_server:
            find_return(store, clouds, replica, accept, gone=body.new_machine)
        else:
            look = machine_to_make if body.new_machine else find_way
            look(store, clouds, replica, accept)
    request = replace(_other_way(asked), new_server=True) if to_server else asked
    request = replace(request, accept=accept, new_machine=body.new_machine)
    store.migrations.add_together([_way_back(store, replica, request)])
    return begun(store, store.replicas.get(replica.id))


@router.post("/replicas/{replica}/reprotect", status_code=202)
def reprotect(
    replica: TheReplica, body: NewDirection, store: TheStore, clouds: TheClouds, caller: TheCaller
) -> Replica:
    """Protect a committed failover's server by a new replica in the other direction, with the same schedule and
    retention, or to a third cloud. Its first sync copies all of it.
    """
    failover = store.migrations.get(replica.failover_id) if replica.failover_id else None
    if replica.stage is not Stage.COMMITTED or failover is None or failover.server_id is None:
        raise Conflict(
            f"The replica is {replica.stage}: only a committed failover's server is protected by a replica of its own.",
            advice=f"First: longshore replica commit {replica.id}.",
        )
    record = store.migrations.get(replica.id)
    if body.target is None and was_adopted(replica.stage, record):
        raise InvalidInput(
            f"The replica of {replica.machine_name} was adopted: where its machine was isn't known.",
            advice="Say where the server is to be protected: --to CLOUD.",
        )
    asked = form(MigrationRequest).validate_python(record.request)
    networks = {there: here for here, there in asked.networks.items()} | body.networks
    turned = NewReplica(
        machine=failover.server_id,
        source=record.target_id,
        target=body.target or record.source_id,
        schedule=replica.schedule,
        retention=replica.retention,
        rpo=f"{replica.rpo}s" if replica.rpo else None,
        request=replace(_other_way(asked), networks=networks),
    )
    return create(turned, store, clouds, caller)


def _home_takes_servers(store: Store, found: ReplicaRecord) -> bool:
    """Tell whether the machine came from a cloud that is a target, too."""
    home = store.providers.get(store.migrations.get(found.id).source_id)
    return home.kind in kinds_for("target")


def _other_way(asked: MigrationRequest) -> MigrationRequest:
    """Return the options of a request that hold in the other direction, too."""
    return MigrationRequest(**{name: getattr(asked, name) for name in _BOTH_WAYS})


def _way_back(store: Store, found: ReplicaRecord, asked: MigrationRequest) -> NewMigration:
    """Return the migration from the server to the machine. Raises Conflict when there is no server."""
    failover = store.migrations.get(found.failover_id) if found.failover_id else None
    if failover is None or failover.server_id is None:
        raise Conflict(f"The replica is {found.stage}: there is no server to fail back from.")
    record = store.migrations.get(found.id)
    request = replace(asked, type=MigrationType.FAILBACK, of=found.id, point=None)
    return NewMigration(
        machine_name=record.machine_name,
        machine_ref=failover.server_id,
        source_id=record.target_id,
        target_id=record.source_id,
        request=request.to_json(),
    )
