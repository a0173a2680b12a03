"""A first plan for machines and a target: what can be told from names, VLANs, addresses and sizes is filled in.

What can't be told is left open and said, never guessed: a wrong network is worse than none.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from longshore.model import source_names
from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.plan import FlavorRule, Mappings, Plan
from longshore.model.source_names import NamedPlace
from longshore.model.target import Flavor, Network, Subnet
from longshore.planning.entry_words import can_be_read, name_machines
from longshore.planning.facts import find_network, list_networks
from longshore.planning.flavors import smallest
from longshore.planning.kinds import ConcernKind
from longshore.planning.mappings import shared_names
from longshore.planning.plan_kinds import FLAVOR_UNDECIDED, NETWORK_UNDECIDED, STORAGE_DEFAULT


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer: what the target has to choose from, and what is known of the source's networks."""

    networks: Sequence[Network]
    volume_types: Sequence[str]
    flavors: Sequence[Flavor]
    zones: Sequence[str] = ()
    # By the references of the source's networks, or their names where they are unique: the VLAN as the source has it
    vlans: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proposal:
    plan: Plan
    open: list[Concern]  # what the user has to decide, or might want to


@dataclass(frozen=True, slots=True)
class FlavorGap:
    """A size of machine that no flavor of the target is large enough for."""

    cpus: int
    memory_mib: int

    @property
    def name(self) -> str:
        """Return the name of a flavor that fills the gap."""
        return f"longshore-{self.cpus}c-{self.memory_mib}m"


def propose(  # noqa: PLR0917
    name: str, source: str, target: str, machines: Sequence[Machine], offer: Offer, given: Mappings
) -> Proposal:
    """Propose a plan with all machines in the first wave. What `given` says already is kept as it is."""
    concerns: list[Concern] = []
    networks, subnets = dict(given.networks), dict(given.subnets)
    places = source_names.networks_of(machines)
    for word, place in _undecided(places, networks, "networks", NETWORK_UNDECIDED, concerns):
        found = _network(place, _addresses(machines, [place]), offer, concerns)
        if found is not None:
            unique = can_be_read(found.name) and len(find_network(offer.networks, found.name)) == 1
            networks[word] = found.name if unique else found.id
    for word, wanted in networks.items():
        meant = [place for place in places if source_names.word_for(networks, place) == word]
        subnet = _subnet(_addresses(machines, meant), wanted, offer.networks)
        if subnet is not None:
            subnets.setdefault(word, subnet.id)
    storage = dict(given.storage)
    stored = source_names.storage_of(machines)
    for word, place in _undecided(stored, storage, "datastores", STORAGE_DEFAULT, concerns):
        _storage(word, place, offer, storage, concerns)
    same = {
        c: z for c in {m.cluster for m in machines} for z in offer.zones if can_be_read(c) and c.lower() == z.lower()
    }
    flavors = given.flavors or tuple(_flavors(machines, offer.flavors, concerns))
    mappings = Mappings(networks, subnets, storage, {**same, **given.zones}, flavors)
    concerns.extend(shared_names(networks, storage, machines, mappings.zones))
    plan = Plan(name=name, source=source, target=target, machines=name_machines(machines), mappings=mappings)
    return Proposal(plan, concerns)


def gaps(machines: Sequence[Machine], flavors: Sequence[Flavor]) -> list[FlavorGap]:
    """Return the sizes for which a flavor would have to be made, smallest first."""
    sizes = {(m.memory_mib, m.cpus) for m in machines}
    return [FlavorGap(cpus, memory) for memory, cpus in sorted(sizes) if smallest(cpus, memory, flavors) is None]


def _undecided(
    places: Sequence[NamedPlace], mapped: Mapping[str, str], what: str, kind: ConcernKind, concerns: list[Concern]
) -> Iterator[tuple[str, NamedPlace]]:
    """Yield those of which nothing is said yet, with the word to map each by. Of which several have one name, nothing
    can be told: that is said, and left open."""
    left = [place for place in places if source_names.word_for(mapped, place) is None]
    for name, found in groupby(left, key=lambda place: place.name):
        same = [place for place in places if place.name == name]
        if len(same) > 1:
            listed = ", ".join(map(str, same))
            text = f'Several {what} of the source are called "{name}", and nothing tells which becomes which: {listed}.'
            concerns.append(kind(name, text, "Map each by DATACENTER/NAME or by its reference."))
            continue
        (place,) = found
        word = next((word for word in source_names.only(place, places) if can_be_read(word)), None)
        if word is not None:
            yield word, place
        elif place.name:
            text = f"A plan can't hold the name {place.name!r}, which one of the source's {what} has."
            concerns.append(kind(name, text, "Rename it there; or map the adapter by its MAC (adapters, --adapter)."))


# Networks


def _network(place: NamedPlace, addresses: list[str], offer: Offer, concerns: list[Concern]) -> Network | None:
    """Find a network by name, else by VLAN, else by the addresses that the guests have there."""
    wanted, vlan = place.name, offer.vlans.get(place.ref) or offer.vlans.get(place.name)
    held = [ipaddress.ip_address(a) for a in addresses]
    for found in (
        [n for n in offer.networks if n.name.lower() == wanted.lower()],
        [n for n in offer.networks if vlan and str(n.vlan or "") == vlan],
        [n for n in offer.networks if held and all(any(a in _range(s) for s in n.subnets) for a in held)],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            concerns.append(NETWORK_UNDECIDED(wanted, f'Network "{wanted}" could be {list_networks(found)}.'))
            return None
    names = ", ".join(sorted(n.name for n in offer.networks)) or "no network"
    text = f'Network "{wanted}" has no counterpart of its name, VLAN or addresses. The target has: {names}.'
    concerns.append(NETWORK_UNDECIDED(wanted, text))
    return None


def _subnet(addresses: list[str], wanted: str, networks: Sequence[Network]) -> Subnet | None:
    """Return the subnet that the guests' addresses are in, where the network leaves a choice."""
    named = find_network(networks, wanted)
    if len(named) != 1 or len(named[0].subnets) < 2 or not addresses:
        return None
    held = [ipaddress.ip_address(a) for a in addresses]
    found = [s for s in named[0].subnets if all(a in _range(s) for a in held)]
    return found[0] if len(found) == 1 else None


def _range(subnet: Subnet) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(subnet.cidr)


def _addresses(machines: Sequence[Machine], places: Sequence[NamedPlace]) -> list[str]:
    """Return the addresses that the guests have there, without those that every interface gives itself."""
    held = {a for m in machines for nic in m.nics if source_names.network(m, nic) in places for a in nic.addresses}
    return sorted(a for a in held if not ipaddress.ip_address(a).is_link_local)


# Storage and flavors


def _storage(word: str, place: NamedPlace, offer: Offer, storage: dict[str, str], concerns: list[Concern]) -> None:
    datastore = place.name
    found = [t for t in offer.volume_types if t.lower() == datastore.lower()]
    if found and can_be_read(found[0]):
        storage[word] = found[0]
        return
    text = f"Datastore {datastore} has no volume type of its name: its disks get the target's default type."
    advice = f"Map it under mappings.storage to be sure; the target has: {', '.join(sorted(offer.volume_types))}."
    concerns.append(STORAGE_DEFAULT(datastore, text, advice))


def _flavors(machines: Sequence[Machine], flavors: Sequence[Flavor], concerns: list[Concern]) -> Iterator[FlavorRule]:
    """Yield one rule for each size of machine, smallest first: a page to read for a thousand machines."""
    sizes = Counter((m.memory_mib, m.cpus) for m in machines)
    for (memory, cpus), count in sorted(sizes.items()):
        flavor = smallest(cpus, memory, flavors)
        if flavor is not None:
            word = flavor.name if can_be_read(flavor.name) else flavor.id
            yield FlavorRule(flavor=word, cpus=cpus, memory_mib=memory)
            continue
        text = f"No flavor of the target has {cpus} CPU(s) and {memory} MiB, as {count} machine(s) of the plan have."
        concerns.append(FLAVOR_UNDECIDED(f"{cpus} CPU(s), {memory} MiB", text))
