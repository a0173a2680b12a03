"""Addresses that a machine's guest is given for its new place, and what becomes of single network adapters."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import ClassVar, Literal, TypeVar

DHCP: Literal["dhcp"] = "dhcp"
T = TypeVar("T")
Words = str | tuple[str, ...]  # one, or several
_MAC = re.compile(r"(?:[0-9a-f]{2}:){5}[0-9a-f]{2}", re.IGNORECASE)


def several(words: Words) -> tuple[str, ...]:
    """Return all of them, however they were written."""
    return (words,) if isinstance(words, str) else tuple(words)


@dataclass(frozen=True, slots=True)
class Route:
    __pydantic_config__: ClassVar = {"extra": "forbid"}

    to: str  # a network: 10.0.0.0/8
    via: str  # an address


@dataclass(frozen=True, slots=True)
class Addressing:
    """The addresses of one adapter from now on. Whatever isn't named here is taken away."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    ipv4: Words = ()  # with prefix length: 198.51.100.7/24
    ipv6: Words = ()
    gateway: Words = ()  # one of each kind of address
    dns: Words = ()
    routes: tuple[Route, ...] = ()

    @property
    def interfaces(self) -> tuple[IPv4Interface | IPv6Interface, ...]:
        """Return its addresses with their prefix lengths, IPv4 first. Raises ValueError for what is no address."""
        return tuple(ip_interface(one) for one in (*several(self.ipv4), *several(self.ipv6)))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return all addresses, without prefix lengths. Raises ValueError for what is no address."""
        return tuple(str(one.ip) for one in self.interfaces)


@dataclass(frozen=True, slots=True)
class AdapterWishes:
    """The changes wanted for one adapter. None: as its network is mapped."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    network: str | None = None  # the target's, by name or id
    subnet: str | None = None  # of that network, by name, id or range
    leave_out: bool = False  # the server gets no such adapter
    unplugged: bool = False  # its port is down
    plugged: bool = False  # its port is up, whether the adapter is plugged in at the source or not


@dataclass(frozen=True, slots=True)
class Renumbering:
    """Networks that became others: whatever is in one of them keeps its host's bits."""

    networks: dict[str, str] = field(default_factory=dict)
    gateways: dict[str, str] = field(default_factory=dict)  # the target's subnets: who leads out of each

    def moved(self, address: str) -> str | None:
        """Return where an address is from now on; None: it is in none of the networks. Raises ValueError for no
        address."""
        old = ip_address(address)
        for before, after in self.networks.items():
            here, there = ip_network(before), ip_network(after)
            if old in here:
                return str(there.network_address + (int(old) - int(here.network_address)))
        return None

    def moved_gateway(self, address: str) -> str | None:
        """Return where a gateway's address is from now on: it is the gateway of its new subnet, if that has one."""
        new = self.moved(address)
        if new is None:
            return None
        found = (gateway for subnet, gateway in self.gateways.items() if ip_address(new) in ip_network(subnet))
        return next(found, new)


@dataclass(frozen=True, slots=True)
class AdapterInGuest:
    """The names by which a guest may know an adapter, and what its interface is to have."""

    mac: str  # by now
    old_mac: str = ""  # where it comes from
    names: tuple[str, ...] = ()  # that its interface may have, the likeliest first
    addresses: tuple[str, ...] = ()  # that it has had
    wanted: Addressing | Literal["dhcp"] | None = None  # None: what it has, renumbered


@dataclass(frozen=True, slots=True)
class NewAddresses:
    """All that is to be written into a guest."""

    adapters: tuple[AdapterInGuest, ...] = ()
    renumbering: Renumbering = field(default_factory=Renumbering)

    def __bool__(self) -> bool:
        return bool(self.renumbering.networks) or any(one.wanted is not None for one in self.adapters)


NOTHING_NEW = NewAddresses()


def addressing_fault(wanted: Addressing) -> tuple[str, str] | None:
    """Return the field and a sentence for the first wish that can't be meant; None when all is well."""
    return next(_faults(wanted), None)


def _faults(wanted: Addressing) -> Iterator[tuple[str, str]]:
    for name, version, like in (("ipv4", 4, "198.51.100.7/24"), ("ipv6", 6, "2001:db8::7/64")):
        for text in several(getattr(wanted, name)):
            if not _is_interface(text, version):
                yield name, f"{text[:60]!r} isn't an address with its prefix length, such as {like}."
    if not several(wanted.ipv4) and not several(wanted.ipv6):
        yield "ipv4", 'There is no address: give "ipv4", "ipv6" or both, or write dhcp in its place.'
    for name in ("gateway", "dns"):
        for text in several(getattr(wanted, name)):
            if not is_address(text):
                yield name, f"{text[:60]!r} isn't an address."
    gateways = [ip_address(text).version for text in several(wanted.gateway) if is_address(text)]
    if len(set(gateways)) < len(gateways):
        yield "gateway", "There are two gateways of one kind: name one, and routes for the rest."
    for route in wanted.routes:
        if not _is_network(route.to):
            yield "routes", f"{route.to[:60]!r} isn't a network such as 10.0.0.0/8; the way out is the gateway."
        elif not is_address(route.via) or ip_address(route.via).version != ip_network(route.to).version:
            yield "routes", f"{route.via[:60]!r} isn't an address through which {route.to} could be reached."
    if several(wanted.ipv4) or several(wanted.ipv6):
        versions = {4} if several(wanted.ipv4) else set()
        versions |= {6} if several(wanted.ipv6) else set()
        for version in gateways:
            if version not in versions:
                yield "gateway", f"There is a gateway for IPv{version}, and no address."


def renumbering_fault(before: str, after: str) -> str | None:
    """Return a sentence when one network can't become the other; None when it can."""
    for text in (before, after):
        if not _is_network(text) or ip_network(text).prefixlen == 0:
            return f"{text[:60]!r} isn't a network such as 192.0.2.0/24."
    if ip_network(before).version != ip_network(after).version:
        return f"{before} and {after} aren't of one kind."
    if ip_network(before).prefixlen != ip_network(after).prefixlen:
        return f"{before} and {after} aren't of one size, so hosts can't keep their part of the address."
    return None


def overlapping(networks: Iterable[str]) -> tuple[str, str] | None:
    """Return two of the networks that have addresses in common. Raises ValueError for no network."""
    known = [(text, ip_network(text)) for text in networks]
    for number, (text, one) in enumerate(known):
        for other_text, other in known[:number]:
            if one.version == other.version and one.overlaps(other):
                return other_text, text
    return None


def is_address(text: str) -> bool:
    return _read(ip_address, text) is not None


def is_mac(text: str) -> bool:
    return _MAC.fullmatch(text) is not None


def _is_interface(text: str, version: int) -> bool:
    one = _read(ip_interface, text) if "/" in text else None
    if one is None or one.version != version:
        return False
    return not (one.ip.is_unspecified or one.ip.is_multicast or one.ip.is_loopback)


def _is_network(text: str) -> bool:
    return "/" in text and _read(ip_network, text) is not None


def _read(read: Callable[[str], T], text: str) -> T | None:
    """Return None for what can't be read, or is of one network card of somebody's."""
    try:
        return None if "%" in text else read(text)
    except ValueError:
        return None
