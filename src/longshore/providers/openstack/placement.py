"""The offers of the cloud to the project: networks, flavors, volume types, and what its quota still allows.

Everything is asked as a plain member may ask it, through the services' own APIs. What is told to administrators alone
isn't known to others.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

from keystoneauth1 import exceptions as auth
from openstack import exceptions as sdk

from longshore.errors import Conflict, QuotaExceeded
from longshore.model.target import Choices, Flavor, Named, Network, QuotaRoom, Subnet, Taken, VolumeTypeRoom
from longshore.providers.openstack.faults import explained, refused
from longshore.providers.openstack.named import Part
from longshore.providers.openstack.ports import told_port_security

MAY_CHOOSE_ANYWHERE = frozenset({"admin"})  # roles that every Neutron lets choose MACs and addresses on any network
_NOBODYS = ("192.0.2.254", "198.51.100.254", "203.0.113.254")  # addresses in documents' networks (RFC 5737)
_ROUTED_BY_AGENTS = "l3_agent_scheduler"
_FORBIDDEN, _NO_SUCH_ADDRESS = 403, 400
_AUTOMATIC = frozenset({"slaac", "dhcpv6-stateless"})
# Extra specs by which Nova's scheduler leaves hosts out (its documents of flavors and of host aggregates), and values
# with which these don't. Names without a scope are a host's capabilities, or an aggregate's properties
_NARROWING = re.compile(
    r"(?:trait|resources)[\w-]*:|aggregate_instance_extra_specs:|capabilities:|pci_passthrough:alias|"
    r"accel:device_profile|hw:(?:mem_page_size|cpu_policy|cpu_realtime|numa_nodes|mem_encryption|pmem)$|[^:]+$"
)
_WIDE = frozenset({"hw:cpu_policy=shared", "hw:cpu_realtime=no", "hw:mem_page_size=any", "hw:mem_page_size=small"})
QUESTIONS = 100  # MACs, addresses or ids asked for at once: a request line has its limits


class Placement(Part):
    def networks(self) -> list[Network]:
        """Return the networks a server of this project can be put on, by name."""
        with explained("list networks"):
            project = self._connection.current_project_id
            may_all = bool(MAY_CHOOSE_ANYWHERE.intersection(self._roles()))
            # OVN refuses them when a port is bound, or drops what they send; only where agents route it isn't OVN
            extensions = {one.alias for one in self._connection.network.extensions()}
            by_agents = _ROUTED_BY_AGENTS in extensions
            subnets: dict[str, list[Subnet]] = {}
            for subnet in self._connection.network.subnets():
                subnets.setdefault(subnet.network_id, []).append(
                    Subnet(
                        id=subnet.id,
                        cidr=subnet.cidr,
                        allows_dhcp=bool(subnet.is_dhcp_enabled),
                        name=subnet.name or "",
                        gateway=subnet.gateway_ip or "",
                        automatic=is_automatic(subnet),
                    )
                )
            found = [
                Network(
                    id=network.id,
                    name=network.name,
                    shared=bool(network.is_shared),
                    owned=may_all or network.project_id == project,
                    subnets=tuple(subnets.get(network.id, ())),
                    vlan=vlan_of(network),
                    own_macs_only=not by_agents,
                    port_security=told_port_security(network) is not False,
                )
                for network in self._connection.network.networks()
                # An external network is listed for its floating addresses; only its owner can put servers on it
                if network.project_id == project or network.is_shared or not network.is_router_external
            ]
        return sorted(found, key=lambda network: network.name)

    def _roles(self) -> list[str]:
        access = self._connection.session.auth.get_access(self._connection.session)
        return list(access.role_names)

    def volume_types(self) -> list[str]:
        with explained("list volume types"):
            return sorted(found.name for found in self._connection.block_storage.types())

    def flavors(self) -> list[Flavor]:
        """Return the flavors, the smallest first."""
        with explained("list flavors"):
            found = [
                Flavor(
                    id=flavor.id,
                    name=flavor.name,
                    cpus=flavor.vcpus,
                    memory_mib=flavor.ram,
                    disk_gib=flavor.disk,
                    tpm=(flavor.extra_specs or {}).get("hw:tpm_version", ""),
                    narrowing=narrowing(flavor.extra_specs or {}),
                    most_sockets=_most(flavor.extra_specs or {}, "hw:cpu_max_sockets"),
                    most_cores=_most(flavor.extra_specs or {}, "hw:cpu_max_cores"),
                )
                for flavor in self._connection.compute.flavors(details=True)
                if not flavor.is_disabled
            ]
        return sorted(found, key=lambda flavor: (flavor.memory_mib, flavor.cpus, flavor.disk_gib, flavor.name))

    def emulates_tpm(self) -> bool | None:
        """Tell whether compute nodes emulate a TPM: Placement tells it as a trait, and to administrators alone."""
        asked = {"required": "COMPUTE_SECURITY_TPM_2_0"}
        try:
            answer = self._connection.placement.get("/resource_providers", params=asked, microversion="1.18")
        except (auth.ClientException, sdk.SDKException):  # a cloud that tells no address of Placement
            return None
        return bool(answer.json()["resource_providers"]) if answer.ok else None

    def create_flavor(self, name: str, cpus: int, memory_mib: int, flavor_id: str) -> Flavor:
        """Make a flavor without a disk of its own: machines have their volumes."""
        for flavor in self.flavors():
            if flavor.name == name:
                if (flavor.cpus, flavor.memory_mib) != (cpus, memory_mib):
                    raise Conflict(f"A flavor {name} of another size is there already.", advice="Remove or rename it.")
                return flavor
        compute = self._connection.compute
        with explained(f"make flavor {name}"):
            made = compute.create_flavor(id=flavor_id, name=name, vcpus=cpus, ram=memory_mib, disk=0, is_public=False)
            try:
                compute.flavor_add_tenant_access(made, self._connection.current_project_id)
            except sdk.SDKException:
                compute.delete_flavor(made, ignore_missing=True)  # of no use to anybody, and nobody would know of it
                raise
        return Flavor(id=made.id, name=name, cpus=cpus, memory_mib=memory_mib, disk_gib=0)

    def delete_flavor(self, flavor_id: str) -> None:
        with explained(f"delete flavor {flavor_id}"):
            self._connection.compute.delete_flavor(flavor_id, ignore_missing=True)

    def quota_room(self) -> QuotaRoom:
        with explained("read the project's quota"), ThreadPoolExecutor(max_workers=4) as pool:  # all at once
            of_compute, of_storage = pool.submit(self._limits, "compute"), pool.submit(self._limits, "block_storage")
            of_ports, of_volumes = pool.submit(self._ports_room), pool.submit(self._volume_quota)
            compute, storage = of_compute.result(), of_storage.result()
            ports, volume_quota = of_ports.result(), of_volumes.result()
        return QuotaRoom(
            instances=_room(compute.instances, compute.instances_used),
            cores=_room(compute.total_cores, compute.total_cores_used),
            memory_mib=_room(compute.total_ram, compute.total_ram_used),
            volumes=_room(storage.max_total_volumes, storage.total_volumes_used),
            gigabytes=_room(storage.max_total_volume_gigabytes, storage.total_gigabytes_used),
            snapshots=_room(storage.max_total_snapshots, storage.total_snapshots_used),
            ports=ports,
            largest_volume=_largest_volume(volume_quota),
            volume_types=_type_rooms(volume_quota),
        )

    def _limits(self, service: str) -> Any:
        try:
            return getattr(self._connection, service).get_limits().absolute
        except (sdk.ForbiddenException, sdk.NotFoundException) as error:
            if isinstance(refused(error, "read the project's quota"), QuotaExceeded):
                raise
            return _Untold()  # by this cloud's policy; the service's refusal then comes when something is made

    def _volume_quota(self) -> dict[str, Any]:
        """Return Cinder's quota: its limits name neither the largest volume nor the quotas of volume types."""
        project = self._connection.current_project_id
        answer = self._connection.block_storage.get(f"/os-quota-sets/{project}", params={"usage": "true"})
        # Not every Cinder tells a member; its refusal then comes when the volume is made
        return dict(answer.json()["quota_set"]) if answer.ok else {}

    def _ports_room(self) -> int | None:
        project = self._connection.current_project_id
        try:
            details = self._connection.network.get_quota(project, details=True).ports
        except (sdk.ForbiddenException, sdk.NotFoundException):
            # Not every Neutron tells a member the counts; its refusal then comes when the port is made
            return None
        if not isinstance(details, dict):
            return None
        return _room(details["limit"], int(details["used"]) + int(details.get("reserved", 0)))

    def choices(self) -> Choices:
        with explained("list zones, key pairs and groups"):
            compute, storage = self._connection.compute, self._connection.block_storage
            project = self._connection.current_project_id
            pairs = {pair.name: pair.fingerprint for pair in compute.keypairs()}
            return Choices(
                zones=_available(compute.availability_zones()),
                volume_zones=_available(storage.availability_zones()),
                key_pairs=tuple(sorted(pairs)),
                security_groups=_named(self._connection.network.security_groups(project_id=project)),
                server_groups=_named(compute.server_groups()),
                fingerprints={name: told for name, told in pairs.items() if told},
            )

    def taken(self, network_id: str, macs: Collection[str], addresses: Collection[str]) -> Taken:
        """Return the MACs and addresses that are taken. Of a network of another project we see our own ports only."""
        wanted_macs, wanted_addresses = set(macs), set(addresses)
        found_macs: set[str] = set()
        found_addresses: set[str] = set()
        filters = [
            *({"mac_address": some} for some in batches(macs)),
            *({"fixed_ips": [f"ip_address={one}" for one in some]} for some in batches(addresses)),
        ]
        with explained("look for MACs and addresses that are in use"):
            for some in filters:
                for port in self._connection.network.ports(network_id=network_id, **some):
                    found_macs.add(port.mac_address)
                    found_addresses.update(fixed["ip_address"] for fixed in port.fixed_ips)
        taken = Taken(frozenset(found_macs & wanted_macs), frozenset(found_addresses & wanted_addresses))
        return replace(taken, may_choose=self._may_choose(network_id, min(wanted_macs - {""}, default=None)))

    def _may_choose(self, network_id: str, mac: str | None) -> bool | None:
        """Tell whether the policy lets us choose a MAC and an address on a network of another project. Policies differ
        by release and by cloud, so it is asked for a port that can't be: with an address that is in no subnet there.
        Neutron judges who asks before it looks at that."""
        with explained(f"look up network {network_id}"):
            network = self._connection.network.get_network(network_id)
            if mac is None or network.project_id == self._connection.current_project_id:
                return None
            if MAY_CHOOSE_ANYWHERE.intersection(self._roles()):
                return None
            ranges = [ip_network(subnet.cidr) for subnet in self._connection.network.subnets(network_id=network_id)]
        address = next((one for one in _NOBODYS if not any(ip_address(one) in range_ for range_ in ranges)), None)
        if address is None:
            return None
        wanted = {"network_id": network_id, "mac_address": mac, "fixed_ips": [{"ip_address": address}]}
        with explained(f"ask what may be chosen on network {network.name}"):
            answer = self._connection.network.post("/ports", json={"port": {**wanted, "name": "longshore-asks"}})
        if answer.ok:  # which it never is
            self._connection.network.delete(f"/ports/{answer.json()['port']['id']}")
            return True
        return {_FORBIDDEN: False, _NO_SUCH_ADDRESS: True}.get(answer.status_code)


class _Untold:
    """Stands for the limits of a service that doesn't tell them."""

    def __getattr__(self, _name: str) -> None:
        return None


def vlan_of(network: Any) -> int | None:
    """Return a network's VLAN. Only an admin is told what a network is made of."""
    return network.provider_segmentation_id if network.provider_network_type == "vlan" else None


def _available(zones: Iterable[Any]) -> tuple[str, ...]:
    return tuple(sorted(zone.name for zone in zones if zone.state.get("available")))


def _named(things: Iterable[Any]) -> tuple[Named, ...]:
    return tuple(Named(thing.id, thing.name) for thing in things)


def _largest_volume(quota: Mapping[str, Any]) -> int | None:
    limit = quota.get("per_volume_gigabytes", {}).get("limit", -1)
    return None if limit < 0 else int(limit)


def _type_rooms(quota: Mapping[str, Any]) -> dict[str, VolumeTypeRoom]:
    """Quotas of single volume types are called volumes_TYPE, gigabytes_TYPE and snapshots_TYPE."""
    found: dict[str, dict[str, int | None]] = {}
    for name, told in quota.items():
        what, _, volume_type = name.partition("_")
        if what in ("volumes", "gigabytes", "snapshots") and volume_type and told["limit"] >= 0:
            room = _room(told["limit"], told["in_use"] + told["reserved"])
            found.setdefault(volume_type, {})[what] = room
    return {
        volume_type: VolumeTypeRoom(rooms.get("volumes"), rooms.get("gigabytes"), rooms.get("snapshots"))
        for volume_type, rooms in found.items()
    }


def batches(values: Collection[str]) -> Iterator[list[str]]:
    """Yield as many values at a time as one request can ask for."""
    ordered = sorted(values)
    for start in range(0, len(ordered), QUESTIONS):
        yield ordered[start : start + QUESTIONS]


def _room(limit: int | None, used: int | None) -> int | None:
    """OpenStack writes "unlimited" as -1. A quota made smaller than what is used leaves no room, not less than none."""
    return None if limit is None or limit < 0 else max(0, limit - (used or 0))


def is_automatic(subnet: Any) -> bool:
    """Say whether the addresses of one of openstacksdk's subnets follow from the ports' MAC addresses.

    Neutron refuses to be asked for one, and gives each plain port on the network one by itself.
    """
    return not _AUTOMATIC.isdisjoint({subnet.ipv6_address_mode, getattr(subnet, "ipv6_ra_mode", None)})


def narrowing(extra_specs: Mapping[str, str]) -> tuple[str, ...]:
    """Name those of a flavor's extra specs that only some hosts meet, with their values."""
    said = ((name, f"{name}={value}") for name, value in sorted(extra_specs.items()))
    return tuple(words for name, words in said if _NARROWING.match(name) and words.lower() not in _WIDE)


def _most(extra_specs: Mapping[str, str], name: str) -> int | None:
    said = extra_specs.get(name, "")
    return int(said) if said.isdecimal() else None
