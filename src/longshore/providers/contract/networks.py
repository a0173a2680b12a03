"""The ways to reach a server: ports, networks that lead nowhere, floating addresses."""

from typing import Protocol

from longshore.errors import InvalidInput
from longshore.model.target import FloatingAddress, Network, Owner, Port, PortRequest, ServerPort, Subnet


class Ports(Protocol):
    def create_port(self, request: PortRequest, owner: Owner) -> Port:
        """Make a port. One that carries this owner already is answered instead.

        Raises AccessDenied when MAC or address may not be chosen there, Conflict when one of them is taken, NotFound
        for a security group, QuotaExceeded.
        """

    def find_port(self, owner: Owner) -> Port | None:
        """Return the port that carries this owner."""

    def port(self, port_id: str) -> Port:
        """Return any port of the project's, whoever made it. Raises NotFound."""

    def delete_port(self, port_id: str) -> None:
        """Delete the port. Nothing to do when it isn't there."""


class PortsOfServers(Protocol):
    """Optional: where a server that is off can give its ports to another one, which has its MACs and addresses then."""

    def free_port(self, port: ServerPort, owner: Owner) -> Port:
        """Free the port: it belongs to no server any more. Where the cloud removes it with that, there is another one
        like it at once, which carries this owner and has its floating IPs. A second call answers the same port.

        Raises Conflict when another server has it, or the server isn't off.
        """
        raise InvalidInput("Servers of this kind of cloud keep their ports.")

    def give_port_back(self, port: ServerPort, owner: Owner) -> None:
        """Give the server its port again, or the one that was made in its place. Nothing to do when it has it already;
        when the server is gone, so is a port that was made. Raises Conflict while another server has it."""
        raise InvalidInput("Servers of this kind of cloud keep their ports.")


class IsolatedNetworks(Protocol):
    """Isolated networks, for dry runs."""

    def create_isolated_network(self, name: str, subnets: tuple[Subnet, ...], owner: Owner) -> Network:
        """Make a network with subnets like these and no router. One that carries this owner already is completed and
        answered instead. Raises QuotaExceeded."""

    def find_isolated_network(self, owner: Owner) -> Network | None:
        """Return the isolated network that carries this owner, complete or not."""

    def delete_isolated_network(self, network_id: str) -> None:
        """Delete a network with its subnets. Nothing to do when it isn't there; raises Conflict while a port of ours is
        on it."""


class FloatingAddresses(Protocol):
    def create_floating_address(
        self, network_id: str, port_id: str, fixed: str | None, owner: Owner
    ) -> FloatingAddress:
        """Make an address that leads to the port, and there to the address `fixed`, if the port has several. One that
        carries this owner already is answered instead. Raises NotFound when no router leads there, QuotaExceeded."""

    def find_floating_address(self, owner: Owner) -> FloatingAddress | None:
        """Return the floating address that carries this owner."""

    def attach_floating_address(self, address_id: str, port_id: str, fixed: str | None) -> None:
        """Attach an address that is there and free. It is free again when its port is deleted. Nothing to do when it
        leads there already; raises Conflict when it leads elsewhere, NotFound."""

    def detach_floating_address(self, address_id: str, port_id: str) -> bool:
        """Have an address lead nowhere, and tell whether it led to this port. Nothing to do when it doesn't, or is
        gone."""

    def delete_floating_address(self, address_id: str) -> None:
        """Delete the address. Nothing to do when it isn't there."""
