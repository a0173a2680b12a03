"""An OpenStack cloud, as a kind of cloud: what is so of all its machines."""

from longshore.model.platform import Platform, Traits

PLATFORM = Platform.declare("openstack", Traits(on_kvm=True, asks_guest=False, in_quota=True, as_server=True))
