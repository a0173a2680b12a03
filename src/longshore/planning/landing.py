"""The landing of a machine: flavor, networks, addresses and volume types, decided from what the target has.

Pure functions: `land` takes the machine, what was asked and what the target has, and answers a landing and everything
that stands against it. Nothing is made when a blocker is among the concerns.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

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
from longshore.planning.flavors import smallest
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
from longshore.planning.tpm import has_tpm, tpm_concerns, tpm_properties

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
FLAVOR_NOT_FOUND = blocker("flavor-not-found", "The target has no flavor of that name or id.", "Name one that it has.")
FLAVOR_AMBIGUOUS = blocker(
    "flavor-ambiguous",
    "One flavor of the target has that name, and another has it for its id.",
    "Give the id or name that only the one has that is meant.",
)
FLAVOR_SMALLER = warning(
    "flavor-smaller", "The flavor named is smaller than the machine.", "Name a larger one, or none: the smallest fits."
)
FLAVOR_NARROW = warning(
    "flavor-narrow",
    "Each flavor that is large enough demands something of its servers' host (extra specs), or takes a device of it.",
    "Name one with --flavor, if there is a better one. A dry run tells whether a host is found for it.",
)
NO_FLAVOR_LARGE_ENOUGH = blocker(
    "no-flavor-large-enough",
    "No flavor of the target has as many CPUs and as much memory as the machine.",
    "Ask for a larger flavor, or name a smaller one with --flavor.",
)
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
    concerns = [*decision.concerns, *accept_blockers(quota, request.accept)]
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
    concerns.extend([*guest_concerns(machine, request, facts.windows), *boot_concerns(machine, request)])
    concerns.extend(user_data_concerns(request))
    concerns.extend(_firmware_concerns(machine))
    if request.landing is LandingMode.AS_IS:
        concerns.extend(choose_hardware(machine, likely_drivers(machine))[1])
    nics = land_nics(machine, request, facts, concerns)
    largest = facts.room.largest_volume
    disks = tuple(land_disk(machine, disk, request, facts.volume_types, largest, concerns) for disk in machine.disks)
    flavor = _choose_flavor(machine, request, facts, concerns)
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


def _choose_flavor(
    machine: Machine, request: MigrationRequest, facts: TargetFacts, concerns: list[Concern]
) -> Flavor | None:
    need = f"{machine.cpus} CPU(s) and {machine.memory_mib} MiB"
    if request.flavor is not None:
        found = [f for f in facts.flavors if request.flavor in (f.id, f.name)]
        if not found:
            has = f"It has: {', '.join(sorted(f.name for f in facts.flavors))}."
            concerns.append(FLAVOR_NOT_FOUND(request.flavor, f'The target has no flavor "{request.flavor}".', has))
            return None
        if len(found) > 1:
            listed = ", ".join(f"{flavor.name} ({flavor.id})" for flavor in found)
            concerns.append(FLAVOR_AMBIGUOUS(request.flavor, f'"{request.flavor}" can be {listed}.'))
            return None
        if found[0].memory_mib < machine.memory_mib or found[0].cpus < machine.cpus:
            text = f"Flavor {found[0].name} is smaller than {machine.name}, which has {need}."
            concerns.append(FLAVOR_SMALLER(found[0].name, text))
        return found[0]
    fits = smallest(machine.cpus, machine.memory_mib, facts.flavors, own=machine.server.flavor, tpm=has_tpm(machine))
    if fits is None:
        text = f"No flavor of the target has {need}, as {machine.name} has."
        concerns.append(NO_FLAVOR_LARGE_ENOUGH(machine.name, text))
    elif fits.narrowing and fits.name != machine.server.flavor:
        demands = ", ".join(fits.narrowing)
        concerns.append(FLAVOR_NARROW(fits.name, f"Flavor {fits.name} demands of its host: {demands}."))
    return fits


def _as_migration(machine: Machine, request: MigrationRequest) -> tuple[Machine, MigrationRequest]:
    """Return the machine and the request as the migration that does the same. What is made of a point asks nothing of
    the machine any more, and so counts as one that is off."""
    if request.type.of_point:
        machine = replace(machine, power=PowerState.OFF)
    return machine, replace(request, type=_AS.get(request.type, request.type))
