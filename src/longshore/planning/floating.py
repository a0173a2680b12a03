"""Floating addresses that a machine's adapters get at the target for those that they have."""

from dataclasses import dataclass

from longshore.model.concern import Concern
from longshore.model.machine import Nic
from longshore.model.request import FloatingMode, MigrationRequest, MigrationType
from longshore.planning.facts import TargetFacts
from longshore.planning.kinds import blocker, information, warning

FLOATING_MISSING = blocker(
    "floating-address-missing",
    "The target project has no free floating IP of that address, and none but that was asked for.",
    "Reserve it there, choose another way (--floating auto, new or skip), or accept that it has none.",
    acceptable=True,
)
FLOATING_NEW = information(
    "floating-address-new",
    "The target project has no free floating IP of the machine's address: it gets a new one, with another address.",
    "Whoever calls it by the old address (DNS, firewalls) has to be told.",
)
FLOATING_LEFT = warning(
    "floating-address-left",
    "The target has no external network, or several, so that it isn't known where a new floating IP is to come from: "
    "the server has none.",
    "Attach one to the server when it is there.",
)


@dataclass(frozen=True, slots=True)
class FloatingLanding:
    fixed: str  # the address that it leads to
    address_id: str | None  # of one that is there; None: a new one, from
    network_id: str | None = None


def land_floating(
    nic: Nic, request: MigrationRequest, facts: TargetFacts, concerns: list[Concern]
) -> tuple[FloatingLanding, ...]:
    """Choose an adapter's floating addresses. A dry run has none: the machine itself has them still."""
    mode = request.floating
    if mode is FloatingMode.SKIP or request.type is MigrationType.DRY_RUN:
        return ()
    found = []
    for fixed, floating in sorted(nic.floating_addresses.items()):
        free = next((f for f in facts.floating if f.address == floating and f.port_id is None), None)
        if free is not None and mode is not FloatingMode.NEW:
            found.append(FloatingLanding(fixed, free.id))
        elif mode is FloatingMode.EXISTING:
            text = f"The target project has no free floating IP {floating}, which {nic.label} has."
            concerns.append(FLOATING_MISSING(floating, text))
        elif len(facts.external_networks) != 1:
            names = ", ".join(sorted(network.name for network in facts.external_networks)) or "none"
            text = f"{nic.label} has the floating IP {floating}; the target's external networks: {names}."
            concerns.append(FLOATING_LEFT(floating, text))
        else:
            concerns.append(FLOATING_NEW(floating, f"{nic.label} gets a new floating IP in the place of {floating}."))
            found.append(FloatingLanding(fixed, None, facts.external_networks[0].id))
    return tuple(found)
