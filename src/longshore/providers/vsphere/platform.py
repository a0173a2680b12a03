"""vSphere, as a kind of cloud: what is so of all its machines."""

from longshore.model.platform import Platform, Traits

PLATFORM = Platform.declare("vsphere", Traits(tags_apart=True, stuns=True))
