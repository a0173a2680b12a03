"""Networks of a dry run's own: like those that the machine is on, and leading nowhere."""

from longshore.model.target import Network, Owner, Subnet
from longshore.providers.openstack import ownership
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.named import Part, marked


class NeutronIsolatedNetworks(Part):
    def create_isolated_network(self, name: str, subnets: tuple[Subnet, ...], owner: Owner) -> Network:
        """Make a network with the same address ranges and no router. One that carries this owner already is completed
        and answered instead."""
        network = self.find_isolated_network(owner)
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
        return self._isolated(network.id)

    def find_isolated_network(self, owner: Owner) -> Network | None:
        found = next(marked(self._connection, self._connection.network.networks, owner, "network"), None)
        return self._isolated(found.id) if found else None

    def delete_isolated_network(self, network_id: str) -> None:
        with explained(f"delete network {network_id}"):
            self._connection.network.delete_network(network_id, ignore_missing=True)

    def _isolated(self, network_id: str) -> Network:
        with explained(f"look up network {network_id}"):
            network = self._connection.network.get_network(network_id)
            listed = self._connection.network.subnets(network_id=network_id)
            subnets = tuple(Subnet(subnet.id, subnet.cidr, bool(subnet.is_dhcp_enabled)) for subnet in listed)
        return Network(network.id, network.name, shared=False, owned=True, subnets=subnets)
