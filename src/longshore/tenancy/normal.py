"""Forms in which two values that mean the same are the same."""

import ipaddress
from collections.abc import Mapping
from typing import Any


def lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def one_address(value: Any) -> Any:
    """2001:DB8:0::1 and 2001:db8::1 are the same address."""
    try:
        return str(ipaddress.ip_address(value)) if isinstance(value, str) else value
    except ValueError:
        return value


def provider(value: Any) -> Any:
    """Bring a load balancer's provider to one form: Octavia's own is called by two names."""
    return "amphora" if value == "octavia" else value


def stripped(value: Any) -> Any:
    return value.strip() if isinstance(value, str) else value


def one_prefix(value: Any) -> Any:
    """10.0.0.7/24 and 10.0.0.0/24 select the same addresses, and so do 10.0.0.7 and 10.0.0.7/32."""
    try:
        return str(ipaddress.ip_network(value, strict=False)) if isinstance(value, str) else value
    except ValueError:
        return value


def merged_prefixes(value: Any) -> Any:
    """Merge prefixes that are neighbours, or within each other, as the network service keeps those of a subnet pool."""
    try:
        networks: Any = map(ipaddress.ip_network, value)  # of one IP version, or it raises TypeError
        return sorted(map(str, ipaddress.collapse_addresses(networks)))
    except (TypeError, ValueError):
        return value


def remote_prefix(value: Any) -> Any:
    """Bring a rule's prefix to one form: for the network service one of all addresses is the same as none."""
    prefix = one_prefix(value)
    return None if prefix in ("0.0.0.0/0", "::/0") else prefix


# The network service takes a number for its name and keeps what was given
PROTOCOLS = {
    "0": "ip",
    "1": "icmp",
    "2": "igmp",
    "4": "ipip",
    "6": "tcp",
    "8": "egp",
    "17": "udp",
    "33": "dccp",
    "41": "ipv6-encap",
    "43": "ipv6-route",
    "44": "ipv6-frag",
    "46": "rsvp",
    "47": "gre",
    "50": "esp",
    "51": "ah",
    "58": "ipv6-icmp",
    "59": "ipv6-nonxt",
    "60": "ipv6-opts",
    "89": "ospf",
    "112": "vrrp",
    "113": "pgm",
    "132": "sctp",
    "136": "udplite",
    "icmpv6": "ipv6-icmp",
}


def protocol(value: Any) -> Any:
    """Bring a rule's protocol to one form: by name, in lower case."""
    return PROTOCOLS.get(value.lower(), value.lower()) if isinstance(value, str) else value


def ether_type(value: Any) -> Any:
    return "IPv4" if value is None else value


def texts(value: Any) -> Any:
    """Return a mapping of a service that keeps texts only: people write numbers and truth values."""
    if not isinstance(value, dict):
        return value
    return {name: each if each is None else text(each) for name, each in value.items()}


def said(value: Mapping[str, Any]) -> dict[str, str]:
    """Return the same without what is null, and so isn't said."""
    return {name: text(each) for name, each in value.items() if each is not None}


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# What the image service and openstacksdk write among an image's properties by themselves
_NOT_PROPERTIES = ("self", "stores", "direct_url", "locations")
_NOT_PREFIXES = ("os_glance_", "owner_specified.openstack.")


def own_properties(value: Any) -> Any:
    """Return those of an image's properties that somebody has set, as text, which is all that the service keeps."""
    if not isinstance(value, dict):
        return value
    names = (name for name in value if name not in _NOT_PROPERTIES and not str(name).startswith(_NOT_PREFIXES))
    return texts({name: value[name] for name in names})


def qos_rules(value: Any) -> Any:
    """Bring rules to one form: without what the network service fills in where nobody says anything."""
    if not isinstance(value, list):
        return value
    filled_in = {"direction": "egress", "max_burst_kbps": 0, "max_burst_kpps": 0}
    return by_text([{k: v for k, v in rule.items() if v is not None and filled_in.get(k) != v} for rule in value])


def by_start(value: Any) -> Any:
    """Sort allocation pools in OS-Migrate's order, which compares files with the cloud as they are."""
    if not isinstance(value, list):
        return value
    return sorted(value, key=lambda pool: (str(pool.get("start")), str(pool.get("end"))))


def by_text(value: Any) -> Any:
    """Sort a list of texts or mappings, so that the order doesn't depend on where they come from."""
    if not isinstance(value, list):
        return value
    return sorted(value, key=lambda each: repr(sorted(each.items())) if isinstance(each, dict) else repr(each))


def still(value: Any) -> Any:
    """Return the same as something that can be the key of a mapping."""
    if isinstance(value, Mapping):
        return tuple((key, still(value[key])) for key in sorted(value, key=str) if value[key] is not None)
    return tuple(map(still, value)) if isinstance(value, list | tuple) else value
