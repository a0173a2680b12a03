"""A plan: a named set of machines that move from one cloud to another, and everything that was decided about them.
Volumes that no machine has move with them.

A plan says what shall be; what became of it is in the migrations that were started from it. It is kept as people wrote
it: machines by the names they were given, options only where they differ from what Longshore would do anyway.
"""

from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any, Literal

from longshore.model import source_names
from longshore.model.machine import VOLUME, Machine
from longshore.model.quantity_fields import Rate
from longshore.model.request import MigrationRequest, MigrationType

# What a plan says once for all machines, in `Mappings`: an entry of one machine may still say otherwise.
MAPPED = frozenset({"networks", "subnets", "storage"})
# What is one machine's own, and would be wrong for all of them.
OF_ONE_MACHINE = frozenset({"ports", "adapters", "addresses", "test_addresses", "server_name"})
# What is left out is no wish of a user's, or no machine's
_NOT_SAID = {"of", "point", "volume", "clean_up_after", "new_machine", "new_server", "replaces"}
OPTIONS = frozenset(option.name for option in fields(MigrationRequest)) - _NOT_SAID
# Of these what is about volumes, too; and of that again what the defaults of all machines mean for them
OF_VOLUMES = frozenset({"storage", "availability_zone", "accept", "verify", "rate_limit", "keep"})
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$"  # of a plan, and of all else that is given a name here
PlannedType = Literal["dry-run", "cold", "warm"]  # what a whole machine's way can be
_OF_BOTH = OF_VOLUMES - {"storage", "availability_zone"}


@dataclass(frozen=True, slots=True)
class FlavorRule:
    """Machines that are no larger than this, and are called like this, get this flavor."""

    flavor: str
    cpus: int | None = None  # at most; None: any
    memory_mib: int | None = None  # at most; None: any
    machine: str | None = None  # pattern of the name, for example db-*; None: any

    def fits(self, machine: Machine) -> bool:
        return (
            (self.cpus is None or machine.cpus <= self.cpus)
            and (self.memory_mib is None or machine.memory_mib <= self.memory_mib)
            and (self.machine is None or fnmatchcase(machine.name, self.machine))
        )


@dataclass(frozen=True, slots=True)
class Mappings:
    """Mappings of the source's names to the target's names or ids."""

    networks: dict[str, str] = field(default_factory=dict)
    subnets: dict[str, str] = field(default_factory=dict)  # source network: subnet, where the target has several
    storage: dict[str, str] = field(default_factory=dict)  # datastore: volume type; others get the default type
    zones: dict[str, str] = field(default_factory=dict)  # cluster or folder: availability zone; the deepest folder wins
    flavors: tuple[FlavorRule, ...] = ()  # the first that fits; none: the smallest flavor that is large enough


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """The number of a project's migrations, of whichever plan, that may be at work before another of this plan is
    begun."""

    at_once: int = 4
    per_source: int | None = None  # from one vCenter
    per_host: int | None = None  # from one ESXi host
    per_datastore: int | None = None
    per_target: int | None = None
    bytes_per_second: Rate | None = None  # that all copies of the plan may read together


@dataclass(frozen=True, slots=True)
class PlannedMachine:
    machine: str  # name, inventory path or reference
    ref: str | None = None  # its reference, where it is known: a machine that was renamed is still found
    wave: int = 1  # waves go one after another, the lowest first
    options: dict[str, Any] = field(default_factory=dict)  # as in MigrationRequest, where this machine is different

    @property
    def wanted(self) -> str:
        """Return the name or reference to look it up by."""
        return self.ref or self.machine


@dataclass(frozen=True, slots=True)
class PlannedVolume:
    """A volume that no machine has."""

    volume: str  # name or id
    ref: str | None = None  # its id, where it is known: a volume that was renamed is still found
    wave: int = 1
    options: dict[str, Any] = field(default_factory=dict)  # as in MigrationRequest, of those that are about volumes

    @property
    def machine(self) -> str:
        """Return its name among machines, one of which may have the same name."""
        return f"{VOLUME}{self.volume}"

    @property
    def wanted(self) -> str:
        """Return the name or reference to look it up by."""
        return f"{VOLUME}{self.ref or self.volume}"


Entry = PlannedMachine | PlannedVolume


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    source: str  # the provider's name
    target: str
    machines: tuple[PlannedMachine, ...] = ()
    volumes: tuple[PlannedVolume, ...] = ()
    description: str = ""
    mappings: Mappings = field(default_factory=Mappings)
    defaults: dict[str, Any] = field(default_factory=dict)  # options of all machines, as in MigrationRequest
    limits: PlanLimits = field(default_factory=PlanLimits)

    @property
    def entries(self) -> tuple[Entry, ...]:
        return (*self.machines, *self.volumes)

    @property
    def waves(self) -> list[int]:
        return sorted({entry.wave for entry in self.entries})

    def options_for(self, entry: PlannedMachine, machine: Machine) -> dict[str, Any]:
        """Return the options of a MigrationRequest for this machine: mappings, then defaults, then its own options.

        Tables (mappings, metadata, cutover) are joined key by key; anything else is replaced.
        """
        options: dict[str, Any] = {name: dict(getattr(self.mappings, name)) for name in MAPPED}
        named = (source_names.mapped(self.mappings.zones, place) for place in source_names.above(machine))
        if (zone := next(filter(None, named), None)) is not None:
            options["availability_zone"] = zone
        rule = next((r for r in self.mappings.flavors if r.fits(machine)), None)
        if rule is not None:
            options["flavor"] = rule.flavor
        return _merge(_merge(options, self.defaults), entry.options)

    def options_for_volume(self, entry: PlannedVolume) -> dict[str, Any]:
        """Return the options of a MigrationRequest for a volume, as `options_for` does for a machine."""
        options: dict[str, Any] = {"storage": dict(self.mappings.storage)}
        common = {name: value for name, value in self.defaults.items() if name in _OF_BOTH}
        return _merge(_merge(options, common), entry.options) | {"type": MigrationType.VOLUME}


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    joined = dict(below)
    for name, value in above.items():
        there = joined.get(name)
        joined[name] = {**there, **value} if isinstance(there, dict) and isinstance(value, dict) else value
    return joined
