"""Servers, volumes, ports and floating IPs as Nova, Cinder and Neutron have them at the time of asking."""

from collections.abc import Sequence
from typing import Any

from openstack import exceptions as sdk

from longshore.errors import NotFound
from longshore.model.as_built import BuiltFloating, BuiltPort, BuiltServer, BuiltVolume
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.floating import leading
from longshore.providers.openstack.machines import volumes_in_order
from longshore.providers.openstack.named import Part


class NovaAsBuilt(Part):
    def as_built(self, server_ids: Sequence[str]) -> list[BuiltServer]:
        """Return these servers, in this order. Raises NotFound for one that isn't there any more."""
        with explained("list floating IPs and server groups"):
            groups = {m: g.name for g in self._connection.compute.server_groups() for m in g.member_ids or ()}
            floating = self._built_floating()
        return [self._built_server(server_id, groups.get(server_id), floating) for server_id in server_ids]

    def _built_server(self, server_id: str, group: str | None, floating: dict[str, list[BuiltFloating]]) -> BuiltServer:
        compute, storage, network = (
            self._connection.compute,
            self._connection.block_storage,
            self._connection.network,
        )
        with explained(f"read server {server_id}"):
            try:
                server = compute.get_server(server_id)
                volumes = [storage.get_volume(one.id) for one in server.attached_volumes or ()]
                ports = [network.get_port(one.port_id) for one in compute.server_interfaces(server)]
            except sdk.NotFoundException:
                raise NotFound(
                    f"Server {server_id}, or something of it, isn't there any more.",
                    advice="What was deleted since it landed can't be written down; move the machine again, or leave "
                    "it out.",
                ) from None
        return BuiltServer(
            id=server.id,
            name=server.name or "",
            status=server.status,
            flavor=server.flavor.original_name or server.flavor.name or server.flavor.id,
            key_name=server.key_name or None,
            zone=server.availability_zone or None,
            metadata=dict(server.metadata or {}),
            tags=tuple(server.tags or ()),
            group=group,
            volumes=tuple(_volume(one) for one in volumes_in_order(volumes, server)),
            ports=tuple(_port(one, floating.get(one.id, [])) for one in ports),
        )

    def _built_floating(self) -> dict[str, list[BuiltFloating]]:
        """Return the floating IPs by the ports that they lead to."""
        network, found = self._connection.network, dict[str, list[BuiltFloating]]()
        there = leading(self._connection)
        names = {id_: network.get_network(id_).name for id_ in {one.floating_network_id for one in there}}
        for one in there:
            told = BuiltFloating(
                id=one.id,
                address=one.floating_ip_address,
                network=names[one.floating_network_id],
                fixed=one.fixed_ip_address or None,
                description=one.description or "",
            )
            found.setdefault(one.port_id, []).append(told)
        return found


def _volume(volume: Any) -> BuiltVolume:
    return BuiltVolume(
        id=volume.id,
        name=volume.name or "",
        description=volume.description or "",
        gib=volume.size,
        type=volume.volume_type or None,
        zone=volume.availability_zone or None,
        bootable=bool(volume.is_bootable),
    )


def _port(port: Any, floating: list[BuiltFloating]) -> BuiltPort:
    return BuiltPort(
        id=port.id,
        name=port.name or "",
        description=port.description or "",
        network_id=port.network_id,
        mac=port.mac_address,
        group_ids=tuple(port.security_group_ids or ()),
        fixed=tuple((one["subnet_id"], one["ip_address"]) for one in port.fixed_ips or ()),
        pairs=tuple((one["ip_address"], one["mac_address"]) for one in port.allowed_address_pairs or ()),
        floating=tuple(floating),
    )
