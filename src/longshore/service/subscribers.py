"""The part of an address that tells one subscriber of a network from others."""

from ipaddress import IPv6Address


def network_of(address: str) -> str:
    """Return an address, or of IPv6 its first half, which is what a single subscriber is given. What is no address is
    returned as it is."""
    if ":" not in address:
        return address
    try:
        found = IPv6Address(address)
    except ValueError:
        return address
    return str(found.ipv4_mapped or found.packed[:8])
