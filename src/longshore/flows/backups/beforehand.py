"""Checks of a backup before anything is made for it."""

from collections.abc import Sequence
from dataclasses import replace

from longshore.errors import QuotaExceeded
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.hooks import hook_concerns, unfit_playbooks
from longshore.model.concern import Concern, Severity
from longshore.model.machine import Machine
from longshore.model.request import CopyRequest, MigrationType
from longshore.model.target import SourceRoom
from longshore.planning.kinds import accept_blockers
from longshore.planning.machine_checks import machine_concerns
from longshore.planning.source_quota import BackedUp, backup_quotas
from longshore.store import EntryState, Store, ThingKind


def backed_up(store: Store, source_id: str, machine: Machine) -> BackedUp:
    """Return the machine, and whether snapshots of an earlier backup of it are still at the source."""
    there = store.ledger.unsettled(source_id, ThingKind.SOURCE_SNAPSHOT)
    kept = [one.migration_id for one in there if one.parent == machine.ref and one.state is EntryState.MADE]
    records = store.migrations.several(kept)
    return BackedUp(machine, any(one.type is MigrationType.BACKUP for one in records))


def backup_concerns(
    store: Store,
    source_id: str,
    machine: Machine,
    request: CopyRequest,
    room: SourceRoom | None,
    *,
    ahead: Sequence[BackedUp] = (),
) -> list[Concern]:
    """Return what stands against the backup of one machine, or of a volume that none has, as the request accepts it.

    `ahead`: what is backed up before it; the source's quota has to have room for all of them.
    """
    who = machine.name if not ahead else f"{machine.name} and the {len(ahead)} machine(s) before it"
    quotas = backup_quotas([*ahead, backed_up(store, source_id, machine)], request, room, who)
    own = [*machine_concerns(machine, request), *hook_concerns(machine, request)]
    return accept_blockers([*own, *quotas], request.accept)


def run_concerns(
    store: Store, source_id: str, machines: Sequence[Machine], request: CopyRequest, room: SourceRoom | None
) -> list[Concern]:
    """Return what stands against backups of all machines of a policy: each one's own concerns, then the
    quota for all."""
    own = [replace(one, machine=machine.ref) for machine in machines for one in machine_concerns(machine, request)]
    own += unfit_playbooks(request)
    who = machines[0].name if len(machines) == 1 else f"the policy's {len(machines)} machines"
    quotas = backup_quotas([backed_up(store, source_id, one) for one in machines], request, room, who)
    return [*own, *quotas]


def refuse_shortage(job: MoveContext, machine: Machine, room: SourceRoom | None) -> None:
    """Raise QuotaExceeded when the source has no room for the backup's snapshots, unless the user accepts that."""
    quotas = backup_quotas([backed_up(job.store, job.record.source_id, machine)], job.copy_request, room, machine.name)
    concerns = accept_blockers(quotas, job.copy_request.accept)
    short = [concern for concern in concerns if concern.severity is Severity.BLOCKER]
    if short:
        raise QuotaExceeded(
            " ".join(concern.text for concern in short), advice="Ask for a larger quota there, or free some."
        )
