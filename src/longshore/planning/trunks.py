"""Adapters and guests that are on several VLANs: a new port is on one network alone."""

from collections.abc import Iterator

from longshore.border.texts import some
from longshore.model.concern import Concern
from longshore.model.guest import GuestFindings
from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest, MigrationType
from longshore.planning.kinds import blocker
from longshore.planning.nics import with_new_ports

TRUNK_LEFT = blocker(
    "trunk-left",
    "An adapter is on a trunk: its port is the parent of one, its port group passes VLANs on to the guest, or the "
    "guest of a machine in files has interfaces on VLANs. The new port isn't: what the guest has on VLANs reaches "
    "nobody.",
    "Make the trunk and its ports beforehand, and name its parent (--port MAC=ID); or accept this, and make them "
    "afterwards.",
    acceptable=True,
)


def trunk_concerns(machine: Machine, request: MigrationRequest) -> Iterator[Concern]:
    """Yield the adapters on trunks for which new ports are made."""
    for nic in with_new_ports(machine, request):
        if nic.subports:
            text = f"{nic.label} of {machine.name} is on a trunk, with {', '.join(nic.subports)}."
            yield TRUNK_LEFT(nic.label, text)


def vlan_concerns(machine: Machine, findings: GuestFindings, request: MigrationRequest) -> Iterator[Concern]:
    """Yield the guest's own VLANs, where its source knows no trunks and new ports are made."""
    made_before = request.type is MigrationType.CONVERSION  # what converts has its ports already
    if findings.vlans and not machine.platform.traits.runs and not made_before and with_new_ports(machine, request):
        text = f"The guest of {machine.name} has interfaces on VLANs: {some(findings.vlans, 5)}."
        yield TRUNK_LEFT(machine.name, text)
