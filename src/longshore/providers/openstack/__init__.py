"""OpenStack as a source and a target of machines, through openstacksdk with a plain project member's rights."""

from longshore.providers.openstack.connection import OpenstackSettings, settings_from_cloud
from longshore.providers.openstack.relay_pool import RelayPool, open_pool
from longshore.providers.openstack.source import OpenstackSource
from longshore.providers.openstack.target import OpenstackTarget

__all__ = [
    "OpenstackSettings",
    "OpenstackSource",
    "OpenstackTarget",
    "RelayPool",
    "open_pool",
    "settings_from_cloud",
]
