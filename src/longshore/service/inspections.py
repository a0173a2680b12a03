"""Machines that are looked into, and not moved."""

from dataclasses import replace

from longshore.api.schemas import Migration, NewInspection
from longshore.model.request import MigrationRequest, MigrationType
from longshore.planning.validation import refuse_unreadable
from longshore.providers.registry import refuse_missing_library
from longshore.service.parts import TheCaller, TheClouds, TheStore, judged_router
from longshore.service.queued import begun
from longshore.store import NewMigration

router = judged_router("/v1")


@router.post("/inspections", status_code=202)
def inspect(body: NewInspection, store: TheStore, clouds: TheClouds, caller: TheCaller) -> Migration:
    """Look into a snapshot of a machine's disks. It is watched as a migration, of type "inspection", whose source is
    its target, too; what was found is in its result: `guest`, and `concerns` by the landing that they are about."""
    refuse_unreadable(machine=body.machine, source=body.source)
    source = store.providers.get(body.source)
    if not caller.remote and not store.state.shared_database:  # else another machine reads the disks
        refuse_missing_library(source.kind, source.settings)
    with clouds.source(source.id) as cloud:
        machine = cloud.machine(body.machine)
    request = MigrationRequest(type=MigrationType.INSPECTION)
    new = NewMigration.of_machine(machine, source.id, source.id, request)
    return begun(store, replace(new, disks=()))  # none of them is copied
