"""A first plan for machines and a target: what can be told from names, VLANs, addresses and sizes is filled in.

What can't be told is left open and said, never guessed: a wrong network is worse than none.
"""

import ipaddress
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from longshore.model.concern import Concern
from longshore.model.machine import Machine
from longshore.model.plan import FlavorRule, Mappings, Plan, PlannedMachine
from longshore.model.target import Flavor, Network, Subnet
from longshore.planning.flavors import smallest
from longshore.planning.plan_kinds import FLAVOR_UNDECIDED, NETWORK_UNDECIDED, STORAGE_DEFAULT


@dataclass(frozen=True, slots=True)
class Offer:
    """What the target has to choose from, and what is known of the source's networks."""

    networks: Sequence[Network]
    volume_types: Sequence[str]
    flavors: Sequence[Flavor]
    zones: Sequence[str] = ()
    vlans: Mapping[str, str] = field(default_factory=dict)  # source network: its VLAN, as the source writes it


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
        """What a flavor that fills it is called."""
        return f"longshore-{self.cpus}c-{self.memory_mib}m"


def propose(  # noqa: PLR0917
    name: str, source: str, target: str, machines: Sequence[Machine], offer: Offer, given: Mappings
) -> Proposal:
    """A plan with all machines in the first wave. What `given` says already is kept as it is."""
    concerns: list[Concern] = []
    networks, subnets = dict(given.networks), dict(given.subnets)
    for network in sorted({nic.network for m in machines for nic in m.nics} - set(networks)):
        addresses = _addresses(machines, network)
        found = _network(network, addresses, offer, concerns)
        if found is not None:
            networks[network] = found.name if _unique(found, offer.networks) else found.id
    for network, wanted in networks.items():
        subnet = _subnet(_addresses(machines, network), wanted, offer.networks)
        if subnet is not None:
            subnets.setdefault(network, subnet.id)
    storage = dict(given.storage)
    for datastore in sorted({d.storage for m in machines for d in m.disks} - set(storage)):
        _storage(datastore, offer, storage, concerns)
    same = {c: z for c in {m.cluster for m in machines} for z in offer.zones if c and c.lower() == z.lower()}
    flavors = given.flavors or tuple(_flavors(machines, offer.flavors, concerns))
    mappings = Mappings(networks, subnets, storage, {**same, **given.zones}, flavors)
    plan = Plan(name=name, source=source, target=target, machines=tuple(_entries(machines)), mappings=mappings)
    return Proposal(plan, concerns)


def gaps(machines: Sequence[Machine], flavors: Sequence[Flavor]) -> list[FlavorGap]:
    """Sizes for which a flavor would have to be made, smallest first."""
    sizes = {(m.memory_mib, m.cpus) for m in machines}
    return [FlavorGap(cpus, memory) for memory, cpus in sorted(sizes) if smallest(cpus, memory, flavors) is None]


def _entries(machines: Sequence[Machine]) -> Iterator[PlannedMachine]:
    names = Counter(m.name for m in machines)
    for machine in machines:
        path = f"{machine.folder}/{machine.name}" if machine.folder else machine.name
        yield PlannedMachine(machine=machine.name if names[machine.name] == 1 else path, ref=machine.ref)


# Networks


def _network(wanted: str, addresses: list[str], offer: Offer, concerns: list[Concern]) -> Network | None:
    """By name, else by VLAN, else by the addresses that the guests have there."""
    vlan = offer.vlans.get(wanted)
    held = [ipaddress.ip_address(a) for a in addresses]
    for found in (
        [n for n in offer.networks if n.name.lower() == wanted.lower()],
        [n for n in offer.networks if vlan and str(n.vlan or "") == vlan],
        [n for n in offer.networks if held and all(any(a in _range(s) for s in n.subnets) for a in held)],
    ):
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(f"{n.name} ({n.id})" for n in found)
            concerns.append(NETWORK_UNDECIDED(wanted, f'Network "{wanted}" could be {names}.'))
            return None
    names = ", ".join(sorted(n.name for n in offer.networks)) or "no network"
    text = f'Network "{wanted}" has no counterpart of its name, VLAN or addresses. The target has: {names}.'
    concerns.append(NETWORK_UNDECIDED(wanted, text))
    return None


def _subnet(addresses: list[str], wanted: str, networks: Sequence[Network]) -> Subnet | None:
    """The one that the guests' addresses are in, where the network leaves a choice."""
    network = next((n for n in networks if wanted in (n.id, n.name)), None)
    if network is None or len(network.subnets) < 2 or not addresses:
        return None
    held = [ipaddress.ip_address(a) for a in addresses]
    found = [s for s in network.subnets if all(a in _range(s) for a in held)]
    return found[0] if len(found) == 1 else None


def _range(subnet: Subnet) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(subnet.cidr)


def _addresses(machines: Sequence[Machine], network: str) -> list[str]:
    """What the guests have there, without what every interface gives itself."""
    held = {a for m in machines for nic in m.nics if nic.network == network for a in nic.addresses}
    return sorted(a for a in held if not ipaddress.ip_address(a).is_link_local)


def _unique(network: Network, networks: Sequence[Network]) -> bool:
    return [n.name for n in networks].count(network.name) == 1


# Storage and flavors


def _storage(datastore: str, offer: Offer, storage: dict[str, str], concerns: list[Concern]) -> None:
    found = [t for t in offer.volume_types if t.lower() == datastore.lower()]
    if found:
        storage[datastore] = found[0]
        return
    text = f"Datastore {datastore} has no volume type of its name: its disks get the target's default type."
    advice = f"Map it under mappings.storage to be sure; the target has: {', '.join(sorted(offer.volume_types))}."
    concerns.append(STORAGE_DEFAULT(datastore, text, advice))


def _flavors(machines: Sequence[Machine], flavors: Sequence[Flavor], concerns: list[Concern]) -> Iterator[FlavorRule]:
    """One rule for each size of machine, smallest first: a page to read for a thousand machines."""
    sizes = Counter((m.memory_mib, m.cpus) for m in machines)
    for (memory, cpus), count in sorted(sizes.items()):
        flavor = smallest(cpus, memory, flavors)
        if flavor is not None:
            yield FlavorRule(flavor=flavor.name, cpus=cpus, memory_mib=memory)
            continue
        text = f"No flavor of the target has {cpus} CPU(s) and {memory} MiB, as {count} machine(s) of the plan have."
        concerns.append(FLAVOR_UNDECIDED(f"{cpus} CPU(s), {memory} MiB", text))
