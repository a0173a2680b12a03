"""Mappings that nothing uses: most are another name mistyped."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches

from longshore.model import source_names
from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.plan import Plan, PlannedMachine
from longshore.model.request import MigrationRequest
from longshore.planning.kinds import blocker, warning

MAPPING_UNUSED = warning(
    "mapping-unused",
    "A network, datastore, cluster or folder is mapped that nothing which is to move is in or on.",
    "Correct its name, or leave it out.",
)


MAPPING_SHARED = warning(
    "mapping-shared",
    "A network, datastore, cluster or folder is mapped by a name that several at the source have: all of them become "
    "the same.",
    "Map each by DATACENTER/NAME or its reference, or an adapter by its MAC (adapters, --adapter), where they aren't "
    "to.",
)
MAPPING_AMBIGUOUS = blocker(
    "mapping-ambiguous",
    "A network or datastore is mapped by a word that is one's name and the reference or DATACENTER/NAME of another.",
    "Map each by a word that only the one has.",
)


def shared_names(
    networks: Mapping[str, str],
    storage: Mapping[str, str],
    machines: Sequence[Machine],
    zones: Mapping[str, str] | None = None,
) -> Iterator[Concern]:
    """Yield words that are mapped and mean more than one thing. `zones`: by clusters and folders."""
    tables = (
        ("networks", networks, source_names.networks_of(machines)),
        ("datastores", storage, source_names.storage_of(machines)),
        ("clusters or folders", zones or {}, _above(machines)),
    )
    for what, table, places in tables:
        for word, found in source_names.several(table, places):
            kind = MAPPING_SHARED if all(place.name == word for place in found) else MAPPING_AMBIGUOUS
            listed = ", ".join(map(str, found))
            yield kind(word, f'"{word}", which is mapped to "{table[word]}", is several {what}: {listed}.')


def unused_of_machine(machine: Machine, request: MigrationRequest) -> Iterator[Concern]:
    """Yield mappings asked for one machine alone that it has no use for."""
    options = {"networks": request.networks, "subnets": request.subnets, "storage": request.storage}
    return _find_unused(options, [machine])


def unused_of_plan(plan: Plan, machines: Sequence[Machine]) -> Iterator[Concern]:
    """`machines` are all that the plan moves, and its volumes."""
    common = plan.mappings
    tables = {"networks": common.networks, "subnets": common.subnets, "storage": common.storage, "zones": common.zones}
    yield from _find_unused(tables, machines)


def unused_of_entry(entry: PlannedMachine, machine: Machine) -> Iterator[Concern]:
    """Yield mappings of a plan for one of its machines that the machine has no use for."""
    return _find_unused({name: entry.options.get(name) or {} for name in ("networks", "subnets", "storage")}, [machine])


def _find_unused(tables: Mapping[str, Mapping[str, str]], machines: Sequence[Machine]) -> Iterator[Concern]:
    networks = {word for place in source_names.networks_of(machines) for word in place.words}
    storage = {word for place in source_names.storage_of(machines) for word in place.words}
    there: dict[str, tuple[str, Collection[str]]] = {
        "networks": ("network", networks),
        "subnets": ("network", networks),
        "storage": ("datastore or volume type", storage),
        "zones": ("cluster or folder", {word for place in _above(machines) for word in place.words}),
    }
    who = machines[0].name if len(machines) == 1 else "No machine"
    for table, mapped in tables.items():
        what, used = there[table]
        for name in mapped:
            if name in used:
                continue
            says = f"{who} isn't" if len(machines) == 1 else f"{who} is"
            text = f'{says} in or on a {what} "{name}", which is mapped to "{mapped[name]}".'
            yield MAPPING_UNUSED(name, text, _suggest(name, used))


def _above(machines: Sequence[Machine]) -> list[source_names.NamedPlace]:
    """Return the clusters and folders that these machines are in, each once."""
    return list(dict.fromkeys(place for machine in machines for place in source_names.above(machine)))


def _suggest(name: str, used: Collection[str]) -> str | None:
    folded = {other.casefold(): other for other in used}
    close = get_close_matches(name.casefold(), folded, n=1)
    return f'Did you mean "{folded[close[0]]}"?' if close else None
