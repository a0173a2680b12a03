"""Floating IPs: addresses of an external network that lead to a port."""

from typing import Any

from openstack import exceptions as sdk

from longshore.errors import Conflict
from longshore.model.target import FloatingAddress, Named, Owner
from longshore.providers.openstack import ownership
from longshore.providers.openstack.faults import explained


class NeutronFloatingAddresses:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def all(self) -> list[FloatingAddress]:
        with explained("list floating IPs"):
            project = self._connection.current_project_id
            return [_address(found) for found in self._connection.network.ips(project_id=project)]

    def networks(self) -> list[Named]:
        """Return the networks that new floating IPs can be had from."""
        with explained("list external networks"):
            found = self._connection.network.networks(is_router_external=True)
            return [Named(network.id, network.name) for network in found]

    def create(self, network_id: str, port_id: str, fixed: str | None, owner: Owner) -> FloatingAddress:
        """Make a floating IP for a port. Raises NotFound when no router leads from the port to that network,
        QuotaExceeded."""
        found = self.find(owner)
        if found is not None:
            return found
        with explained("make a floating IP"):
            made = self._connection.network.create_ip(
                floating_network_id=network_id,
                port_id=port_id,
                description=ownership.description(owner),
                **({} if fixed is None else {"fixed_ip_address": fixed}),
            )
        return _address(made)

    def find(self, owner: Owner) -> FloatingAddress | None:
        mark = ownership.description(owner)
        with explained(f"look for the floating IP of {owner.tag}"):
            project = self._connection.current_project_id
            listed = self._connection.network.ips(project_id=project, description=mark)
            return next((_address(found) for found in listed if found.description == mark), None)

    def attach(self, address_id: str, port_id: str, fixed: str | None) -> None:
        """Attach a floating IP to a port. It leads to no other port meanwhile: it goes back to leading nowhere when the
        port is deleted.

        Raises Conflict when it leads to another port already: who has it since the plan was made keeps it.
        """
        with explained("attach a floating IP"):
            found = self._connection.network.get_ip(address_id)
            if found.port_id and found.port_id != port_id:
                raise Conflict(
                    f"The floating IP {found.floating_ip_address} leads to another port ({found.port_id}) by now.",
                    advice="Choose another one, or free it.",
                )
            self._connection.network.update_ip(
                address_id, port_id=port_id, **({} if fixed is None else {"fixed_ip_address": fixed})
            )

    def detach(self, address_id: str, port_id: str) -> bool:
        """Have a floating IP lead nowhere, if it leads to this port, and tell whether it did."""
        with explained("detach a floating IP"):
            try:
                found = self._connection.network.get_ip(address_id)
            except sdk.NotFoundException:
                return False
            if found.port_id != port_id:  # somebody has led it elsewhere
                return False
            self._connection.network.update_ip(found, port_id=None)
        return True

    def delete(self, address_id: str) -> None:
        with explained(f"delete floating IP {address_id}"):
            try:
                self._connection.network.delete_ip(address_id, ignore_missing=True)
            except sdk.NotFoundException:
                return


def _address(found: Any) -> FloatingAddress:
    return FloatingAddress(found.id, found.floating_ip_address, found.floating_network_id, found.port_id or None)
