"""Maps replica jobs to the migration type whose rules apply."""

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
    """Return the machine and the request as the migration that does the same. What is made of a point asks nothing of
    the machine any more, and so counts as one that is off."""
    if request.type.of_point:
        machine = replace(machine, power=PowerState.OFF)
    return machine, replace(request, type=_AS.get(request.type, request.type))
