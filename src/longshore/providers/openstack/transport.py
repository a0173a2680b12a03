"""How the bytes of volumes are reached, as a provider's settings say."""

from typing import Any

from longshore.providers.openstack.attach import Attachments
from longshore.providers.openstack.connection import OpenstackSettings
from longshore.providers.openstack.volumes import Volumes
from longshore.providers.openstack.worker_attach import WorkerAttachments
from longshore.providers.openstack.worker_pool import WorkerPool

Transport = Attachments | WorkerAttachments


def transport_of(
    connection: Any, settings: OpenstackSettings, volumes: Volumes, servers: WorkerPool | None
) -> Transport:
    """`servers` are what a worker server is taken from; without them volumes can only be released."""
    if settings.transport == "worker":
        return WorkerAttachments(connection, volumes, servers)
    return Attachments(connection, settings, volumes)
