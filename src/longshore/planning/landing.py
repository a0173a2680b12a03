"""The landing of a machine: flavor, networks, addresses and volume types, decided from what the target has.

Pure functions: `land` takes the machine, what was asked and what the target has, and answers a landing and everything
that stands against it. Nothing is made when a blocker is among the concerns.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from longshore.border.texts import some
from longshore.errors import InvalidInput
from longshore.model.concern import Concern, Severity
from longshore.model.machine import Firmware, Machine, PowerState
from longshore.model.request import LandingMode, MachineWork, MigrationRequest, MigrationType
from longshore.model.target import Flavor
from longshore.planning import mappings
from longshore.planning.boot_proof import boot_concerns
from longshore.planning.carried_over import carry_along, cpu_topology
from longshore.planning.disks import DiskLanding, land_disk
from longshore.planning.facts import TargetFacts
from longshore.planning.flavors import choose_flavor, flavor_concerns
from longshore.planning.guest_checks import guest_concerns
from longshore.planning.hardware import choose_hardware, likely_drivers
from longshore.planning.kinds import accept_blockers, blocker, warning
from longshore.planning.machine_checks import machine_concerns
from longshore.planning.new_addresses import unknown_adapters, with_chosen_adapters, with_mapped_adapters
from longshore.planning.nics import NicLanding, land_nics
from longshore.planning.openstack_checks import openstack_concerns
from longshore.planning.placement import placement_concerns, presence_concerns, volume_zone
from longshore.planning.quota import Needs, needs
from longshore.planning.server_settings import complete_request, user_data_concerns
from longshore.planning.source_quota import quotas
from longshore.planning.tpm import tpm_concerns, tpm_properties
from longshore.planning.trunks import trunk_concerns

FIRMWARE_UEFI = warning(
    "firmware-uefi",
    "The machine boots by UEFI. The target's compute nodes need firmware for that (OVMF), and don't tell whether they "
    "have it.",
    "A dry run tells.",
)
SECURE_BOOT = warning(
    "secure-boot",
    "The machine boots with secure boot. The target's firmware trusts Microsoft's keys; keys that were added to the "
    "machine's own firmware stay behind, and so do its variables.",
    "A dry run tells whether it boots.",
)
DUPLICATE_NAME = warning(
    "duplicate-name",
    "Several servers of the plan are to have the same name. The target allows it, but people confuse them.",
    "Give them names of their own (--name).",
)
DUPLICATE_MAC = blocker(
    "duplicate-mac",
    "Several adapters have the same MAC and are mapped to one network: the target refuses the second.",
    "Map them to different networks, or change one at the source.",
)
DUPLICATE_ADDRESS = blocker(
    "duplicate-address",
    "Several adapters have the same address and are mapped to one network: the target refuses the second.",
    "Map them to different networks, or change one in the guest.",
)
DUPLICATE_PORT = blocker("duplicate-port", "A port is named for several adapters.", "Name one for each.")
_NAMED = 5  # in a sentence
K = TypeVar("K")
_AS: dict[MachineWork, MachineWork] = {
    MigrationType.REPLICA: MigrationType.WARM,  # it is copied while it runs
    MigrationType.TEST: MigrationType.DRY_RUN,
    MigrationType.FAILOVER: MigrationType.COLD,
    MigrationType.FAILBACK: MigrationType.WARM,
    MigrationType.IN_PLACE: MigrationType.COLD,
}


@dataclass(frozen=True, slots=True)
class Landing:
    flavor_id: str
    flavor_name: str
    nics: tuple[NicLanding, ...]
    disks: tuple[DiskLanding, ...]
    volume_zone: str | None = None  # None: the target's default one
    description: str = ""  # of the server
    cpu_topology: dict[str, str] = field(default_factory=dict)  # image properties of the volume that is booted from
    tpm: dict[str, str] = field(default_factory=dict)  # likewise
    # What was asked for, and what of it was left open filled in with what the machine has at its source
    request: MigrationRequest = field(default_factory=MigrationRequest)


@dataclass(frozen=True, slots=True)
class LandingDecision:
    """A decision: as much of a landing as could be decided, and what was found on the way, quotas left out."""

    machine: Machine
    request: MigrationRequest
    flavor: Flavor | None
    nics: tuple[NicLanding, ...]
    disks: tuple[DiskLanding, ...]
    volume_zone: str | None
    cpu_topology: dict[str, str]
    tpm: dict[str, str]
    concerns: tuple[Concern, ...]

    @property
    def needs(self) -> Needs:
        types = (disk.volume_type for disk in self.disks)
        return needs(self.machine, self.request, self.flavor, self.nics, types)


def land(machine: Machine, request: MigrationRequest, facts: TargetFacts) -> tuple[Landing | None, list[Concern]]:
    """Return a landing, unless a blocker prevents one, and all concerns: not the first, all of them.

    Blockers that the request accepts are warnings here.
    """
    decision = decide(machine, request, facts)
    quota = quotas([decision], facts.room, facts.source, f"{machine.name} needs")
    concerns = [*decision.concerns, *accept_blockers([*duplicates([decision]), *quota], request.accept)]
    if decision.flavor is None or any(c.severity is Severity.BLOCKER for c in concerns):
        return None, concerns
    landing = Landing(
        decision.flavor.id,
        decision.flavor.name,
        decision.nics,
        decision.disks,
        decision.volume_zone,
        carry_along(machine, request)[0].description,
        decision.cpu_topology,
        decision.tpm,
        decision.request,
    )
    return landing, concerns


def decide(machine: Machine, request: MigrationRequest, facts: TargetFacts) -> LandingDecision:
    """Decide what can be said of one machine without the others that move with it."""
    keeps_ports = request.type in (MigrationType.IN_PLACE, MigrationType.FAILBACK)
    machine, request = _as_migration(machine, request)
    unknown = list(unknown_adapters(machine, request))
    machine = with_chosen_adapters(machine, request)
    request, concerns = complete_request(machine, request, facts.choices)
    concerns.extend(unknown)
    concerns.extend(mappings.shared_names(request.networks, request.storage, [with_mapped_adapters(machine, request)]))
    concerns.extend(machine_concerns(machine, request))
    concerns.extend(openstack_concerns(machine, request, keeps_ports=keeps_ports))
    concerns.extend(() if keeps_ports else trunk_concerns(machine, request))
    concerns.extend([*guest_concerns(machine, request, facts.windows), *boot_concerns(machine, request)])
    concerns.extend(user_data_concerns(request))
    concerns.extend(_firmware_concerns(machine))
    if request.landing is LandingMode.AS_IS:
        concerns.extend(choose_hardware(machine, likely_drivers(machine))[1])
    nics = land_nics(machine, request, facts, concerns)
    largest = facts.room.largest_volume
    disks = tuple(land_disk(machine, disk, request, facts.volume_types, largest, concerns) for disk in machine.disks)
    flavor = choose_flavor(machine, request, facts.flavors, concerns)
    concerns.extend(flavor_concerns(machine, request, flavor))
    tpm = tpm_properties(machine, flavor, facts)
    concerns.extend(tpm_concerns(machine, flavor, tpm))
    topology, odd = cpu_topology(machine, flavor, request)
    concerns.extend(odd)
    concerns.extend(placement_concerns(request, facts.choices))
    concerns.extend(presence_concerns(machine, request, facts.present))
    return LandingDecision(
        machine=machine,
        request=request,
        flavor=flavor,
        nics=nics,
        disks=disks,
        volume_zone=volume_zone(request, facts.choices),
        cpu_topology=topology,
        tpm=tpm,
        # Two disks on one datastore needn't say the same twice
        concerns=tuple(dict.fromkeys(accept_blockers(concerns, request.accept))),
    )


def duplicates(decisions: Sequence[LandingDecision]) -> Iterator[Concern]:
    """Yield names and addresses that come twice. What dry runs make is gone before it could be in the way, so it
    doesn't count."""
    once = {decision.machine.ref: decision for decision in decisions}.values()
    moved = [decision for decision in once if decision.request.type is not MigrationType.DRY_RUN]
    called = ((d.request.server_name or d.machine.name, f"{d.machine.name} ({d.machine.ref})") for d in moved)
    for name, names in several(called):
        yield DUPLICATE_NAME(name, f'Several servers are to be called "{name}": {some(names, _NAMED)}.')
    nics = [(decision.machine.name, nic) for decision in moved for nic in decision.nics]
    made = [(name, nic) for name, nic in nics if nic.port_id is None]
    for (_, mac), names in several(((nic.network_id, nic.mac), name) for name, nic in made if nic.mac):
        yield DUPLICATE_MAC(str(mac), f"MAC {mac} is to be on one network several times: {some(names, _NAMED)}.")
    for (_, one), names in several(((nic.network_id, a), name) for name, nic in made for a in nic.addresses):
        yield DUPLICATE_ADDRESS(one, f"Address {one} is to be on one network several times: {some(names, _NAMED)}.")
    for port, names in several((nic.port_id, name) for name, nic in nics if nic.port_id is not None):
        yield DUPLICATE_PORT(port, f"Port {port} is named several times: {some(names, _NAMED)}.")


def several(pairs: Iterable[tuple[K, str]]) -> Iterator[tuple[K, list[str]]]:
    """Yield keys that come more than once, with what comes with them."""
    found: dict[K, list[str]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return ((key, values) for key, values in found.items() if len(values) > 1)


def blocked(concerns: list[Concern]) -> InvalidInput:
    """Return all blockers in one error, each on its line. Those that were accepted aren't blockers any more."""
    blockers = [c for c in concerns if c.severity is Severity.BLOCKER]
    codes = list(dict.fromkeys(c.code for c in blockers))
    words = [str(concern) for concern in blockers]
    # A network without a target and one that nobody is on may be one and the same, mistyped
    words.extend(str(concern) for concern in concerns if concern.code == mappings.MAPPING_UNUSED.code)
    if all(concern.acceptable for concern in blockers):
        words.append(f"To go on all the same: {' '.join(f'--accept {code}' for code in codes)}.")
    return InvalidInput("\n".join(words), code=codes[0] if len(codes) == 1 else "preflight-failed")


def _firmware_concerns(machine: Machine) -> Iterator[Concern]:
    if machine.firmware is Firmware.UEFI:
        yield FIRMWARE_UEFI(machine.name, f"{machine.name} boots by UEFI: the target needs firmware for that.")
        if machine.secure_boot:
            yield SECURE_BOOT(
                machine.name, f"{machine.name} boots with secure boot: only keys of Microsoft's are kept."
            )


def _as_migration(machine: Machine, request: MigrationRequest) -> tuple[Machine, MigrationRequest]:
    """Return the machine and the request as the migration that does the same. What is made of a point asks nothing of
    the machine any more, and so counts as one that is off."""
    if request.type.of_point:
        machine = replace(machine, power=PowerState.OFF)
    return machine, replace(request, type=_AS.get(request.type, request.type))
