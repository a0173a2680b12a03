"""Floating IPs: addresses of an external network that lead to a port."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from openstack import exceptions as sdk

from longshore.errors import Conflict
from longshore.model.target import FloatingAddress, Named, Owner
from longshore.providers.openstack import ownership
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.named import Part, by_id, marked


class NeutronFloatingAddresses(Part):
    def floating_addresses(self) -> list[FloatingAddress]:
        with explained("list floating IPs"):
            project = self._connection.current_project_id
            return [_address(found) for found in self._connection.network.ips(project_id=project)]

    def external_networks(self) -> list[Named]:
        """Return the networks that new floating IPs can be had from."""
        with explained("list external networks"):
            found = self._connection.network.networks(is_router_external=True)
            return [Named(network.id, network.name) for network in found]

    def create_floating_address(
        self, network_id: str, port_id: str, fixed: str | None, owner: Owner
    ) -> FloatingAddress:
        """Make a floating IP for a port. Raises NotFound when no router leads from the port to that network,
        QuotaExceeded."""
        found = self.find_floating_address(owner)
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

    def find_floating_address(self, owner: Owner) -> FloatingAddress | None:
        return next(map(_address, marked(self._connection, self._connection.network.ips, owner, "floating IP")), None)

    def attach_floating_address(self, address_id: str, port_id: str, fixed: str | None) -> None:
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

    def detach_floating_address(self, address_id: str, port_id: str) -> bool:
        """Have a floating IP lead nowhere, if it leads to this port, and tell whether it did."""
        found = by_id(self._connection.network.get_ip, address_id, "floating IP")
        if found is None or found.port_id != port_id:  # or somebody has led it elsewhere
            return False
        with explained("detach a floating IP"):
            self._connection.network.update_ip(found, port_id=None)
        return True

    def delete_floating_address(self, address_id: str) -> None:
        with explained(f"delete floating IP {address_id}"), suppress(sdk.NotFoundException):
            self._connection.network.delete_ip(address_id, ignore_missing=True)


def of_project(connection: Any) -> list[Any]:
    """Return the project's floating IPs. A cloud without routers has none."""
    try:
        return list(connection.network.ips(project_id=connection.current_project_id))
    except sdk.NotFoundException:
        return []


def leading(connection: Any) -> list[Any]:
    """Return the project's floating IPs that lead to a port."""
    return [found for found in of_project(connection) if found.port_id]


def forwardings(connection: Any, floating_ips: Iterable[Any]) -> dict[str, list[str]]:
    """Return what these floating IPs forward to ports, in words, by the ports' ids. One that does belongs to a router,
    and leads to no port."""
    found: dict[str, list[str]] = defaultdict(list)
    for floating in (one for one in floating_ips if one.router_id and not one.port_id):
        with suppress(sdk.NotFoundException, sdk.ForbiddenException):
            for each in connection.network.port_forwardings(floating.id):
                from_ = f"{each.protocol} {each.external_port} of {floating.floating_ip_address}"
                found[each.internal_port_id].append(f"the forwarding of {from_}")
    return found


def _address(found: Any) -> FloatingAddress:
    return FloatingAddress(found.id, found.floating_ip_address, found.floating_network_id, found.port_id or None)
