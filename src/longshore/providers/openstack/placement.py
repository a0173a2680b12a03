"""What the cloud offers the project: networks, flavors, volume types, and what its quota still allows.

Everything is asked as a plain member may ask it, through the services' own APIs.
"""

from collections.abc import Collection, Iterator
from typing import Any

from openstack import exceptions as sdk

from longshore.model.target import Flavor, Network, QuotaRoom, Subnet, Taken
from longshore.providers.openstack.faults import explained

QUESTIONS = 100  # MACs or addresses asked for at once: a request line has its limits


class Placement:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def networks(self) -> list[Network]:
        """Networks a server of this project can be put on, by name."""
        with explained("list networks"):
            project = self._connection.current_project_id
            subnets: dict[str, list[Subnet]] = {}
            for subnet in self._connection.network.subnets():
                subnets.setdefault(subnet.network_id, []).append(
                    Subnet(id=subnet.id, cidr=subnet.cidr, allows_dhcp=bool(subnet.is_dhcp_enabled))
                )
            found = [
                Network(
                    id=network.id,
                    name=network.name,
                    shared=bool(network.is_shared),
                    owned=network.project_id == project,
                    subnets=tuple(subnets.get(network.id, ())),
                )
                for network in self._connection.network.networks()
                # An external network is listed for its floating addresses; only its owner can put servers on it
                if network.project_id == project or network.is_shared or not network.is_router_external
            ]
        return sorted(found, key=lambda network: network.name)

    def volume_types(self) -> list[str]:
        with explained("list volume types"):
            return sorted(found.name for found in self._connection.block_storage.types())

    def flavors(self) -> list[Flavor]:
        """Smallest first."""
        with explained("list flavors"):
            found = [
                Flavor(id=flavor.id, name=flavor.name, cpus=flavor.vcpus, memory_mib=flavor.ram, disk_gib=flavor.disk)
                for flavor in self._connection.compute.flavors(details=True)
                if not flavor.is_disabled
            ]
        return sorted(found, key=lambda flavor: (flavor.memory_mib, flavor.cpus, flavor.disk_gib, flavor.name))

    def quota_room(self) -> QuotaRoom:
        with explained("read the project's quota"):
            compute = self._connection.compute.get_limits().absolute
            storage = self._connection.block_storage.get_limits().absolute
            ports = self._ports_room()
        return QuotaRoom(
            instances=_room(compute.instances, compute.instances_used),
            cores=_room(compute.total_cores, compute.total_cores_used),
            memory_mib=_room(compute.total_ram, compute.total_ram_used),
            volumes=_room(storage.max_total_volumes, storage.total_volumes_used),
            gigabytes=_room(storage.max_total_volume_gigabytes, storage.total_gigabytes_used),
            snapshots=_room(storage.max_total_snapshots, storage.total_snapshots_used),
            ports=ports,
        )

    def _ports_room(self) -> int | None:
        project = self._connection.current_project_id
        try:
            details = self._connection.network.get_quota(project, details=True).ports
        except (sdk.ForbiddenException, sdk.NotFoundException):
            # Not every Neutron tells a member the counts; its refusal then comes when the port is made
            return None
        return _room(details["limit"], int(details["used"]) + int(details.get("reserved", 0)))

    def taken(self, network_id: str, macs: Collection[str], addresses: Collection[str]) -> Taken:
        """Of a network of another project we see our own ports only."""
        wanted_macs, wanted_addresses = set(macs), set(addresses)
        found_macs: set[str] = set()
        found_addresses: set[str] = set()
        filters = [
            *({"mac_address": some} for some in _batches(macs)),
            *({"fixed_ips": [f"ip_address={one}" for one in some]} for some in _batches(addresses)),
        ]
        with explained("look for MACs and addresses that are in use"):
            for some in filters:
                for port in self._connection.network.ports(network_id=network_id, **some):
                    found_macs.add(port.mac_address)
                    found_addresses.update(fixed["ip_address"] for fixed in port.fixed_ips)
        return Taken(frozenset(found_macs & wanted_macs), frozenset(found_addresses & wanted_addresses))


def _batches(values: Collection[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), QUESTIONS):
        yield ordered[start : start + QUESTIONS]


def _room(limit: int, used: int) -> int | None:
    """OpenStack writes "unlimited" as -1. A quota made smaller than what is used leaves no room, not less than none."""
    return None if limit < 0 else max(0, limit - used)
