"""Limits of where may be connected to, and written to, in the name of somebody who isn't trusted with this machine."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

# Metadata services that aren't on a link's own addresses: Azure's, Alibaba's, Oracle's, Amazon's and Google's by IPv6
_METADATA = ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
_TRANSLATED = ip_network("64:ff9b::/96")  # NAT64: the last four bytes are the address that is meant


@dataclass(frozen=True, slots=True)
class Reach:
    """Networks are addresses or CIDRs. Without a word of the operator's: everything but what is this machine's own, or
    on its links alone, as clouds' metadata services are."""

    allowed: tuple[str, ...] = ()  # also where it would be refused otherwise
    refused: tuple[str, ...] = ()  # besides
    trusted: tuple[str, ...] = field(default=(), repr=False)  # auth_urls of clouds that the operator vouches for
    whose: str = ""  # the project in whose name it is
    scratch: str = ""  # directory of this machine for what is unpacked in that name

    def permits(self, address: str) -> bool:
        """Tell whether an address may be connected to. `address`: never a name; what is none is not permitted."""
        try:
            meant = _find_ipv4(ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if _among(meant, self.allowed):
            return True
        own = meant.is_loopback or meant.is_link_local or meant.is_unspecified or meant.is_multicast
        return not (own or meant.is_reserved or _among(meant, (*_METADATA, *self.refused)))

    def trusts(self, auth_url: str) -> bool:
        return any(same_keystone(known, auth_url) for known in self.trusted)

    def limits(self, project_id: str, settings: Mapping[str, Any]) -> "Reach | None":
        """Return the limits for a provider of this project with these settings; None: nothing is refused.

        Without a project it is of whoever runs this machine. Whom the operator vouches for may name any address.
        """
        auth = settings.get("auth")
        url = auth.get("auth_url") if isinstance(auth, Mapping) else None
        return None if not project_id or (isinstance(url, str) and self.trusts(url)) else self

    def for_servers_of(self, project_id: str) -> "Reach | None":
        """Return the limits for addresses that a project's servers have; None: nothing is refused. Projects choose them
        themselves, also in a cloud that the operator vouches for."""
        return self if project_id else None


def same_keystone(known: str, url: str) -> bool:
    """Tell whether two addresses are of one Keystone, with or without the version and a slash at the end."""
    return re.sub(r"/+(v3)?/*$", "", known) == re.sub(r"/+(v3)?/*$", "", url)


def _among(address: IPv4Address | IPv6Address, networks: tuple[str, ...]) -> bool:
    return any(address in ip_network(network) for network in networks)


def _find_ipv4(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address to which one of IPv6 leads, or else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _TRANSLATED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
