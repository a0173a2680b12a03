"""New addresses of a machine's adapters on the target that they didn't have at the source, and which adapters go.

What is asked for is checked against the target's subnets while the machine still runs: the port that is made has the
addresses that are written into the guest.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_network
from typing import Literal

from longshore.model import source_names
from longshore.model.addresses import (
    NOTHING_NEW,
    AdapterInGuest,
    AdapterWishes,
    Addressing,
    NewAddresses,
    Renumbering,
    several,
)
from longshore.model.concern import Concern
from longshore.model.guest import GuestFindings
from longshore.model.machine import Machine, Nic
from longshore.model.request import LandingMode, MigrationRequest
from longshore.model.target import Network, Subnet
from longshore.planning.kinds import blocker, warning

ADAPTER_UNKNOWN = blocker(
    "adapter-unknown",
    "Addresses are given, or something else is asked, for a MAC that the machine doesn't have.",
    "Correct the MAC.",
)
NEW_ADDRESS_OUTSIDE = blocker(
    "new-address-outside-subnet",
    "An address that the machine is to be given is in no subnet of the target network, or not in the one named.",
    "Choose one of the subnet, or another network or subnet for the adapter (adapters, --adapter).",
)
NEW_ADDRESS_REFUSED = blocker(
    "new-address-refused",
    "The machine is to be given an address on a network of another project, where a plain member may choose none.",
    "Add the target as a provider with an account that may (an administrator's, or one with a role that the "
    "cloud lets choose: advsvc before 2024.1, service or manager since, by its policy), or have "
    "an administrator make the port (--port MAC=ID).",
)
NEW_ADDRESS_OTHER_PORT = blocker(
    "new-address-other-port",
    "An address that the machine is to be given isn't one of the port that is named for the adapter.",
    "Give it those that the port has, or name another port.",
)
NEW_ADDRESS_OF_GATEWAY = blocker(
    "new-address-of-gateway",
    "An address that the machine is to be given is that of the subnet's gateway.",
    "Choose another one.",
)
GATEWAY_OUTSIDE = blocker(
    "gateway-outside-subnet",
    "A gateway that the machine is to be given, or the next hop of a route, isn't in the network of its address.",
    "Give one that is.",
)
PREFIX_DIFFERS = warning(
    "new-address-other-prefix",
    "An address that the machine is to be given has another prefix length than the target's subnet.",
    "Give it the subnet's, unless that is meant.",
)
NO_DHCP = warning(
    "new-address-no-dhcp",
    "An adapter is to ask for its address by DHCP, and the target's subnet has none.",
    "Switch it on there, or give an address.",
)
GATEWAY_KEPT = warning(
    "readdress-no-gateway",
    "The network that an address moves to has no gateway on the target: the guest's keeps its host's bits there.",
    "Set the subnet's gateway, or give addresses of its own to the machine (addresses).",
)
GUEST_ADDRESSES = blocker(
    "guest-addresses-not-written",
    "A guest is to be given other addresses, and its network configuration isn't one in which they can be written.",
    "Change them in the guest afterwards and accept this, or leave them out. Where the guest asks by DHCP, the port's "
    "address is enough.",
    acceptable=True,
)
READDRESS_UNUSED = warning(
    "readdress-unused",
    "A network is to become another one, and no address that the source tells of the machine is in it.",
    "Correct the network. What is in the guest's own configuration is changed all the same.",
)


@dataclass(frozen=True, slots=True)
class WantedAddresses:
    """The addresses that one start of a migration is about: those of a rehearsal are others."""

    addresses: dict[str, Addressing | Literal["dhcp"]] = field(default_factory=dict)  # by MACs in lower case
    networks: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.addresses or self.networks)

    def of(self, nic: Nic) -> Addressing | Literal["dhcp"] | None:
        return self.addresses.get(nic.mac)

    def moved(self, nic: Nic) -> tuple[str, ...] | None:
        """Return its addresses by the rules; None: they hold for none of them."""
        if nic.mac in self.addresses or not self.networks:
            return None
        rules = Renumbering(self.networks)
        found = [rules.moved(one) or one for one in nic.addresses]
        return None if found == list(nic.addresses) else tuple(found)


def wanted_addresses(request: MigrationRequest) -> WantedAddresses:
    """A dry run or test has addresses of its own. Without any it has those of the machine on networks that lead
    nowhere, and beside the machine those that the target gives it."""
    addresses, networks = request.addresses, request.readdress
    if request.type.rehearses:
        if request.test_addresses or request.test_readdress:
            addresses, networks = request.test_addresses, request.test_readdress
        elif not request.isolated:
            addresses, networks = {}, {}
    return WantedAddresses({mac.lower(): one for mac, one in addresses.items()}, dict(networks))


def wishes_of(nic: Nic, request: MigrationRequest) -> AdapterWishes:
    return next((one for mac, one in request.adapters.items() if mac.lower() == nic.mac), AdapterWishes())


def network_of(machine: Machine, nic: Nic, request: MigrationRequest) -> str | None:
    """Name or id of the target's network that it comes to; None: nothing says."""
    return wishes_of(nic, request).network or source_names.mapped(request.networks, source_names.network(machine, nic))


def subnet_of(machine: Machine, nic: Nic, request: MigrationRequest) -> str | None:
    """Return the subnet that is named for an adapter. One that is named for its network doesn't hold where it comes to
    another network."""
    wishes = wishes_of(nic, request)
    if wishes.subnet or wishes.network:
        return wishes.subnet
    return source_names.mapped(request.subnets, source_names.network(machine, nic))


def with_chosen_adapters(machine: Machine, request: MigrationRequest) -> Machine:
    """Return the machine without the adapters that are left out."""
    kept = tuple(nic for nic in machine.nics if not wishes_of(nic, request).leave_out)
    return machine if kept == machine.nics else replace(machine, nics=kept)


def with_mapped_adapters(machine: Machine, request: MigrationRequest) -> Machine:
    """Return the machine without the adapters that are told by their MACs where they land."""
    by_mac = {mac.lower() for mac in request.ports}
    return replace(
        machine,
        nics=tuple(nic for nic in machine.nics if nic.mac not in by_mac and not wishes_of(nic, request).network),
    )


def addresses_to_ask(nic: Nic, request: MigrationRequest) -> set[str]:
    """Return the addresses of which has to be known whether others have them."""
    wanted = wanted_addresses(request)
    given = wanted.of(nic)
    if isinstance(given, Addressing):
        return set(given.addresses)
    return {*nic.addresses, *(wanted.moved(nic) or ())}


def unknown_adapters(machine: Machine, request: MigrationRequest) -> Iterator[Concern]:
    there = {nic.mac for nic in machine.nics}
    asked = (*request.adapters, *request.addresses, *request.test_addresses)
    for mac in dict.fromkeys(mac.lower() for mac in asked):
        if mac not in there:
            yield ADAPTER_UNKNOWN(mac, f"{machine.name} has no network adapter with the MAC {mac}.")


def unused_rules(machine: Machine, request: MigrationRequest) -> Iterator[Concern]:
    told = [ip_address(address) for nic in machine.nics for address in nic.addresses]
    for before, after in wanted_addresses(request).networks.items():
        if told and not any(one in ip_network(before) for one in told):
            yield READDRESS_UNUSED(before, f"No address of {machine.name} is in {before}, which becomes {after}.")


def address_concerns(
    nic: Nic, network: Network, subnets: tuple[Subnet, ...], request: MigrationRequest
) -> Iterator[Concern]:
    """Yield what stands against giving this adapter what is asked for it on that network."""
    wanted = wanted_addresses(request)
    given, moved = wanted.of(nic), wanted.moved(nic)
    if not network.owned and (isinstance(given, Addressing) or moved):
        yield NEW_ADDRESS_REFUSED(
            network.name,
            f'{nic.label} is to have an address of its own on network "{network.name}", which belongs to another '
            "project: a plain member may choose none there.",
        )
        return
    if isinstance(given, Addressing):
        yield from _of_given(nic, network, subnets, given)
    elif given is not None and subnets and not any(subnet.allows_dhcp for subnet in subnets):
        yield NO_DHCP(nic.label, f'{nic.label} is to ask by DHCP, and network "{network.name}" has none.')
    for old, new in zip(nic.addresses, moved or (), strict=False):
        if old == new:
            continue
        subnet = subnet_with(new, subnets)
        if subnet is None:
            yield _outside(nic, network, new)
        elif subnet.gateway == new:
            yield NEW_ADDRESS_OF_GATEWAY(new, f"{new}, which {nic.label} is to have, is the gateway of {subnet.cidr}.")
        elif not subnet.gateway:
            yield GATEWAY_KEPT(subnet.cidr, f"{subnet.cidr}, to which {old} of {nic.label} moves, has no gateway.")


def _of_given(nic: Nic, network: Network, subnets: tuple[Subnet, ...], given: Addressing) -> Iterator[Concern]:
    for one in given.interfaces:
        address, subnet = str(one.ip), subnet_with(str(one.ip), subnets)
        if subnet is None:
            yield _outside(nic, network, address)
            continue
        if subnet.gateway == address:
            text = f"{address}, which {nic.label} is to have, is the gateway of {subnet.cidr}."
            yield NEW_ADDRESS_OF_GATEWAY(address, text)
        if one.network.prefixlen != ip_network(subnet.cidr).prefixlen:
            yield PREFIX_DIFFERS(address, f"{one} of {nic.label} is in the target's subnet {subnet.cidr}.")
    for hop in (*several(given.gateway), *(route.via for route in given.routes)):
        if not _reaches(hop, given.interfaces):
            text = f"{hop}, through which {nic.label} is to send, isn't in the network of one of its addresses."
            yield GATEWAY_OUTSIDE(hop, text)


def _reaches(hop: str, interfaces: tuple[IPv4Interface | IPv6Interface, ...]) -> bool:
    return ip_address(hop).is_link_local or any(ip_address(hop) in one.network for one in interfaces)


def _outside(nic: Nic, network: Network, address: str) -> Concern:
    has = ", ".join(subnet.cidr for subnet in network.subnets) or "none"
    text = f'{address}, which {nic.label} is to have, is in no subnet of "{network.name}" that it may use.'
    return NEW_ADDRESS_OUTSIDE(address, text, f"{NEW_ADDRESS_OUTSIDE.advice} It has: {has}.")


def subnet_with(address: str, subnets: Iterable[Subnet]) -> Subnet | None:
    return next((subnet for subnet in subnets if ip_address(address) in ip_network(subnet.cidr)), None)


def port_concerns(nic: Nic, has: tuple[str, ...], request: MigrationRequest) -> Iterator[Concern]:
    """Yield what stands against a port that is there already: it has its addresses, and the guest may have no
    others."""
    wanted = wanted_addresses(request)
    given = wanted.of(nic)
    asked = given.addresses if isinstance(given, Addressing) else wanted.moved(nic) or ()
    for address in asked:
        if address not in has:
            text = f"{address} is to be an address of {nic.label}, and its port has {', '.join(has) or 'none'}."
            yield NEW_ADDRESS_OTHER_PORT(address, text)


def new_addresses(
    adapters: Sequence[AdapterInGuest], request: MigrationRequest, gateways: dict[str, str]
) -> NewAddresses:
    """Return what is written into the guest with these adapters. `gateways`: of the subnets on the target."""
    wanted = wanted_addresses(request)
    given = tuple(replace(one, wanted=wanted.addresses.get(one.old_mac)) for one in adapters)
    return NewAddresses(given, Renumbering(wanted.networks, gateways)) if wanted else NOTHING_NEW


def changes_guest(request: MigrationRequest) -> bool:
    """Tell whether anything on the guest's disks is to be changed, and they are looked into for that beforehand."""
    return request.landing is not LandingMode.UNCHANGED or bool(wanted_addresses(request))


def guest_concerns(machine: Machine, findings: GuestFindings, request: MigrationRequest) -> Iterator[Concern]:
    """Yield what on its disks stands against writing what is asked for; `request.landing` is settled."""
    wanted = wanted_addresses(request)
    asked = [nic for nic in machine.nics if wanted.of(nic) is not None or wanted.moved(nic) is not None]
    family = findings.systems[0].family if len(findings.systems) == 1 else ""
    for nic in asked:
        given, why = wanted.of(nic), ""
        if not findings.inspected:
            why = f"{findings.why_not or 'its disks could not be looked into'}"
        elif family == "windows" and request.landing is not LandingMode.CONVERT:
            why = "Windows is given addresses by its conversion only"
        elif family == "windows" and isinstance(given, Addressing) and (given.ipv6 or given.routes):
            why = "Windows is given addresses of IPv4 and a gateway only, no routes and no IPv6"
        elif family not in ("linux", "windows"):
            why = "only Linux and Windows are known here"
        else:
            why = findings.unaddressable.get(nic.mac, "")
        if why:
            text = f"Addresses can't be written into {machine.name} for {nic.label} ({nic.mac}): {why.rstrip('.')}."
            yield GUEST_ADDRESSES(nic.mac, text)
