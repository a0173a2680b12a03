"""Subnets that get into each other's way, and addresses that lie outside of theirs."""

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from longshore.tenancy.documents import Resource
from longshore.tenancy.faults import FileFault
from longshore.tenancy.kind import AUTH

Net = IPv4Network | IPv6Network
_Name = tuple[Any, Any]  # of a network or subnet: name and project


def address_faults(resources: Iterable[Resource]) -> Iterator[FileFault]:
    """Yield faults of addresses. The resources have to be sound."""
    subnets, routers = [], []
    ends: list[tuple[Resource, str, Mapping[str, Any]]] = []  # with the field that says where it is, and what it says
    for resource in resources:
        if resource.kind.name == "subnet":
            subnets.append((resource, ipaddress.ip_network(resource.params["cidr"])))
        elif resource.kind.name in ("router interface", "port"):
            ends.append((resource, "fixed_ips_refs", resource.params))
        elif resource.kind.name == "server":
            parts = (port.get("params") or {} for port in resource.params.get("ports") or ())
            ends += [(resource, "ports", params) for params in parts if params.get("network_ref")]
        elif resource.kind.name == "router":
            routers.append(resource)
    by_network: dict[_Name, list[tuple[Resource, Net]]] = defaultdict(list)
    for subnet, net in subnets:
        yield from _inside(subnet, net)
        by_network[_network(subnet)].append((subnet, net))
    for (network, _), there in by_network.items():
        yield from _overlaps(there, f"the network {network}")
    by_name: dict[tuple[_Name, Any], tuple[Resource, Net]] = {
        (_network(subnet), subnet.params["name"]): (subnet, net) for subnet, net in subnets
    }
    by_router: dict[_Name, dict[int, tuple[Resource, Net]]] = defaultdict(dict)
    for resource, where, params in ends:
        for ip in params.get("fixed_ips_refs") or ():
            subnet_ref = ip.get("subnet_ref") or {}
            found = by_name.get((_named(params["network_ref"]), subnet_ref.get("name")))
            if found is None:
                continue
            if resource.kind.name == "router interface":
                by_router[_named(resource.params["device_ref"])][id(found[0])] = found
            address = ip.get("ip_address")
            if address and ipaddress.ip_address(address) not in found[1]:
                yield FileFault(
                    resource.line(where),
                    f"The address {address} isn't in {found[1]}, the CIDR of subnet {found[0].name}.",
                )
    for router in routers:
        reached = by_router.get((router.params["name"], AUTH), {})
        yield from _routes(router, [net for _, net in reached.values()])
    for (name, _), reached in by_router.items():
        yield from _overlaps(list(reached.values()), f"the router {name}", across=True)


def _inside(subnet: Resource, net: Net) -> Iterator[FileFault]:
    version = subnet.params["ip_version"]
    if version != net.version:
        yield FileFault(subnet.line("ip_version"), f"ip_version is {version}, but {net} is IPv{net.version}.")
    for pool in subnet.params.get("allocation_pools") or ():
        start, end = (ipaddress.ip_address(pool[part]) if pool.get(part) else None for part in ("start", "end"))
        for address in (start, end):
            if address is None or address not in net:
                shown = "An end of an allocation pool" if address is None else f"{address} of an allocation pool"
                said = "is missing" if address is None else f"isn't in {net}, the CIDR of subnet {subnet.name}"
                yield FileFault(subnet.line("allocation_pools"), f"{shown} {said}.")
        if start and end and start.version == end.version and int(start) > int(end):
            yield FileFault(
                subnet.line("allocation_pools"), f"The allocation pool from {start} to {end} is upside down."
            )
    gateway = subnet.params.get("gateway_ip")
    if gateway and ipaddress.ip_address(gateway) not in net:
        yield FileFault(
            subnet.line("gateway_ip"),
            f"The gateway {gateway} isn't in {net}, the CIDR of subnet {subnet.name}; few networks are meant so.",
            warning=True,
        )


def _routes(router: Resource, reached: list[Net]) -> Iterator[FileFault]:
    """A router can only send to neighbours: on its interfaces, or on the network outside, which isn't known."""
    outside = router.params.get("external_gateway_refinfo") is not None
    for route in router.params.get("routes") or ():
        hop = route.get("nexthop")
        if reached and hop and not any(ipaddress.ip_address(hop) in net for net in reached):
            yield FileFault(
                router.line("routes"),
                f"The next hop {hop} isn't in any subnet that router {router.name} has an interface in.",
                warning=outside,
            )


def _overlaps(subnets: list[tuple[Resource, Net]], where: str, *, across: bool = False) -> Iterator[FileFault]:
    """Yield overlaps among the subnets of one place. Sorted, only neighbours can overlap: a pair for each that begins
    too early."""
    ordered = sorted(subnets, key=lambda each: (each[1].version, int(each[1].network_address), each[1].prefixlen))
    widest: tuple[Resource, Net] | None = None
    for subnet, net in ordered:
        # Two subnets of one network are told of with that network
        apart = not across or widest is None or _network(widest[0]) != _network(subnet)
        if widest is not None and apart and widest[1].version == net.version and widest[1].overlaps(net):
            yield FileFault(
                subnet.line("cidr"),
                f"{net} of subnet {subnet.name} overlaps {widest[1]} of subnet {widest[0].name} "
                f"({widest[0].line('cidr')}) on {where}.",
            )
        if (
            widest is None
            or widest[1].version != net.version
            or int(net.broadcast_address) > int(widest[1].broadcast_address)
        ):
            widest = (subnet, net)


def _network(subnet: Resource) -> _Name:
    return _named(subnet.params["network_ref"])


def _named(ref: Mapping[str, Any]) -> _Name:
    return ref["name"], ref.get("project_name")
