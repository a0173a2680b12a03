"""An OpenStack project as the place where machines land: see `longshore.providers.contract`."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager

from longshore.blocks.exports import Export
from longshore.model.as_built import BuiltServer
from longshore.model.target import (
    Choices,
    Flavor,
    FloatingAddress,
    Marked,
    Named,
    Network,
    Owner,
    Port,
    PortRequest,
    Present,
    QuotaRoom,
    Server,
    ServerPort,
    ServerRequest,
    Subnet,
    Taken,
    Volume,
    VolumeRequest,
    VolumeSnapshot,
)
from longshore.providers.contract import Target
from longshore.providers.openstack.agent import Agents
from longshore.providers.openstack.as_built import NovaAsBuilt
from longshore.providers.openstack.ceph import storage_outlook
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.faults import explained
from longshore.providers.openstack.floating import NeutronFloatingAddresses
from longshore.providers.openstack.isolation import NeutronIsolatedNetworks
from longshore.providers.openstack.lent import lend
from longshore.providers.openstack.placement import Placement
from longshore.providers.openstack.ports import NeutronPorts
from longshore.providers.openstack.power import NovaPower
from longshore.providers.openstack.project import look
from longshore.providers.openstack.relay_pool import RelayPool
from longshore.providers.openstack.relay_servers import RelayServers
from longshore.providers.openstack.server_ports import ServerPorts
from longshore.providers.openstack.servers import NovaServers
from longshore.providers.openstack.transport import transport_of
from longshore.providers.openstack.volumes import CinderVolumes


class OpenstackTarget(Target):
    """May be used from several threads: keystoneauth's session, which holds all state, allows it."""

    def __init__(
        self, settings: OpenstackSettings, secrets: Mapping[str, str], servers: RelayPool | None = None
    ) -> None:
        """`servers` are needed to open volumes through one."""
        with explained("read the cloud's settings"):
            self._lent = lend(settings, secrets)
        self._connection = self._lent.connection
        self._settings = settings
        self._placement = Placement(self._connection)
        self._volumes = CinderVolumes(self._connection)
        self._attachments = transport_of(self._connection, settings, self._volumes, servers)
        self._ports = NeutronPorts(self._connection)
        self._isolated = NeutronIsolatedNetworks(self._connection)
        self._floating = NeutronFloatingAddresses(self._connection)
        self._server_ports = ServerPorts(self._connection, self._ports, self._floating)
        self._servers = NovaServers(self._connection, self._volumes)
        self._power = NovaPower(self._connection)
        self._agents = Agents(self._connection, self._volumes)
        self._as_built = NovaAsBuilt(self._connection)

    def check(self) -> dict[str, str]:
        found = look(self._connection)
        if self._settings.transport == "relay":
            found |= RelayServers(self._connection, self._settings).outlook()
        else:
            found["storage"] = storage_outlook(self._settings.ceph_conf, self._settings.ceph_user)
        return found

    def close(self) -> None:
        self._lent.close()

    # What is there

    def networks(self) -> list[Network]:
        return self._placement.networks()

    def volume_types(self) -> list[str]:
        return self._placement.volume_types()

    def flavors(self) -> list[Flavor]:
        return self._placement.flavors()

    def create_flavor(self, name: str, cpus: int, memory_mib: int, flavor_id: str) -> Flavor:
        return self._placement.create_flavor(name, cpus, memory_mib, flavor_id)

    def delete_flavor(self, flavor_id: str) -> None:
        self._placement.delete_flavor(flavor_id)

    def quota_room(self) -> QuotaRoom:
        return self._placement.quota_room()

    def emulates_tpm(self) -> bool | None:
        return self._placement.emulates_tpm()

    def choices(self) -> Choices:
        return self._placement.choices()

    def taken(self, network_id: str, macs: Collection[str], addresses: Collection[str]) -> Taken:
        return self._placement.taken(network_id, macs, addresses)

    def present(self) -> list[Present]:
        return self._servers.present()

    def present_volumes(self) -> list[Present]:
        return self._volumes.present()

    def floating_addresses(self) -> list[FloatingAddress]:
        return self._floating.all()

    def external_networks(self) -> list[Named]:
        return self._floating.networks()

    # Volumes

    def make_ready(self, owner: Owner) -> None:
        self._attachments.make_ready(owner)

    def remove_relay(self, owner: Owner) -> None:
        RelayServers(self._connection, self._settings).remove(owner)

    def create_volume(self, request: VolumeRequest, owner: Owner) -> Volume:
        return self._volumes.create(request, owner)

    def find_volume(self, owner: Owner) -> Volume | None:
        return self._volumes.find(owner)

    def has_volume(self, volume_id: str) -> bool:
        return self._volumes.is_there(volume_id)

    def open_volume(self, volume_id: str, owner: Owner) -> AbstractContextManager[Export]:
        return self._attachments.open(volume_id, owner)

    def finish_volume(self, volume_id: str, request: VolumeRequest) -> None:
        self._volumes.finish(volume_id, request)

    def snapshot_volume(self, volume_id: str, owner: Owner, notes: Mapping[str, str] | None = None) -> VolumeSnapshot:
        return self._volumes.snapshot(volume_id, owner, notes)

    def find_volume_snapshot(self, owner: Owner) -> VolumeSnapshot | None:
        return self._volumes.find_snapshot(owner)

    def marked(self, key: str) -> Marked:
        return self._volumes.marked(key)

    def snapshots_of(self, volume_ids: Sequence[str]) -> frozenset[str]:
        return self._volumes.snapshots_of(volume_ids)

    def revert_volume(self, volume_id: str, snapshot_id: str) -> None:
        self._attachments.release(volume_id)
        self._volumes.revert(volume_id, snapshot_id)

    def delete_volume_snapshot(self, snapshot_id: str) -> None:
        self._volumes.delete_snapshot(snapshot_id)

    def delete_volume(self, volume_id: str) -> None:
        self._attachments.release(volume_id)
        self._volumes.delete(volume_id)

    # Networks that lead nowhere

    def create_isolated_network(self, name: str, subnets: tuple[Subnet, ...], owner: Owner) -> Network:
        return self._isolated.create(name, subnets, owner)

    def find_isolated_network(self, owner: Owner) -> Network | None:
        return self._isolated.find(owner)

    def delete_isolated_network(self, network_id: str) -> None:
        self._isolated.delete(network_id)

    # Ports

    def create_port(self, request: PortRequest, owner: Owner) -> Port:
        return self._ports.create(request, owner)

    def find_port(self, owner: Owner) -> Port | None:
        return self._ports.find(owner)

    def port(self, port_id: str) -> Port:
        return self._ports.get(port_id)

    def delete_port(self, port_id: str) -> None:
        self._ports.delete(port_id)

    def free_port(self, port: ServerPort, owner: Owner) -> Port:
        return self._server_ports.free(port, owner)

    def give_port_back(self, port: ServerPort, owner: Owner) -> None:
        self._server_ports.give_back(port, owner)

    # Floating addresses

    def as_built(self, server_ids: Sequence[str]) -> list[BuiltServer]:
        return self._as_built.read(server_ids)

    def create_floating_address(
        self, network_id: str, port_id: str, fixed: str | None, owner: Owner
    ) -> FloatingAddress:
        return self._floating.create(network_id, port_id, fixed, owner)

    def find_floating_address(self, owner: Owner) -> FloatingAddress | None:
        return self._floating.find(owner)

    def attach_floating_address(self, address_id: str, port_id: str, fixed: str | None) -> None:
        self._floating.attach(address_id, port_id, fixed)

    def detach_floating_address(self, address_id: str, port_id: str) -> bool:
        return self._floating.detach(address_id, port_id)

    def delete_floating_address(self, address_id: str) -> None:
        self._floating.delete(address_id)

    # Servers

    def create_server(self, request: ServerRequest, owner: Owner) -> Server:
        return self._servers.create(request, owner)

    def find_server(self, owner: Owner) -> Server | None:
        return self._servers.find(owner)

    def server(self, server_id: str) -> Server:
        return self._servers.get(server_id)

    def stop_server(self, server_id: str) -> None:
        self._power.off(server_id)

    def start_server(self, server_id: str) -> None:
        self._power.on(server_id)

    def delete_server(self, server_id: str) -> None:
        self._servers.delete(server_id)

    def console(self, server_id: str) -> str:
        return self._servers.console(server_id)

    def agent_answers(self, server_id: str, owner: Owner) -> bool:
        return self._agents.answers(server_id, owner)

    def remove_agent_probe(self, owner: Owner) -> bool:
        return self._agents.remove(owner)
