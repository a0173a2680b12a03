"""Which kind of migration's rules hold for jobs of replicas: those of the kind that does the same."""

from dataclasses import replace

from longshore.model.machine import Machine, PowerState
from longshore.model.request import MigrationRequest, MigrationType

_AS = {
    MigrationType.REPLICA: MigrationType.WARM,  # it is copied while it runs
    MigrationType.TEST: MigrationType.DRY_RUN,
    MigrationType.FAILOVER: MigrationType.COLD,
    MigrationType.FAILBACK: MigrationType.WARM,
    MigrationType.IN_PLACE: MigrationType.COLD,
}


def as_migration(machine: Machine, request: MigrationRequest) -> tuple[Machine, MigrationRequest]:
    """What is made of a point asks nothing of the machine any more, and so counts as one that is off."""
    if request.type.of_point:
        machine = replace(machine, power=PowerState.OFF)
    return machine, replace(request, type=_AS.get(request.type, request.type))
