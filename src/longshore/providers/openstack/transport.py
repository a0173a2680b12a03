"""The transport of volumes' bytes, as a provider's settings say."""

from typing import Any

from longshore.providers.openstack.attach import Attachments
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.relay_attach import RelayAttachments
from longshore.providers.openstack.relay_pool import RelayPool
from longshore.providers.openstack.volumes import CinderVolumes

Transport = Attachments | RelayAttachments


def transport_of(
    connection: Any, settings: OpenstackSettings, volumes: CinderVolumes, servers: RelayPool | None
) -> Transport:
    """`servers` are what a relay is taken from; without them volumes can only be released."""
    if settings.transport == "relay":
        return RelayAttachments(connection, volumes, servers)
    return Attachments(connection, settings, volumes)
