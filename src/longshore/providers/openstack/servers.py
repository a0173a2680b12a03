"""Nova servers made from volumes and ports that are there already; both outlive their server."""

import base64
from typing import Any

from openstack import exceptions as sdk

from longshore.errors import BootError
from longshore.model import user_data
from longshore.model.target import Owner, Present, Server, ServerRequest
from longshore.providers.openstack import ownership
from longshore.providers.openstack.faults import explained, words
from longshore.providers.openstack.named import Part, by_id, needed, only, present
from longshore.providers.openstack.volumes import wait_until_free
from longshore.providers.openstack.waiting import wait_for

# Seconds
CREATE_TIMEOUT = 900.0
DELETE_TIMEOUT = 300.0


class NovaServers(Part):
    def create_server(self, request: ServerRequest, owner: Owner) -> Server:
        """Returns once it is ACTIVE. One that carries this owner already is waited for instead.

        Raises BootError with Nova's fault when it ends in ERROR; the server is left, to be found and deleted.
        """
        found = self.find_server(owner)
        if found is None:
            with explained(f"create server {request.name}"):
                attributes = _attributes(request, owner)
                if request.server_group is not None:
                    attributes["scheduler_hints"] = {"group": self._server_group(request.server_group)}
                found = _server(self._connection.compute.create_server(**attributes))
        server_id = found.id

        def built() -> Server | None:
            server = self._connection.compute.get_server(server_id)
            if server.status == "ERROR":
                raise BootError(
                    f"The cloud couldn't start server {request.name}: {_fault(server)}",
                    advice="Nova tells a project no more than that. Check the flavor against the free capacity, the "
                    "volumes' image properties, and what its ports ask of their networks (MACs, allowed address "
                    "pairs); the compute service's log says which it was.",
                )
            return None if server.status == "BUILD" else _server(server)

        with explained(f"create server {request.name}"):
            return wait_for(built, what=f"Starting server {request.name}", timeout=CREATE_TIMEOUT)

    def _server_group(self, name_or_id: str) -> str:
        return str(only(self._connection.compute.server_groups(), name_or_id, "server group").id)

    def find_server(self, owner: Owner) -> Server | None:
        with explained(f"look for the server of {owner.tag}"):
            listed = self._connection.compute.servers(details=True)
            return next((_server(found) for found in listed if ownership.belongs_to(found.metadata, owner)), None)

    def present(self) -> list[Present]:
        with explained("list servers"):
            return present(self._connection.compute.servers(details=True))

    def server(self, server_id: str) -> Server:
        return _server(needed(self._connection.compute.get_server, server_id, "server"))

    def delete_server(self, server_id: str) -> None:
        """Returns when it is gone and its volumes are free. Nothing to do when it isn't there."""
        with explained(f"delete server {server_id}"):
            try:
                attached = self._connection.compute.get_server(server_id).attached_volumes or ()
                self._connection.compute.delete_server(server_id)
            except sdk.NotFoundException:
                return

        forced = False

        def gone() -> bool | None:
            nonlocal forced
            server = by_id(self._connection.compute.get_server, server_id, "server")
            # DELETED is what one is called while it goes. Where a cloud keeps deleted servers for some time, they keep
            # their volumes and ports
            if server is not None and server.status == "SOFT_DELETED" and not forced:
                forced = True
                self._connection.compute.delete_server(server_id, force=True)
            return server is None or None

        with explained(f"delete server {server_id}"):
            wait_for(gone, what=f"Deleting server {server_id}", timeout=DELETE_TIMEOUT)
        for volume in attached:
            wait_until_free(self._connection, volume.id)

    def console(self, server_id: str) -> str:
        with explained(f"read the console of server {server_id}"):
            try:
                return str(self._connection.compute.get_server_console_output(server_id).get("output") or "")
            except (sdk.NotFoundException, sdk.ConflictException) as error:
                if self.server(server_id).status == "ERROR":
                    raise BootError(f"Server {server_id} has no console: {words(error)}") from None
                return ""  # Nova answers 404 or 409 until the guest was first started


def _attributes(request: ServerRequest, owner: Owner) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "name": request.name,
        "flavor_id": request.flavor_id,
        "metadata": {**request.metadata, **ownership.metadata(owner)},
        "block_device_mapping": _disks(request),
        # Always ports: an address asked for here on a shared network is accepted, and then the server goes to ERROR
        "networks": [{"port": port_id} for port_id in request.port_ids] or "none",
    }
    optional = {
        "availability_zone": request.availability_zone,
        "key_name": request.key_name,
        "user_data": base64.b64encode(user_data.decode(request.user_data or "")).decode(),
        "config_drive": request.config_drive,
        "description": request.description,
        "tags": list(request.tags),
    }
    return attributes | {name: value for name, value in optional.items() if value}


def _disks(request: ServerRequest) -> list[dict[str, Any]]:
    """Return the disks, the root disk first: Nova numbers disks of different buses in this order, and firmware tries
    the first alone."""
    buses = request.disk_buses or (None,) * len(request.volume_ids)
    return [
        {
            "boot_index": position,
            "uuid": volume_id,
            "source_type": "volume",
            "destination_type": "volume",
            "delete_on_termination": False,
            **({} if bus is None else {"disk_bus": bus}),
        }
        for position, (volume_id, bus) in enumerate(zip(request.volume_ids, buses, strict=True))
    ]


def _fault(server: Any) -> str:
    said = " ".join(str((server.fault or {}).get("message") or "Nova gives no reason").split())
    return said if said.endswith(".") else f"{said}."


def _server(found: Any) -> Server:
    return Server(id=found.id, name=found.name or "", status=found.status or "BUILD")
