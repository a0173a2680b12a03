"""How a server is reached: ports, networks that lead nowhere, floating addresses."""

from typing import Protocol

from longshore.model.target import FloatingAddress, Network, Owner, Port, PortRequest, Subnet


class Ports(Protocol):
    def create_port(self, request: PortRequest, owner: Owner) -> Port:
        """One that carries this owner already is answered instead.

        Raises AccessDenied when MAC or address may not be chosen there, Conflict when one of them is taken, NotFound
        for a security group, QuotaExceeded.
        """

    def find_port(self, owner: Owner) -> Port | None:
        """The one that carries this owner."""

    def port(self, port_id: str) -> Port:
        """Any port of the project's, whoever made it. Raises NotFound."""

    def delete_port(self, port_id: str) -> None:
        """Nothing to do when it isn't there."""


class IsolatedNetworks(Protocol):
    """For dry runs."""

    def create_isolated_network(self, name: str, subnets: tuple[Subnet, ...], owner: Owner) -> Network:
        """With subnets like these and no router. One that carries this owner already is completed and answered instead.
        Raises QuotaExceeded."""

    def find_isolated_network(self, owner: Owner) -> Network | None:
        """The one that carries this owner, complete or not."""

    def delete_isolated_network(self, network_id: str) -> None:
        """With its subnets. Nothing to do when it isn't there; raises Conflict while a port of ours is on it."""


class FloatingAddresses(Protocol):
    def create_floating_address(
        self, network_id: str, port_id: str, fixed: str | None, owner: Owner
    ) -> FloatingAddress:
        """It leads to the port, and there to the address `fixed`, if the port has several. One that carries this owner
        already is answered instead. Raises NotFound when no router leads there, QuotaExceeded."""

    def find_floating_address(self, owner: Owner) -> FloatingAddress | None:
        """The one that carries this owner."""

    def attach_floating_address(self, address_id: str, port_id: str, fixed: str | None) -> None:
        """One that is there and free. It is free again when its port is deleted. Nothing to do when it leads there
        already; raises Conflict when it leads elsewhere, NotFound."""

    def delete_floating_address(self, address_id: str) -> None:
        """Nothing to do when it isn't there."""
