"""The servers of a project, with their volumes and ports: one list of each, however many servers there are."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from openstack import exceptions as sdk

from longshore.errors import NotFound
from longshore.model.inventory import Inventory, NetworkKind, SourceNetwork
from longshore.model.machine import Machine
from longshore.model.selection import EVERY, MachineFilter
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.machines import Around, machine_of
from longshore.providers.openstack.named import of_word, only
from longshore.providers.openstack.placement import vlan_of

# Names that mean themselves: what servers are to be called, Nova takes for a regular expression
# (https://docs.openstack.org/api-ref/compute/#list-servers-detailed)
_LITERAL = re.compile(r"[\w -]+", re.ASCII)


class NovaMachines:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def all(self, wanted: MachineFilter = EVERY) -> Iterator[Machine]:
        """Yield the machines that fit, with their tags; Longshore's own relays are nobody's machines and left out."""
        with explained("list servers"):
            servers = list(self._connection.compute.servers(details=True))
        found = self._describe(servers)
        return (machine for machine in found if not machine.server.relay and wanted.fits(machine))

    def describe(self, refs: Sequence[str]) -> list[Machine]:
        if len(refs) == 1:  # as a migration asks, again and again
            found = self._of_id(refs[0])
            return self._describe(found) if found else []
        wanted = set(refs)
        return [machine for machine in self.all() if machine.ref in wanted]

    def find(self, word: str) -> Machine:
        """Find a machine. Raises NotFound, or Conflict when the word fits several."""
        filters = {"name": word} if _LITERAL.fullmatch(word) else {}
        with explained(f"look for server {word}"):
            listed = self._connection.compute.servers(details=True, **filters)
            found = of_word(self._connection.compute.get_server, listed, word)
        return self._describe([only(found, word, "server", "longshore machine list shows them.")])[0]

    def get(self, ref: str) -> Machine:
        """Return the machine of a reference. Raises NotFound."""
        if not (found := self._of_id(ref)):
            raise NotFound(f"The project has no server {ref}.", advice="longshore machine list shows them.")
        return self._describe(found)[0]

    def _of_id(self, ref: str) -> list[Any]:
        with explained(f"look up server {ref}"):
            try:
                return [self._connection.compute.get_server(ref)]
            except (sdk.NotFoundException, sdk.BadRequestException):
                return []

    def inventory(self) -> Inventory:
        with explained("list networks"):
            networks = tuple(
                SourceNetwork(
                    ref=network.id,
                    name=network.name,
                    datacenter="",
                    kind=NetworkKind.STANDARD,
                    vlan=str(vlan_of(network) or ""),
                )
                for network in self._connection.network.networks()
            )
        return Inventory(networks=networks)

    def _describe(self, servers: Sequence[Any]) -> list[Machine]:
        around = self._around(servers)
        return [machine_of(server, around) for server in servers]

    def _around(self, servers: Sequence[Any]) -> Around:
        """Return what is around these servers. For one server only what is its own is asked for. All at once: mostly
        this waits for the services."""
        one = servers[0] if len(servers) == 1 else None
        compute, network = self._connection.compute, self._connection.network
        with explained("list volumes, ports and groups"), ThreadPoolExecutor(max_workers=7) as pool:
            project = self._connection.current_project_id
            volumes = pool.submit(self._volumes, one)
            ports = pool.submit(self._ports, one, project)
            networks = pool.submit(lambda: {found.id: found.name for found in network.networks()})
            groups = pool.submit(lambda: {g.id: g.name for g in network.security_groups(project_id=project)})
            members = pool.submit(lambda: {m: g.name for g in compute.server_groups() for m in g.member_ids or ()})
            floating = pool.submit(self._floating, project)
            images = pool.submit(self._images, servers)
            return Around(
                volumes=volumes.result(),
                ports=ports.result(),
                networks=networks.result(),
                security_groups=groups.result(),
                server_groups=members.result(),
                floating=floating.result(),
                images=images.result(),
            )

    def _volumes(self, one: Any | None) -> dict[str, Any]:
        """Return the volumes by their ids; those that are gone by now, or another project's, are left out."""
        storage = self._connection.block_storage
        if one is None:
            return {volume.id: volume for volume in storage.volumes(details=True)}
        found = {}
        for attached in one.attached_volumes or ():
            with suppress(sdk.NotFoundException):
                found[attached.id] = storage.get_volume(attached.id)
        return found

    def _ports(self, one: Any | None, project: str) -> dict[str, list[Any]]:
        """Return the ports by the servers that have them."""
        found: dict[str, list[Any]] = defaultdict(list)
        wanted = {"device_id": one.id} if one is not None else {"project_id": project}
        for port in self._connection.network.ports(**wanted):
            found[port.device_id].append(port)
        return found

    def _floating(self, project: str) -> dict[str, dict[str, str]]:
        """Return the floating addresses by port, and by the fixed address that they lead to."""
        found: dict[str, dict[str, str]] = defaultdict(dict)
        try:
            for address in self._connection.network.ips(project_id=project):
                if address.port_id:
                    found[address.port_id][address.fixed_ip_address] = address.floating_ip_address
        except sdk.NotFoundException:
            return {}  # a cloud without routers has no floating IPs either
        return found

    def _images(self, servers: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        """Return the images of servers that don't boot from a volume. An image that has been deleted since is left
        out."""
        found = {}
        for image_id in {getattr(server.image, "id", None) for server in servers} - {None}:
            answer = self._connection.image.get(f"/images/{image_id}")  # openstacksdk has names of its own for some
            if answer.ok:
                found[str(image_id)] = answer.json()
        return found
