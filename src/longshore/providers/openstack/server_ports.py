"""Ports that go from a server that is off to another one, and back.

Nova removes a port with its interface if it has made that port itself, and tells nobody which ones those are. So it is
looked at afterwards, and where the port is gone another one like it is made, with the MAC and addresses that are free
now.
"""

from typing import Any

from openstack import exceptions as sdk

from longshore.errors import Conflict
from longshore.model.target import Owner, Port, ServerPort
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.floating import NeutronFloatingAddresses
from longshore.providers.openstack.ports import NeutronPorts
from longshore.providers.openstack.waiting import wait_for

DETACH_TIMEOUT = 120.0  # seconds


class ServerPorts:
    def __init__(self, connection: Any, ports: NeutronPorts, floating: NeutronFloatingAddresses) -> None:
        self._connection = connection
        self._ports = ports
        self._floating = floating

    def free(self, port: ServerPort, owner: Owner) -> Port:
        """Free a port from its server. Raises Conflict when another server has it, or its own isn't off."""
        there = self._there(port.id)
        if there is not None and there.device_id == port.server_id:
            self._detach(port)
            there = self._there(port.id)
        if there is None:
            return self._make(port, owner)
        _refuse_others(there, "")
        return self._ports.get(port.id)

    def give_back(self, port: ServerPort, owner: Owner) -> None:
        """Give a port back to its server. Raises Conflict while another server has it."""
        if self._status(port.server_id) is None:
            made = self._ports.find(owner)
            if made is not None:
                self._ports.delete(made.id)
            return
        there = self._there(port.id)
        port_id = port.id if there is not None else self._make(port, owner).id
        there = there or self._there(port_id)
        _refuse_others(there, port.server_id)
        if there is not None and there.device_id == port.server_id:
            return
        with explained(f"give port {port_id} back to server {port.server_id}"):
            self._connection.compute.create_server_interface(port.server_id, port_id=port_id)

    def _detach(self, port: ServerPort) -> None:
        status = self._status(port.server_id)
        if status != "SHUTOFF":
            raise Conflict(f"Server {port.server_id} isn't off ({status}): its ports stay with it.")

        def free() -> bool | None:
            there = self._there(port.id)
            return there is None or not there.device_id or None

        with explained(f"free port {port.id} from server {port.server_id}"):
            self._connection.compute.delete_server_interface(port.id, server=port.server_id)
        wait_for(free, what=f"Freeing port {port.id} from server {port.server_id}", timeout=DETACH_TIMEOUT)

    def _make(self, port: ServerPort, owner: Owner) -> Port:
        """Make a port like it, where it is gone, with the floating IPs that led to it and lead nowhere now."""
        made = self._ports.create(port.like, owner)
        wanted = {floating: fixed for fixed, floating in port.floating.items()}
        for one in self._floating.all() if wanted else ():
            if one.address in wanted and one.port_id in (None, made.id):
                self._floating.attach(one.id, made.id, wanted[one.address])
        return made

    def _there(self, port_id: str) -> Any | None:
        with explained(f"look up port {port_id}"):
            try:
                return self._connection.network.get_port(port_id)
            except sdk.NotFoundException:
                return None

    def _status(self, server_id: str) -> str | None:
        """Return the server's status; None: it is gone."""
        with explained(f"look up server {server_id}"):
            try:
                return str(self._connection.compute.get_server(server_id).status)
            except sdk.NotFoundException:
                return None


def _refuse_others(there: Any | None, server_id: str) -> None:
    if there is not None and there.device_id not in ("", None, server_id):
        raise Conflict(f"Port {there.id} belongs to {there.device_id}.", advice="Remove that server, or detach it.")
