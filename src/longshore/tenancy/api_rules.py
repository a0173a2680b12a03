"""Limits of the APIs though each field by itself is right: fields of one resource that don't go together."""

import ipaddress
from collections.abc import Callable, Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address
from itertools import pairwise
from typing import Any

from longshore.tenancy import normal
from longshore.tenancy.documents import Resource
from longshore.tenancy.faults import FileFault
from longshore.tenancy.kinds.network import QOS_RULES

Params = Mapping[str, Any]
Wrong = Iterator[tuple[str, str]]  # a field, and a sentence about it

_WITH_PORTS = ("tcp", "udp", "sctp", "dccp", "udplite")
_ICMP = ("icmp", "ipv6-icmp")
_OF_IPV6 = (
    "ipv6-icmp",
    "ipv6-encap",
    "ipv6-frag",
    "ipv6-nonxt",
    "ipv6-opts",
    "ipv6-route",
)
_AUTOMATIC = ("slaac", "dhcpv6-stateless")


def limit_faults(resource: Resource) -> Iterator[FileFault]:
    """Yield what the API would refuse of a resource whose fields are sound."""
    find = _BY_KIND.get(resource.kind.name)
    for field, sentence in find(resource.params) if find else ():
        yield FileFault(resource.line(field), sentence)


def _rule(params: Params) -> Wrong:
    low, high = params.get("port_range_min"), params.get("port_range_max")
    named, version = normal.protocol(params.get("protocol")), normal.ether_type(params.get("ether_type"))
    if named == "icmp" and version == "IPv6":
        named = "ipv6-icmp"
    if (low, high) != (None, None):
        if named is None:
            yield "port_range_min", "A rule with ports needs a protocol."
        elif named in _WITH_PORTS:
            if low is None or high is None or not 0 < low <= high:
                yield "port_range_min", f"The ports from {low} to {high} aren't a range within 1 to 65535."
        elif named in _ICMP:
            if (low or 0) > 255 or (high or 0) > 255:
                yield "port_range_min", "For ICMP, port_range_min is the type and port_range_max the code: 0 to 255."
            elif low is None:
                yield "port_range_max", "For ICMP, a code (port_range_max) needs a type (port_range_min)."
        else:
            yield "port_range_min", f"A rule for the protocol {named} can't have ports."
    if named in _OF_IPV6 and version == "IPv4":
        yield "ether_type", f"The protocol {named} is one of IPv6, but ether_type is IPv4."
    remote = params.get("remote_ip_prefix")
    if remote and f"IPv{ipaddress.ip_interface(remote).version}" != version:
        yield "remote_ip_prefix", f"{remote} isn't of {version}, the rule's ether_type."
    remotes = [n for n in ("remote_ip_prefix", "remote_group_ref", "remote_address_group_ref") if params.get(n)]
    if len(remotes) > 1:
        yield remotes[1], f"A rule has one remote: {' or '.join(remotes)}."


def _subnet(params: Params) -> Wrong:
    net, version = ipaddress.ip_network(params["cidr"]), params["ip_version"]
    if net.version != version:
        return  # said elsewhere
    dhcp = params.get("is_dhcp_enabled") is not False
    if dhcp and net.max_prefixlen - net.prefixlen < 2:
        yield "cidr", f"{net} is too small for DHCP: set is_dhcp_enabled to false, or take a larger one."
    if dhcp and (net.is_multicast or net.is_loopback or str(net).startswith("0.0.0.0/")):
        yield "cidr", f"{net} isn't one for DHCP: set is_dhcp_enabled to false, or take another."
    modes = {name: params[name] for name in ("ipv6_address_mode", "ipv6_ra_mode") if params.get(name)}
    for name, mode in modes.items():
        if version == 4:
            yield name, f"{name} is for subnets of IPv6."
        elif not dhcp:
            yield name, f"{name} needs is_dhcp_enabled to be true."
        elif mode in _AUTOMATIC and net.prefixlen != 64:
            yield name, f"{mode} needs a prefix of 64 bits, and {net} has {net.prefixlen}."
    if len(set(modes.values())) > 1:
        yield "ipv6_ra_mode", "ipv6_ra_mode and ipv6_address_mode must be the same if both are set."
    for name, address in _addresses(params):
        if address.version != version:
            yield name, f"{address} in {name} isn't of IPv{version}, as the subnet is."
    for name in ("dns_nameservers", "host_routes"):
        listed = [repr(sorted(x.items())) if isinstance(x, Mapping) else x for x in params.get(name) or ()]
        if len(set(listed)) < len(listed):
            yield name, f"{name} has an entry twice."
    yield from _routes(params, "host_routes")
    yield from _gateway(params, net)


def _addresses(params: Params) -> Iterator[tuple[str, IPv4Address | IPv6Address]]:
    if params.get("gateway_ip"):
        yield "gateway_ip", ipaddress.ip_address(params["gateway_ip"])
    for each in params.get("dns_nameservers") or ():
        yield "dns_nameservers", ipaddress.ip_address(each)
    for route in params.get("host_routes") or ():
        for part in ("destination", "nexthop"):
            if route.get(part):
                yield "host_routes", ipaddress.ip_interface(route[part]).ip


def _gateway(params: Params, net: Any) -> Wrong:
    """Check the gateway against the pools, which it must not be in, and the pools, which must not overlap."""
    gateway = ipaddress.ip_address(params["gateway_ip"]) if params.get("gateway_ip") else None
    outermost = (net.network_address, net.broadcast_address) if net.version == 4 and net.prefixlen < 31 else ()
    if gateway in outermost:
        yield "gateway_ip", f"The gateway {gateway} is the first or last address of {net}, which nobody can have."
    pools = sorted(_pools(params, net.version), key=lambda pool: int(pool[0]))
    for start, end in pools:
        if gateway and gateway.version == net.version and int(start) <= int(gateway) <= int(end):
            yield "allocation_pools", f"The gateway {gateway} is in the allocation pool from {start} to {end}."
    for (_, end), (start, _) in pairwise(pools):
        if int(start) <= int(end):
            yield "allocation_pools", f"Two allocation pools overlap: one ends at {end}, and another begins at {start}."


def _pools(params: Params, version: int) -> Iterator[tuple[IPv4Address | IPv6Address, ...]]:
    """Yield the whole pools of the subnet's own IP version; the others are told of elsewhere."""
    for pool in params.get("allocation_pools") or ():
        ends = tuple(ipaddress.ip_address(pool[end]) for end in ("start", "end") if pool.get(end))
        if len(ends) == 2 and all(end.version == version for end in ends):
            yield ends


def _router(params: Params) -> Wrong:
    gateway = params.get("external_gateway_refinfo")
    if gateway is not None and not gateway.get("network_ref"):
        yield "external_gateway_refinfo", "A gateway needs its network_ref; without a gateway, write null."
    yield from _routes(params, "routes")


def _routes(params: Params, name: str) -> Wrong:
    if not all(route.get("destination") and route.get("nexthop") for route in params.get(name) or ()):
        yield name, f"Each entry of {name} needs destination and nexthop."


def _interface(params: Params) -> Wrong:
    ips = params.get("fixed_ips_refs") or []
    if not ips or not all(ip.get("subnet_ref") for ip in ips):
        yield "fixed_ips_refs", "A router interface needs fixed_ips_refs, each with its subnet_ref."


def _subnet_pool(params: Params) -> Wrong:
    names = [
        f"{which}_prefix_length" for which in ("minimum", "default", "maximum") if params.get(f"{which}_prefix_length")
    ]
    for one, other in pairwise(names):
        if params[one] > params[other]:
            yield one, f"{one} ({params[one]}) is more than {other} ({params[other]})."
    if len({ipaddress.ip_network(prefix).version for prefix in params["prefixes"]}) > 1:
        yield "prefixes", "The prefixes of a subnet pool are all of IPv4 or all of IPv6."


def _key_pair(params: Params) -> Wrong:
    words = params["public_key"].split()
    if params.get("type") == "x509":
        if "BEGIN CERTIFICATE" not in params["public_key"]:
            yield "public_key", "params.public_key isn't a certificate, which a key pair of type x509 has."
    elif len(words) < 2 or not words[0].startswith(("ssh-", "ecdsa-", "sk-")):
        yield "public_key", 'params.public_key isn\'t an SSH public key, such as "ssh-ed25519 AAAA… name".'


def _server_group(params: Params) -> Wrong:
    policies = params["policies"]
    if len(policies) != 1:
        yield "policies", f"A server group has one policy, not {len(policies)}."
    most = (params.get("rules") or {}).get("max_server_per_host")
    if set(params.get("rules") or {}) - {"max_server_per_host"}:
        yield "rules", "max_server_per_host is the only rule that a server group can have."
    elif most is not None and (not str(most).isdecimal() or int(most) < 1):
        yield "rules", "max_server_per_host must be a whole number, at least 1."
    elif most is not None and policies != ["anti-affinity"]:
        yield "rules", "max_server_per_host is for the policy anti-affinity only."


_DSCP = (0, *range(8, 41, 2), 44, 46, 48, 56)


def _qos_policy(params: Params) -> Wrong:
    for rule in params.get("rules") or ():
        needed, *_ = QOS_RULES.get(str(rule.get("type")), (None,))
        if needed is None:
            yield "rules", f"A rule's type must be one of {', '.join(QOS_RULES)}, not {rule.get('type')}."
        elif type(rule.get(needed)) is not int or rule[needed] < 0:  # nor a truth value, which is one for Python
            yield "rules", f"A rule of type {rule['type']} needs {needed}, a whole number of at least 0."
        elif needed == "dscp_mark" and rule[needed] not in _DSCP:
            yield "rules", f"dscp_mark must be one of {', '.join(map(str, _DSCP))}, not {rule[needed]}."


def _share(params: Params) -> Wrong:
    if "target_project_ref" not in params:
        yield "object_ref", "target_project_ref is missing: say with which project it is shared; null is all of them."
    if params["action"] == "access_as_external" and params["object_type"] != "network":
        yield "action", "access_as_external is for networks only."


def _floating_ip(params: Params) -> Wrong:
    if params.get("fixed_ip_address") and not params.get("port_ref"):
        yield "fixed_ip_address", "A fixed_ip_address needs the port (port_ref) that has it."


def _l7_policy(params: Params) -> Wrong:
    needed = {"REDIRECT_PREFIX": "redirect_prefix", "REDIRECT_TO_POOL": "redirect_pool_ref"}
    name = (needed | {"REDIRECT_TO_URL": "redirect_url"}).get(params["action"])
    if name and not params.get(name):
        yield "action", f"The action {params['action']} needs {name}."


_BY_KIND: Mapping[str, Callable[[Params], Wrong]] = {
    "security group rule": _rule,
    "subnet": _subnet,
    "router": _router,
    "router interface": _interface,
    "subnet pool": _subnet_pool,
    "key pair": _key_pair,
    "server group": _server_group,
    "qos policy": _qos_policy,
    "rbac policy": _share,
    "floating ip": _floating_ip,
    "l7 policy": _l7_policy,
}
