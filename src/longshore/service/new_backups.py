"""Machines that are backed up, and what stands against that."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from longshore.api.backups import NewBackup
from longshore.api.schemas import Migration, PlanConcern
from longshore.errors import InvalidInput
from longshore.flows.backups.beforehand import backup_concerns
from longshore.flows.backups.looking_up import is_volume, look_up
from longshore.flows.clouds import Clouds, vault_record
from longshore.model.concern import Concern, Severity
from longshore.model.machine import Machine
from longshore.model.request import BackupRequest
from longshore.planning import blocked
from longshore.planning.validation import check_request, refuse_unreadable
from longshore.providers.registry import kinds_for, refuse_missing_library
from longshore.service.caller import Caller
from longshore.service.parts import TheCaller, TheClouds, TheStore, judged_router
from longshore.service.queued import begun
from longshore.service.remote import refuse_unsafe
from longshore.service.shapes import shown_concern
from longshore.store import NewMigration, ProviderRecord, Store

router = judged_router("/v1")


@router.post("/backups/check")
def check_backup(body: NewBackup, store: TheStore, clouds: TheClouds, caller: TheCaller) -> list[PlanConcern]:
    """Check what stands against a backup, or might, the quota of the source's project among it: nothing is made."""
    looked = _look(body, store, clouds, caller)
    return told(looked.concerns, [looked.machine])


@router.post("/backups", status_code=202)
def back_up(body: NewBackup, store: TheStore, clouds: TheClouds, caller: TheCaller) -> Migration:
    """Back up all disks of a machine, as of one moment, to a point in a vault. It is watched as a migration, of type
    "backup"; the point's name is in its result.
    """
    looked = _look(body, store, clouds, caller)
    if any(concern.severity is Severity.BLOCKER for concern in looked.concerns):
        raise blocked(looked.concerns)
    new = NewMigration.of_machine(looked.machine, looked.source.id, looked.vault.id, looked.request)
    return begun(store, new, [one for one in looked.concerns if one.severity is Severity.WARNING])


@dataclass(frozen=True, slots=True)
class _Looked:
    machine: Machine
    request: BackupRequest
    source: ProviderRecord
    vault: ProviderRecord
    concerns: list[Concern]


def _look(body: NewBackup, store: Store, clouds: Clouds, caller: Caller) -> _Looked:
    """Look at a machine to back up. Raises LongshoreError for what can't be looked at, or can't be meant."""
    request = replace(body.request, of=None)
    refuse_unsafe(caller, asdict(body.request))
    refuse_unreadable(machine=body.machine, source=body.source, vault=body.vault)
    check_request(request, within=("request",))
    vault = vault_record(store, body.vault)
    source = store.providers.get(body.source)
    if source.id == vault.id or source.kind in kinds_for("vault"):
        raise InvalidInput("What is in a vault isn't backed up once more.", advice="Name the machine's own source.")
    if caller.works_here(store):
        refuse_missing_library(source.kind, source.settings)
    with clouds.source(source.id) as cloud:
        machine, room = look_up(cloud, body.machine), cloud.room()
    if is_volume(machine) and (request.before or request.after):
        raise InvalidInput("Nothing writes to a volume that no server has: there is nothing to freeze.")
    with clouds.vault(vault.id, "write"):
        pass  # it can be opened
    return _Looked(machine, request, source, vault, backup_concerns(store, source.id, machine, request, room))


def told(concerns: Sequence[Concern], machines: Sequence[Machine]) -> list[PlanConcern]:
    """Return concerns with the names of their machines.

    A concern of no machine is of the only one, where there is just one.
    """
    names = {machine.ref: machine.name for machine in machines}
    alone = machines[0].name if len(machines) == 1 else ""
    return [shown_concern(one, names.get(one.machine or "", alone)) for one in concerns]
