"""An OpenStack project as the place where machines land: see `longshore.providers.contract`."""

from contextlib import AbstractContextManager

from longshore.blocks.exports import Export
from longshore.model.target import Owner
from longshore.providers.contract import Target
from longshore.providers.openstack.agent import Agents
from longshore.providers.openstack.as_built import NovaAsBuilt
from longshore.providers.openstack.ceph import storage_outlook
from longshore.providers.openstack.isolation import NeutronIsolatedNetworks
from longshore.providers.openstack.placement import Placement
from longshore.providers.openstack.power import NovaPower
from longshore.providers.openstack.project import Project
from longshore.providers.openstack.relay_servers import RelayServers
from longshore.providers.openstack.server_ports import ServerPorts
from longshore.providers.openstack.servers import NovaServers
from longshore.providers.openstack.volumes import CinderVolumes


class OpenstackTarget(
    Project,
    Placement,
    CinderVolumes,
    ServerPorts,
    NeutronIsolatedNetworks,
    NovaServers,
    NovaPower,
    Agents,
    NovaAsBuilt,
    Target,
):
    def check(self) -> dict[str, str]:
        found = super().check()
        if self._settings.transport == "relay":
            found |= RelayServers(self._connection, self._settings).outlook()
        else:
            found["storage"] = storage_outlook(self._settings.ceph_conf, self._settings.ceph_user)
        return found

    def make_ready(self, owner: Owner) -> None:
        self._attachments.make_ready(owner)

    def remove_relay(self, owner: Owner) -> None:
        RelayServers(self._connection, self._settings).remove(owner)

    def open_volume(self, volume_id: str, owner: Owner) -> AbstractContextManager[Export]:
        return self._attachments.open(volume_id, owner)

    def revert_volume(self, volume_id: str, snapshot_id: str) -> None:
        self._attachments.release(volume_id)
        super().revert_volume(volume_id, snapshot_id)

    def delete_volume(self, volume_id: str) -> None:
        self._attachments.release(volume_id)
        super().delete_volume(volume_id)

    def stop_server(self, server_id: str) -> None:
        self.power_off(server_id)

    def start_server(self, server_id: str) -> None:
        self.power_on(server_id)
