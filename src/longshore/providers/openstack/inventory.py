"""The servers of a project, with their volumes and ports: one list of each, however many servers there are."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from openstack import exceptions as sdk

from longshore.model.inventory import Inventory, NetworkKind, SourceNetwork
from longshore.model.machine import Machine
from longshore.model.selection import EVERY, MachineFilter
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.floating import forwardings, of_project
from longshore.providers.openstack.machines import Around, machine_of
from longshore.providers.openstack.named import Part, by_id, names_of, needed, of_word, only
from longshore.providers.openstack.placement import batches, vlan_of

_LISTED = "longshore machine list shows them."
# Names that mean themselves: what servers are to be called, Nova takes for a regular expression
# (https://docs.openstack.org/api-ref/compute/#list-servers-detailed)
_LITERAL = re.compile(r"[\w -]+", re.ASCII)
_SHARES = "2.97"  # Nova's microversion that has them, of 2025.1; older ones refuse it


class NovaMachines(Part):
    def machines(self, wanted: MachineFilter = EVERY) -> Iterator[Machine]:
        """Yield the machines that fit, with their tags; Longshore's own relays are nobody's machines and left out."""
        with explained("list servers"):
            servers = list(self._connection.compute.servers(details=True))
        found = self._describe(servers)
        return (machine for machine in found if not machine.server.relay and wanted.fits(machine))

    def references(self, wanted: MachineFilter = EVERY) -> list[str]:
        return [machine.ref for machine in self.machines(wanted)]

    def describe(self, refs: Sequence[str]) -> Iterator[Machine]:
        if len(refs) == 1:  # as a migration asks, again and again
            found = by_id(self._connection.compute.get_server, refs[0], "server")
            return iter(self._describe([found] if found else []))
        wanted = set(refs)
        return (machine for machine in self.machines() if machine.ref in wanted)

    def tags(self, refs: Sequence[str]) -> dict[str, tuple[str, ...]]:
        return {machine.ref: machine.tags for machine in self.describe(refs) if machine.tags}

    def machine(self, word: str) -> Machine:
        """Find a machine. Raises NotFound, or Conflict when the word fits several."""
        filters = {"name": word} if _LITERAL.fullmatch(word) else {}
        with explained(f"look for server {word}"):
            listed = self._connection.compute.servers(details=True, **filters)
            found = of_word(self._connection.compute.get_server, listed, word)
        return self._describe([only(found, word, "server", _LISTED)])[0]

    def by_reference(self, ref: str) -> Machine:
        """Return the machine of a reference. Raises NotFound."""
        return self._describe([needed(self._connection.compute.get_server, ref, "server", _LISTED)])[0]

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
        network = self._connection.network
        with explained("list volumes, ports and groups"), ThreadPoolExecutor(max_workers=8) as pool:
            project = self._connection.current_project_id
            volumes = pool.submit(self._volumes, one)
            ports = pool.submit(self._ports, [server.id for server in servers])
            networks = pool.submit(lambda: {found.id: found.name for found in network.networks()})
            groups = pool.submit(lambda: names_of(network.security_groups(project_id=project)))
            members = pool.submit(self._server_groups)
            keys = pool.submit(self._key_pairs, servers)
            floating = pool.submit(of_project, self._connection)
            images = pool.submit(self._images, servers)
            shares = pool.submit(self._shares, one)
            return Around(
                volumes=volumes.result(),
                ports=ports.result(),
                networks=networks.result(),
                security_groups=groups.result(),
                server_groups=members.result(),
                key_pairs=keys.result(),
                floating=_leading(floating.result()),
                forwarded=forwardings(self._connection, floating.result()),
                images=images.result(),
                shares=shares.result(),
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

    def _ports(self, server_ids: Sequence[str]) -> dict[str, list[Any]]:
        """Return the ports by the servers that have them, whoever made them: an administrator's are of their own
        project."""
        found: dict[str, list[Any]] = defaultdict(list)
        for some in batches(server_ids):
            for port in self._connection.network.ports(device_id=some):
                found[port.device_id].append(port)
        return found

    def _server_groups(self) -> dict[str, str]:
        """Return the names of server groups by their members."""
        groups = list(self._connection.compute.server_groups())
        names = names_of(groups)
        return {member: names[group.id] for group in groups for member in group.member_ids or ()}

    def _key_pairs(self, servers: Sequence[Any]) -> dict[tuple[str, str], str]:
        """Return the fingerprints of the account's own key pairs, where servers have one; others' aren't told."""
        if not any(server.key_name for server in servers):
            return {}
        user = self._connection.current_user_id
        with suppress(sdk.ForbiddenException):
            return {(user, pair.name): pair.fingerprint for pair in self._connection.compute.keypairs()}
        return {}

    def _shares(self, one: Any | None) -> tuple[str, ...]:
        """Return the shares (Manila's) that a server mounts, in words: in lists, they would take a request for each."""
        if one is None:
            return ()
        answer = self._connection.compute.get(f"/servers/{one.id}/shares", microversion=_SHARES)
        return tuple(f"the share {found['share_id']}" for found in answer.json()["shares"]) if answer.ok else ()

    def _images(self, servers: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
        """Return the images of servers that don't boot from a volume. An image that has been deleted since is left
        out."""
        found = {}
        for image_id in {getattr(server.image, "id", None) for server in servers} - {None}:
            answer = self._connection.image.get(f"/images/{image_id}")  # openstacksdk has names of its own for some
            if answer.ok:
                found[str(image_id)] = answer.json()
        return found


def _leading(floating_ips: Iterable[Any]) -> dict[str, dict[str, str]]:
    """Return the floating addresses by port, and by the fixed address that they lead to."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for address in floating_ips:
        if address.port_id:
            found[address.port_id][address.fixed_ip_address] = address.floating_ip_address
    return found
