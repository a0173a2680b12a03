"""Fixed addresses of a port: which can be asked for, and when two ports count as having the same."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any

from longshore.providers.openstack.placement import is_automatic
from longshore.tenancy.login import CloudLogin

FixedIp = Mapping[str, Any]  # with subnet_id, and ip_address where one is meant


def is_in_automatic(cloud: CloudLogin, subnet_id: str | None) -> bool:
    """Say whether addresses of a subnet come by themselves. No subnet: an address alone, whose subnet Neutron finds."""
    subnet = cloud.subnet(subnet_id) if subnet_id else None
    return subnet is not None and is_automatic(subnet)


def chosen(cloud: CloudLogin, fixed_ips: Iterable[FixedIp]) -> list[FixedIp]:
    """Return those addresses that somebody chose: without the ones that come by themselves."""
    return [ip for ip in fixed_ips if not is_in_automatic(cloud, ip.get("subnet_id"))]


def askable(cloud: CloudLogin, fixed_ips: Iterable[FixedIp]) -> list[FixedIp]:
    """Return the same addresses as Neutron may be asked for: those that come by themselves only by their subnet."""
    return [{"subnet_id": ip["subnet_id"]} if is_in_automatic(cloud, ip.get("subnet_id")) else ip for ip in fixed_ips]


def same_addresses(cloud: CloudLogin, wanted: Iterable[FixedIp], live: Iterable[FixedIp]) -> bool:
    """Tell whether a port has the addresses that are wanted: where only a subnet is, any of that subnet."""
    there = [(ip["subnet_id"], ip.get("ip_address")) for ip in live if not is_in_automatic(cloud, ip["subnet_id"])]
    kept = [ip for ip in wanted if not is_in_automatic(cloud, ip.get("subnet_id"))]
    exact_first = sorted(kept, key=lambda ip: not ip.get("ip_address"))
    for ip in exact_first:
        address = ip.get("ip_address")
        found = next(
            (
                each
                for each in there
                if ip.get("subnet_id") in (None, each[0])
                and (not address or not each[1] or ipaddress.ip_address(address) == ipaddress.ip_address(each[1]))
            ),
            None,
        )
        if found is None:
            return False
        there.remove(found)
    return not there


def told_subnets(cloud: CloudLogin, fixed_ips: Iterable[FixedIp]) -> tuple[str, ...]:
    """Return the subnets that tell a router's interface from its others. Which automatic ones come along is Neutron's
    doing, so they only count where there are no others."""
    listed = list(fixed_ips)
    return tuple(sorted(ip["subnet_id"] for ip in chosen(cloud, listed) or listed))
