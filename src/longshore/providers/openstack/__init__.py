"""OpenStack as a source and a target of machines, through openstacksdk with a plain project member's rights."""

from longshore.providers.openstack.connection import OpenstackSettings, settings_from_cloud
from longshore.providers.openstack.source import OpenstackSource
from longshore.providers.openstack.target import OpenstackTarget
from longshore.providers.openstack.worker_pool import WorkerLedger, WorkerPool, open_pool

__all__ = [
    "OpenstackSettings",
    "OpenstackSource",
    "OpenstackTarget",
    "WorkerLedger",
    "WorkerPool",
    "open_pool",
    "settings_from_cloud",
]
