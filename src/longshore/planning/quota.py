"""Checks whether the target project's quota has room for what machines need, one or many.

Some of it is needed for good; some only while a machine is on its way: the snapshots that a conversion can go back to,
and all that a dry run makes. Of that, only the machines that move at the same time count.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.request import BootProof, LandingMode, MigrationRequest, MigrationType
from longshore.model.target import Flavor, QuotaRoom
from longshore.planning.kinds import ConcernKind, blocker
from longshore.planning.nics import NicLanding

GIB = 1 << 30
_ADVICE = "Ask for a larger quota, free some, or accept it, if the quota will be raised before the machines move."


def _kind(what: str, meaning: str) -> ConcernKind:
    return blocker(f"quota-{what}", meaning, _ADVICE, acceptable=True)


QUOTA_INSTANCES = _kind("instances", "The project may not have as many servers as are needed.")
QUOTA_CORES = _kind("cores", "The project may not have as many CPUs as the flavors need.")
QUOTA_MEMORY = _kind("memory", "The project may not have as much memory as the flavors need.")
QUOTA_VOLUMES = _kind("volumes", "The project may not have as many volumes as there are disks.")
QUOTA_GIGABYTES = _kind(
    "gigabytes",
    "The project may not have as many GiB of volumes as are needed; the snapshots that a conversion can go back to "
    "count too.",
)
QUOTA_SNAPSHOTS = _kind("snapshots", "The project may not have as many volume snapshots as conversions need.")
QUOTA_PORTS = _kind("ports", "The project may not have as many ports as there are network adapters.")
QUOTA_VOLUME_TYPE = _kind(
    "volume-type", "The volume type has a quota of its own, which has no room for what is needed of it."
)

_KINDS = {
    "instances": QUOTA_INSTANCES,
    "cores": QUOTA_CORES,
    "memory_mib": QUOTA_MEMORY,
    "volumes": QUOTA_VOLUMES,
    "gigabytes": QUOTA_GIGABYTES,
    "snapshots": QUOTA_SNAPSHOTS,
    "ports": QUOTA_PORTS,
}

# What is counted by the names of QuotaRoom's fields, and of VolumeTypeRoom's
_UNITS = {
    "instances": "server(s)",
    "cores": "CPU(s)",
    "memory_mib": "MiB of memory",
    "volumes": "volume(s)",
    "gigabytes": "GiB of volumes and their snapshots",
    "snapshots": "volume snapshot(s)",
    "ports": "port(s)",
}
_OF_TYPES = ("volumes", "gigabytes", "snapshots")


@dataclass(frozen=True, slots=True)
class Needs:
    """Counts by the names of QuotaRoom's fields; those of a volume type as "volumes of TYPE"."""

    lasting: Counter[str] = field(default_factory=Counter)
    passing: Counter[str] = field(default_factory=Counter)  # while the machine moves


def needs(
    machine: Machine,
    request: MigrationRequest,
    flavor: Flavor | None,
    nics: Iterable[NicLanding],
    volume_types: Iterable[str | None],
) -> Needs:
    """`volume_types` are those of the machine's disks, in their order."""
    made: Counter[str] = Counter(instances=1, ports=sum(nic.port_id is None for nic in nics))
    if flavor is not None:
        made.update(cores=flavor.cpus, memory_mib=flavor.memory_mib)
    snapshots: Counter[str] = Counter()  # one of each volume
    for disk, volume_type in zip(machine.disks, volume_types, strict=True):
        made.update(volume_needs(disk.size, volume_type))
        snapshots.update(snapshot_needs(disk.size, volume_type))
    passing: Counter[str] = Counter()
    if request.landing is LandingMode.CONVERT:  # to go back to
        passing.update(snapshots)
    if request.boot_proof is BootProof.AGENT:  # what is left of the agent's answer until the end
        passing.update(snapshots)
    if request.type is MigrationType.DRY_RUN and not request.keep:
        return Needs(passing=made + passing)
    return Needs(made, passing)


def volume_needs(size: int, volume_type: str | None) -> Counter[str]:
    """Return the needs of one volume of so many bytes; None: of the default type."""
    return _needs("volumes", size, volume_type)


def snapshot_needs(size: int, volume_type: str | None) -> Counter[str]:
    """Return the needs of one snapshot of a volume of so many bytes; None: of one of the default type."""
    return _needs("snapshots", size, volume_type)


def _needs(what: str, size: int, volume_type: str | None) -> Counter[str]:
    """Count one of these, and its size, for the project and for the volume type."""
    needed: Counter[str] = Counter()
    for suffix in ("", f" of {volume_type}") if volume_type else ("",):
        needed.update({f"{what}{suffix}": 1, f"gigabytes{suffix}": -(-size // GIB)})
    return needed


def together(each: Iterable[Needs], at_once: int | None = None) -> Counter[str]:
    """Return what several machines need, `at_once` of them moving at a time (None: all): in the worst case the
    greediest."""
    listed = list(each)
    total: Counter[str] = Counter()
    for one in listed:
        total.update(one.lasting)
    for what in {name for one in listed for name in one.passing}:
        amounts = sorted((one.passing[what] for one in listed), reverse=True)
        total[what] += sum(amounts[:at_once])
    return total


def quota_concerns(needed: Counter[str], room: QuotaRoom, who: str) -> Iterator[Concern]:
    """`who` needs it, as in "web01 needs"."""
    return shortages(needed, room, who, "target", _KINDS, QUOTA_VOLUME_TYPE)


def shortages(  # noqa: PLR0917
    needed: Counter[str],
    room: QuotaRoom,
    who: str,
    side: str,
    kinds: Mapping[str, ConcernKind],
    of_type: ConcernKind,
) -> Iterator[Concern]:
    """Yield shortages of what `kinds` names, and of the volume types that have a quota of their own. `side`: target or
    source."""
    for what, kind in kinds.items():
        left = getattr(room, what)
        if left is not None and needed[what] > left:
            yield kind(
                what.partition("_")[0],
                f"The {side} project's quota has room for {left} {_UNITS[what]}, {who} {needed[what]}.",
            )
    for name, type_room in sorted(room.volume_types.items()):
        for what in _OF_TYPES:
            left, wanted = getattr(type_room, what), needed[f"{what} of {name}"]
            if left is not None and wanted > left:
                whose = f"The {side} project's quota of volume type {name}"
                yield of_type(name, f"{whose} has room for {left} {_UNITS[what]}, {who} {wanted}.")
