"""The landing of a machine's network adapters: network, subnet, MAC and addresses, or a port that was made for them."""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from longshore.model import source_names
from longshore.model.addresses import Addressing
from longshore.model.concern import Concern
from longshore.model.machine import AllowedAddress, Machine, Nic
from longshore.model.request import MigrationRequest, MigrationType
from longshore.model.target import Network, Subnet
from longshore.planning.facts import TargetFacts, find_network, list_networks
from longshore.planning.floating import FloatingLanding, land_floating
from longshore.planning.kinds import blocker, warning
from longshore.planning.new_addresses import (
    address_concerns,
    network_of,
    port_concerns,
    subnet_of,
    subnet_with,
    unused_rules,
    wanted_addresses,
    wishes_of,
)
from longshore.planning.server_settings import security_groups

NETWORK_UNMAPPED = blocker(
    "network-unmapped",
    "No target network is named for a network that the machine is on.",
    'Say which one: --network "SOURCE=TARGET".',
)
NETWORK_NOT_FOUND = blocker(
    "network-not-found", "The target has no network of that name or id.", "Name one that it has."
)
NETWORK_AMBIGUOUS = blocker(
    "network-ambiguous",
    "Several networks of the target have that name, or one has it and another has it for its id.",
    "Give the id of the one that is meant, or the name of the other.",
)
NETWORK_NOT_OWNED = warning(
    "network-not-owned",
    "The network belongs to another project. A plain member may choose neither MAC nor fixed address nor further "
    "addresses there, so the machine gets new ones.",
    "To keep them: add the target as a provider with an account that may (an administrator's, or one with a role that "
    "the cloud lets choose: advsvc before 2024.1, service or manager since, by its policy), have an administrator make "
    "the port for this project and name it (--port MAC=ID), or map the network to one that belongs to the project.",
)
NETWORK_WITHOUT_SUBNET = warning(
    "network-without-subnet",
    "The target network has no subnet: the adapter is connected, but has no address that the target knows of.",
    "Make a subnet, if it is to have one.",
)
SUBNET_NOT_FOUND = blocker(
    "subnet-not-found",
    "The target network has no subnet of that name, id or address range.",
    "Name one that it has.",
)
SUBNET_AMBIGUOUS = blocker(
    "subnet-ambiguous",
    "Several subnets of the target network have that name, or one has it and another has it for its id.",
    "Give the id of the one that is meant.",
)
ALLOWED_ADDRESSES_LEFT = warning(
    "allowed-addresses-left",
    "An adapter may speak for further addresses (allowed address pairs), and the target network belongs to another "
    "project, where a plain member may not ask for that.",
    "Have an administrator allow them on the new port, or make the port beforehand (--port MAC=ID).",
)
ADAPTER_UNPLUGGED = warning(
    "adapter-unplugged",
    "An adapter is unplugged at the source, or its port is down there. So is its port at the target.",
    "To have it plugged in: --adapter MAC,plugged.",
)
ALLOWED_ADDRESS_MAC = blocker(
    "allowed-address-mac",
    "An adapter may speak with a further MAC (an allowed address pair with a MAC of its own, other than VRRP's). A "
    "cloud whose networks OVN makes takes the port, and refuses to start its server; older ones drop what is sent so.",
    "Accept this to have the pair with the port's own MAC; or make the port beforehand (--port MAC=ID).",
    acceptable=True,
)
MAC_IN_USE = blocker(
    "mac-in-use",
    "A port on the target network has the adapter's MAC already.",
    "Remove the port that has it, if it is left from an earlier try, or name it (--port MAC=ID).",
)
MAC_MULTICAST = blocker(
    "mac-multicast",
    "The adapter's MAC is one for groups of receivers: the target would take it, but no packet would find its way.",
    "Give the adapter an ordinary MAC at the source.",
)
MAC_MISSING = warning(
    "mac-missing",
    "The source doesn't say which MAC the adapter has: the target gives it one.",
    "Power the machine on once at the source, if it has never run.",
)
ADDRESS_OUTSIDE_SUBNET = warning(
    "address-outside-subnet",
    "An address of the guest is in no subnet of the target network, or not in the one named: the target gives another.",
    "Map the network to one with that subnet, or give the guest another address afterwards.",
)
ADDRESS_BY_ITSELF = warning(
    "address-by-itself",
    "On the target's subnet each port gets an IPv6 address by its MAC (SLAAC, stateless DHCPv6), and none can be asked "
    "for. The guest has another one: a temporary one, or one that was set by hand.",
    "What reaches the machine by that address has to learn the new one; or map the network to one whose subnet lets "
    "addresses be chosen (stateful DHCPv6).",
)
ADDRESS_OF_NOBODY = warning(
    "address-of-nobody",
    "An address of the guest is the first or last one of the target's subnet, which no port can have.",
    "Give the guest another address, or map the network to one with a larger subnet.",
)
SECURITY_GROUPS_IMPOSSIBLE = warning(
    "security-groups-impossible",
    "The target network has no port security, or no subnet: no security group can be on its ports, and nothing is "
    "filtered there.",
    "Map the network to another one, if the machine is to be guarded.",
)
ADDRESS_IN_USE = blocker(
    "address-in-use",
    "A port on the target network has one of the guest's addresses already.",
    "Free it, or map the network to another one.",
)
PORT_NOT_FOUND = blocker(
    "port-not-found",
    "The port named for an adapter isn't there, or isn't the project's.",
    "Give the id of a port that was made for this project.",
)
PORT_IN_USE = blocker(
    "port-in-use", "The port named for an adapter belongs to a server already.", "Detach it there, or name another."
)
PORT_FOR_NO_ADAPTER = blocker(
    "port-for-no-adapter", "A port is named for a MAC that the machine doesn't have.", "Correct the MAC."
)
PORT_OTHER_MAC = warning(
    "port-other-mac",
    "The port named for an adapter has another MAC: what the guest ties to it (names of interfaces, licences) changes.",
    "Have the port made with the adapter's MAC.",
)


_VRRP = ("00:00:5e:00:01:", "00:00:5e:00:02:")  # virtual routers' MACs, of IPv4 and IPv6 (RFC 9568)


@dataclass(frozen=True, slots=True)
class NicLanding:
    nic_key: str
    network_id: str
    mac: str | None  # None: the target chooses
    addresses: tuple[str, ...]
    subnet_id: str | None = None  # out of which the target chooses an address when there are none
    port_id: str | None = None  # a port that is there already: nothing is made, and it stays when all else is removed
    security_groups: tuple[str, ...] | None = None  # names or ids; None: the project's default
    floating: tuple[FloatingLanding, ...] = ()
    allowed_addresses: tuple[AllowedAddress, ...] = ()
    chosen: bool = False  # the addresses were asked for, so that a rehearsal beside the machine has them, too
    plugged: bool = True
    gateways: dict[str, str] = field(default_factory=dict)  # of the subnets, by their ranges, as far as they have one


def with_new_ports(machine: Machine, request: MigrationRequest) -> list[Nic]:
    """Return the adapters for which new ports are made: those for which none is named."""
    named = {mac.lower() for mac in request.ports}
    return [nic for nic in machine.nics if nic.mac not in named]


def land_nics(
    machine: Machine, request: MigrationRequest, facts: TargetFacts, concerns: list[Concern]
) -> tuple[NicLanding, ...]:
    """Return the landings of those that have somewhere to land; `concerns` gets what stands against it."""
    given = {mac.lower(): port for mac, port in request.ports.items()}
    for mac in given.keys() - {nic.mac for nic in machine.nics}:
        concerns.append(PORT_FOR_NO_ADAPTER(mac, f"{machine.name} has no network adapter with the MAC {mac}."))
    concerns.extend(unused_rules(machine, request))
    landings = [
        _land_on_port(nic, given[nic.mac], request, facts, concerns)
        if nic.mac in given
        else _land_on_network(machine, nic, request, facts, concerns)
        for nic in machine.nics
    ]
    return tuple(landing for landing in landings if landing is not None)


def _land_on_port(
    nic: Nic, port_id: str, request: MigrationRequest, facts: TargetFacts, concerns: list[Concern]
) -> NicLanding | None:
    port = facts.ports.get(port_id)
    if port is None:
        concerns.append(PORT_NOT_FOUND(port_id, f"The target has no port {port_id}, named for {nic.label}."))
        return None
    if port.in_use:
        concerns.append(PORT_IN_USE(port_id, f"Port {port_id}, named for {nic.label}, is in use already."))
    if port.mac != nic.mac:
        concerns.append(
            PORT_OTHER_MAC(port_id, f"Port {port_id} has the MAC {port.mac}, and {nic.label} has {nic.mac}.")
        )
    if not nic.connected:
        text = (
            f"{nic.label} is unplugged at the source, and port {port_id}, named for it, is up if its maker left it so."
        )
        concerns.append(ADAPTER_UNPLUGGED(nic.label, text, "See to it that the port is down, if it is to be."))
    # A dry run is no reason to use up the one port that is kept for the machine itself
    kept = None if request.type is MigrationType.DRY_RUN else port.id
    floating = land_floating(nic, request, facts, concerns)
    if kept is not None:
        concerns.extend(port_concerns(nic, port.addresses, request))
    network = next((one for one in facts.networks if one.id == port.network_id), None)
    return NicLanding(
        nic.key,
        port.network_id,
        port.mac,
        port.addresses,
        port_id=kept,
        floating=floating,
        gateways=_gateways(network.subnets if network else ()),
    )


def _gateways(subnets: Iterable[Subnet]) -> dict[str, str]:
    return {subnet.cidr: subnet.gateway for subnet in subnets if subnet.gateway}


def _land_on_network(
    machine: Machine, nic: Nic, request: MigrationRequest, facts: TargetFacts, concerns: list[Concern]
) -> NicLanding | None:
    wanted = network_of(machine, nic, request)
    if wanted is None:
        word = source_names.shown((), source_names.network(machine, nic), source_names.networks_of([machine]))
        concerns.append(
            NETWORK_UNMAPPED(
                nic.network,
                f'Network "{word}" ({nic.label}) has no target.',
                f'Say which one: --network "{word}=TARGET". The target has: {_names(facts.networks)}.',
            )
        )
        return None
    found = find_network(facts.networks, wanted)
    if not found:
        text = f'The target has no network "{wanted}".'
        concerns.append(NETWORK_NOT_FOUND(wanted, text, f"It has: {_names(facts.networks)}."))
        return None
    if len(found) > 1:
        concerns.append(NETWORK_AMBIGUOUS(wanted, f'"{wanted}" can be {list_networks(found)}.'))
        return None
    network = found[0]
    asked_for = subnet_of(machine, nic, request)
    subnets = _subnets(nic, network, asked_for, concerns)
    subnet_id = subnets[0].id if asked_for is not None and subnets else None
    concerns.extend(address_concerns(nic, network, subnets, request))
    wishes = wishes_of(nic, request)
    plugged = wishes.plugged or (nic.connected and not wishes.unplugged)
    if not plugged and not wishes.unplugged:
        text = f"{nic.label} is unplugged at the source, and so it arrives: its port is down."
        concerns.append(ADAPTER_UNPLUGGED(nic.label, text))
    groups = security_groups(nic, request, facts.choices, concerns)
    if groups and not (network.port_security and network.subnets):
        text = f'On network "{network.name}" {nic.label} can have no security group: nothing is filtered there.'
        concerns.append(SECURITY_GROUPS_IMPOSSIBLE(nic.label, text))
        groups = None
    floating = land_floating(nic, request, facts, concerns)
    named = (AllowedAddress(address) for address in request.allowed_addresses)
    # Without port security any address may speak
    pairs = [_as_bound(nic, one, network, request, concerns) for one in nic.allowed_addresses]
    allowed = tuple(dict.fromkeys((*pairs, *named))) if network.port_security else ()
    # A dry run's ports are on a network of their own, or have MACs and addresses of their own
    rehearsed = request.type is MigrationType.DRY_RUN
    landing = NicLanding(
        nic.key,
        network.id,
        None,
        (),
        subnet_id,
        security_groups=groups,
        floating=floating,
        plugged=plugged,
        gateways=_gateways(network.subnets),
    )
    if not network.owned and not rehearsed:
        concerns.append(
            NETWORK_NOT_OWNED(
                network.name,
                f'Network "{network.name}" belongs to another project: a plain member may choose neither MAC nor '
                f"address there, so {nic.label} gets new ones.",
            )
        )
        if allowed:
            addresses_left = ", ".join(one.address for one in allowed)
            text = f'{nic.label} may speak for {addresses_left}; on network "{network.name}" it may not.'
            concerns.append(ALLOWED_ADDRESSES_LEFT(nic.label, text))
        return landing
    concerns.extend(_mac_concerns(nic, network, facts, rehearsed))
    asked = _asked(nic, request)
    taken = frozenset() if request.isolated or (rehearsed and asked is None) else facts.addresses_in_use
    addresses = tuple(_addresses(nic, asked, network, subnets, taken, concerns))
    return replace(
        landing, mac=nic.mac or None, addresses=addresses, allowed_addresses=allowed, chosen=asked is not None
    )


def _as_bound(
    nic: Nic, one: AllowedAddress, network: Network, request: MigrationRequest, concerns: list[Concern]
) -> AllowedAddress:
    """Return an allowed address as its port's binding takes it, where that is accepted."""
    if (
        one.mac in (None, nic.mac)
        or str(one.mac).startswith(_VRRP)
        or not (network.own_macs_only and network.port_security)
    ):
        return one
    text = f'{nic.label} may speak for {one.address} as {one.mac}, which network "{network.name}" may not take.'
    concerns.append(ALLOWED_ADDRESS_MAC(nic.label, text))
    return replace(one, mac=None) if ALLOWED_ADDRESS_MAC.code in request.accept else one


def _asked(nic: Nic, request: MigrationRequest) -> tuple[str, ...] | None:
    """Return addresses that aren't those of the source; none at all for an adapter that is to ask by DHCP. None:
    nothing was asked."""
    wanted = wanted_addresses(request)
    given = wanted.of(nic)
    if isinstance(given, Addressing):
        return given.addresses
    return () if given is not None else wanted.moved(nic)


def _subnets(nic: Nic, network: Network, wanted: str | None, concerns: list[Concern]) -> tuple[Subnet, ...]:
    """Return the subnets in which the adapter may have its addresses."""
    if not network.subnets:
        text = f'Network "{network.name}" has no subnet: {nic.label} gets no address on the target.'
        concerns.append(NETWORK_WITHOUT_SUBNET(network.name, text))
    if wanted is None:
        return network.subnets
    found = tuple(subnet for subnet in network.subnets if wanted in (subnet.id, subnet.name, subnet.cidr))
    if not found:
        has = ", ".join(f"{subnet.name} ({subnet.cidr})" for subnet in network.subnets) or "none"
        text = f'Network "{network.name}" of the target has no subnet "{wanted}".'
        concerns.append(SUBNET_NOT_FOUND(wanted, text, f"It has: {has}."))
    elif len(found) > 1:
        has = ", ".join(f"{subnet.name or subnet.cidr} ({subnet.id})" for subnet in found)
        text = f'"{wanted}" can be several subnets of network "{network.name}": {has}.'
        concerns.append(SUBNET_AMBIGUOUS(wanted, text))
    return found


def _mac_concerns(nic: Nic, network: Network, facts: TargetFacts, rehearsed: bool) -> Iterator[Concern]:
    if not nic.mac:
        yield MAC_MISSING(nic.label, f"{nic.label} has no MAC that the source tells: the target gives it one.")
    elif int(nic.mac[:2], 16) & 1:
        yield MAC_MULTICAST(nic.mac, f"MAC {nic.mac} of {nic.label} is a multicast address.")
    elif (network.id, nic.mac) in facts.macs_in_use and not rehearsed:
        yield MAC_IN_USE(nic.mac, f'MAC {nic.mac} of {nic.label} is in use on network "{network.name}" already.')


def _addresses(  # noqa: PLR0917
    nic: Nic,
    asked: tuple[str, ...] | None,
    network: Network,
    subnets: tuple[Subnet, ...],
    taken: frozenset[tuple[str, str]],
    concerns: list[Concern],
) -> Iterator[str]:
    """Yield the addresses that a port can have: those that are `asked` for, anywhere on the network, else the
    guest's."""
    for text in nic.addresses if asked is None else asked:
        if ipaddress.ip_address(text).is_link_local:
            continue
        subnet = subnet_with(text, subnets if asked is None else network.subnets)
        if subnet is not None and (refusal := _refusal(nic, subnet, text)) is not None:
            concerns.extend(refusal)
        elif (network.id, text) in taken and (subnet is not None or asked is not None):
            said = f'{text} of {nic.label} is taken on network "{network.name}".'
            concerns.append(ADDRESS_IN_USE(text, said))
        elif subnet is not None:
            yield text
        elif text in nic.addresses:  # one that is asked for, and in no subnet, is told by `address_concerns`
            mapped = asked is None and subnets != network.subnets
            where = "isn't in the subnet it is mapped to" if mapped else f'is in no subnet of "{network.name}"'
            said = f"{text} of {nic.label} {where}: the target gives another address."
            concerns.append(ADDRESS_OUTSIDE_SUBNET(text, said))


def _refusal(nic: Nic, subnet: Subnet, address: str) -> list[Concern] | None:
    """Answer what is to be said where no port can be asked for with this address; None: one can."""
    network = ipaddress.ip_network(subnet.cidr)
    if subnet.automatic:
        if nic.mac and ipaddress.ip_address(address) == _by_mac(network, nic.mac):
            return []  # which it gets
        text = f"{address} of {nic.label} can't be asked for: on {subnet.cidr} each port gets an address by its MAC."
        return [ADDRESS_BY_ITSELF(address, text)]
    outermost = (network.network_address, network.broadcast_address)
    if network.version == 4 and network.prefixlen < 31 and ipaddress.ip_address(address) in outermost:
        return [ADDRESS_OF_NOBODY(address, f"{address} of {nic.label} can't be had by anybody on {subnet.cidr}.")]
    return None


def _by_mac(network: ipaddress.IPv4Network | ipaddress.IPv6Network, mac: str) -> ipaddress.IPv6Address:
    """Return work out the address that SLAAC gives (RFC 4291, appendix A): the MAC with one bit changed, ff:fe amid
    it."""
    octets = bytes.fromhex(mac.replace(":", ""))
    interface = bytes((octets[0] ^ 2,)) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return ipaddress.IPv6Address(int(network.network_address) | int.from_bytes(interface))


def _names(networks: tuple[Network, ...]) -> str:
    return ", ".join(sorted(n.name for n in networks)) or "none"
