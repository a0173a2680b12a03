"""Networks of a dry run's own: like those that the machine is on, and leading nowhere."""

from typing import Any

from openstack import exceptions as sdk

from longshore.model.target import Network, Owner, Subnet
from longshore.providers.openstack import ownership
from longshore.providers.openstack.faults import explained


class NeutronIsolatedNetworks:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def create(self, name: str, subnets: tuple[Subnet, ...], owner: Owner) -> Network:
        """Make a network with the same address ranges and no router. One that carries this owner already is completed
        and answered instead."""
        network = self.find(owner)
        with explained(f"create network {name}"):
            client = self._connection.network
            if network is None:
                made = client.create_network(name=name, description=ownership.description(owner))
                network = Network(made.id, name, shared=False, owned=True, subnets=())
            missing = [s for s in subnets if s.cidr not in {there.cidr for there in network.subnets}]
            for subnet in missing:
                client.create_subnet(
                    network_id=network.id,
                    name=name,
                    cidr=subnet.cidr,
                    ip_version=6 if ":" in subnet.cidr else 4,
                    is_dhcp_enabled=subnet.allows_dhcp,
                    gateway_ip=None,  # there is nobody at it
                )
        return self._describe(network.id)

    def find(self, owner: Owner) -> Network | None:
        mark = ownership.description(owner)
        with explained(f"look for the network of {owner.tag}"):
            listed = self._connection.network.networks(project_id=self._connection.current_project_id, description=mark)
            found = next((network.id for network in listed if network.description == mark), None)
        return self._describe(found) if found else None

    def delete(self, network_id: str) -> None:
        with explained(f"delete network {network_id}"):
            self._connection.network.delete_network(network_id, ignore_missing=True)

    def _describe(self, network_id: str) -> Network:
        with explained(f"look up network {network_id}"):
            network = self._connection.network.get_network(network_id)
            subnets = []
            for subnet_id in network.subnet_ids or ():
                try:
                    subnet = self._connection.network.get_subnet(subnet_id)
                except sdk.NotFoundException:
                    continue  # removed meanwhile
                subnets.append(Subnet(subnet.id, subnet.cidr, bool(subnet.is_dhcp_enabled)))
        return Network(network.id, network.name, shared=False, owned=True, subnets=tuple(subnets))
