"""OpenStack as a source and a target of machines, through openstacksdk with a plain project member's rights."""

from longshore.providers.openstack.connection import OpenstackSettings, settings_from_cloud
from longshore.providers.openstack.source import OpenstackSource
from longshore.providers.openstack.target import OpenstackTarget

__all__ = ["OpenstackSettings", "OpenstackSource", "OpenstackTarget", "settings_from_cloud"]
