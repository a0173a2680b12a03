"""The choice of a flavor for a machine."""

from collections.abc import Iterable, Iterator, Sequence

from longshore.border.texts import some
from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.request import MigrationRequest
from longshore.model.target import Flavor
from longshore.planning.kinds import blocker, information, warning
from longshore.planning.tpm import has_tpm

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
FLAVOR_DEMANDS = information(
    "flavor-demands",
    "The flavor named demands something of its servers' host (processors of its own, huge pages, encrypted memory, a "
    "trait), or takes a device of it, which the machine didn't.",
    "Name another one, if that isn't meant. A dry run tells whether a host is found for it.",
)
NO_FLAVOR_LARGE_ENOUGH = blocker(
    "no-flavor-large-enough",
    "No flavor of the target has as many CPUs and as much memory as the machine.",
    "Ask for a larger flavor, or name a smaller one with --flavor.",
)
LATENCY_SENSITIVE = warning(
    "latency-sensitive",
    "The machine's latency sensitivity is high: its host gives it processors of its own. Its flavor doesn't.",
    "Name a flavor that does (hw:cpu_policy=dedicated).",
)
MEMORY_RESERVED = information(
    "memory-reserved",
    "All memory of the machine is reserved on its host. That of a server isn't, unless its flavor demands huge pages.",
    "Name a flavor that does (hw:mem_page_size=large), if it needs that.",
)
LIMITS_LEFT = information(
    "limits-left",
    "The machine has limits, reservations or shares of its own: of CPU, memory, a disk's operations in a second "
    "(IOPS), or an adapter's bandwidth. The server has those of its flavor, volume types and network alone.",
    "Name a flavor (--flavor) or volume types (--storage) that have them (quota:cpu_quota, quota:cpu_shares, QoS "
    "specs), if they matter.",
)

# Extra specs by which a server has processors, or memory, that nobody shares
_DEDICATED = ("hw:cpu_policy=dedicated", "hw:cpu_policy=mixed", "resources:PCPU=")
_RESERVED = "hw:mem_page_size="


def smallest(
    cpus: int, memory_mib: int, flavors: Iterable[Flavor], *, own: str = "", tpm: bool = False
) -> Flavor | None:
    """Find the smallest one that is large enough: one that can run on any host, if there is any.

    `own`: the name of the flavor that the machine has at its source, whose hosts suit it. Of several of one size it is
    taken, else one with a TPM if the machine has one.
    """
    fitting = [f for f in flavors if f.cpus >= cpus and f.memory_mib >= memory_mib]
    return min(
        fitting,
        key=lambda f: (
            bool(f.narrowing) and f.name != own,
            f.memory_mib,
            f.cpus,
            f.name != own,
            bool(f.tpm) != tpm,
            f.disk_gib,
            f.name,
        ),
        default=None,
    )


def choose_flavor(
    machine: Machine, request: MigrationRequest, flavors: Sequence[Flavor], concerns: list[Concern]
) -> Flavor | None:
    """Return the flavor that is asked for, else the smallest that is large enough; None: neither is there. `concerns`
    gets what stands against it."""
    need = f"{machine.cpus} CPU(s) and {machine.memory_mib} MiB"
    if request.flavor is not None:
        found = [f for f in flavors if request.flavor in (f.id, f.name)]
        if not found:
            has = f"It has: {', '.join(sorted(f.name for f in flavors))}."
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
    fits = smallest(machine.cpus, machine.memory_mib, flavors, own=machine.server.flavor, tpm=has_tpm(machine))
    if fits is None:
        text = f"No flavor of the target has {need}, as {machine.name} has."
        concerns.append(NO_FLAVOR_LARGE_ENOUGH(machine.name, text))
    return fits


def flavor_concerns(machine: Machine, request: MigrationRequest, flavor: Flavor | None) -> Iterator[Concern]:
    """Yield what the flavor demands that the machine didn't have, and what the machine had that the flavor doesn't
    give."""
    if flavor is None:
        return
    name, has = machine.name, machine.host_features
    if flavor.narrowing and flavor.name != machine.server.flavor:
        kind = FLAVOR_NARROW if request.flavor is None else FLAVOR_DEMANDS
        yield kind(flavor.name, f"Flavor {flavor.name} demands of its host: {', '.join(flavor.narrowing)}.")
    if has.latency_sensitive and not any(one.startswith(_DEDICATED) for one in flavor.narrowing):
        text = f"{name} has processors of its own (latency sensitivity high); with flavor {flavor.name} it has none."
        yield LATENCY_SENSITIVE(name, text)
    if has.memory_reserved and not any(one.startswith(_RESERVED) for one in flavor.narrowing):
        yield MEMORY_RESERVED(name, f"All memory of {name} is reserved; with flavor {flavor.name} none is.")
    if has.limits:
        yield LIMITS_LEFT(name, f"{name} has limits or shares of its own, which stay behind: {some(has.limits, 5)}.")
