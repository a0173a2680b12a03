"""Ports that go from a server that is off to another one, and back.

Nova removes a port with its interface if it has made that port itself, and tells nobody which ones those are. So it is
looked at afterwards, and where the port is gone another one like it is made, with the MAC and addresses that are free
now.
"""

from typing import Any

from longshore.errors import Conflict
from longshore.model.target import Owner, Port, ServerPort
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.floating import NeutronFloatingAddresses
from longshore.providers.openstack.named import by_id
from longshore.providers.openstack.ports import NeutronPorts
from longshore.providers.openstack.waiting import wait_for

DETACH_TIMEOUT = 120.0  # seconds


class ServerPorts(NeutronPorts, NeutronFloatingAddresses):
    def free_port(self, port: ServerPort, owner: Owner) -> Port:
        """Free a port from its server. Raises Conflict when another server has it, or its own isn't off."""
        there = self._there(port.id)
        if there is not None and there.device_id == port.server_id:
            self._free(port)
            there = self._there(port.id)
        if there is None:
            return self._port_like(port, owner)
        _refuse_others(there, "")
        return self.port(port.id)

    def give_port_back(self, port: ServerPort, owner: Owner) -> None:
        """Give a port back to its server. Raises Conflict while another server has it."""
        if by_id(self._connection.compute.get_server, port.server_id, "server") is None:
            made = self.find_port(owner)
            if made is not None:
                self.delete_port(made.id)
            return
        there = self._there(port.id)
        port_id = port.id if there is not None else self._port_like(port, owner).id
        there = there or self._there(port_id)
        _refuse_others(there, port.server_id)
        if there is not None and there.device_id == port.server_id:
            return
        with explained(f"give port {port_id} back to server {port.server_id}"):
            self._connection.compute.create_server_interface(port.server_id, port_id=port_id)

    def _free(self, port: ServerPort) -> None:
        server = by_id(self._connection.compute.get_server, port.server_id, "server")
        if server is None or server.status != "SHUTOFF":
            status = server and server.status
            raise Conflict(f"Server {port.server_id} isn't off ({status}): its ports stay with it.")

        def free() -> bool | None:
            there = self._there(port.id)
            return there is None or not there.device_id or None

        with explained(f"free port {port.id} from server {port.server_id}"):
            self._connection.compute.delete_server_interface(port.id, server=port.server_id)
        wait_for(free, what=f"Freeing port {port.id} from server {port.server_id}", timeout=DETACH_TIMEOUT)

    def _port_like(self, port: ServerPort, owner: Owner) -> Port:
        """Make a port like it, where it is gone, with the floating IPs that led to it and lead nowhere now."""
        made = self.create_port(port.like, owner)
        wanted = {floating: fixed for fixed, floating in port.floating.items()}
        for one in self.floating_addresses() if wanted else ():
            if one.address in wanted and one.port_id in (None, made.id):
                self.attach_floating_address(one.id, made.id, wanted[one.address])
        return made

    def _there(self, port_id: str) -> Any | None:
        return by_id(self._connection.network.get_port, port_id, "port")


def _refuse_others(there: Any | None, server_id: str) -> None:
    if there is not None and there.device_id not in ("", None, server_id):
        raise Conflict(f"Port {there.id} belongs to {there.device_id}.", advice="Remove that server, or detach it.")
