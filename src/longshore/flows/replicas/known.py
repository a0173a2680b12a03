"""Findings of an earlier look at a point's disks, used before a machine is made of it, as far as they can be relied on.

What was found in the very same point is certain. Of an earlier one it is taken as it is for a conversion, since
virt-v2v looks for itself at what it changes; a guest that lands as it is gets its hardware by it, so it has to be as it
was, by the signature that the look has left, or it is looked into after all. So it is where anything stood against its
landing: that may have gone.
"""

from dataclasses import dataclass, replace

from longshore.errors import LongshoreError
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.look import Choice, concerns_as_asked, judge, keep_found
from longshore.flows.moves.target_side import Prepared
from longshore.model.concern import Severity
from longshore.model.forms import form
from longshore.model.guest import GuestFindings
from longshore.model.machine import Machine, PowerState
from longshore.model.request import LandingMode, MigrationType
from longshore.model.target import Port
from longshore.planning.hardware import choose_hardware
from longshore.planning.new_addresses import changes_guest
from longshore.store import LookRecord, PointRecord


@dataclass(frozen=True, slots=True)
class Known:
    choice: Choice | None  # None: it has to be looked into


def what_is_known(job: MoveContext, point: PointRecord, prepared: Prepared, ports: list[Port]) -> Known:
    looked = job.store.looks.get(point.replica_id)
    asked = prepared.landing.request
    if asked.type is MigrationType.FAILOVER:
        _stop_looks(job, point.replica_id)
    if not changes_guest(asked) or looked is None or looked.looked_at is None:
        return Known(None)
    findings = form(GuestFindings).validate_python(looked.findings)
    if not _holds(looked, point, prepared, ports, findings):
        return Known(None)
    keep_found(job, looked.findings or {}, looked.looked_at)
    job.say(f"What is on its disks is known from {looked.looked_at:%Y-%m-%d %H:%M} UTC, of point {looked.point}.")
    choice = judge(job, prepared, findings)
    signature = findings.signature if looked.point != point.number and choice.hardware is not None else ""
    return Known(replace(choice, signature=signature))


def _stop_looks(job: MoveContext, replica_id: str) -> None:
    """Cancel what looks into the replica's points now: it takes from this machine what the failover needs."""
    for look in job.store.looks.under_way(replica_id):
        try:
            job.store.migrations.request_cancel(look)
        except LongshoreError:  # it has just ended
            continue
        job.store.looks.make_due(replica_id)


def _holds(
    looked: LookRecord, point: PointRecord, prepared: Prepared, ports: list[Port], findings: GuestFindings
) -> bool:
    """Tell whether the findings can be gone by, if need be after a look whether the guest is as it was."""
    machine, request = prepared.machine, prepared.landing.request
    if looked.point is None or looked.point > point.number:
        return False
    if _is_made_of(form(Machine).validate_python(looked.machine)) != _is_made_of(machine):
        return False
    if any(one.severity is Severity.BLOCKER for one in concerns_as_asked(machine, findings, request)):
        return False
    if request.landing is not LandingMode.AS_IS:
        return True
    if choose_hardware(machine, findings.drivers)[0] is None:  # what it would be converted for may have been mended
        return looked.point == point.number
    # Of which interfaces it has to be told depends on their addresses
    same = all(nic.mac == port.mac for nic, port in zip(machine.nics, ports, strict=True))
    return same and (looked.point == point.number or bool(findings.signature))


def _is_made_of(machine: Machine) -> tuple[object, ...]:
    """Return what of a machine a look's findings depend on, beside what is on its disks."""
    return (
        machine.firmware,
        machine.secure_boot,
        machine.guest_id,
        machine.power is PowerState.OFF,  # it may hibernate
        tuple((disk.key, disk.position, disk.size, disk.controller) for disk in machine.disks),
        tuple((nic.key, nic.mac, nic.model, nic.pci_slot) for nic in machine.nics),
    )
