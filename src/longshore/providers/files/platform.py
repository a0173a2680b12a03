"""Files, as a kind of cloud: what is so of all machines in them."""

from longshore.model.platform import Platform, Traits

PLATFORM = Platform.declare("files", Traits(runs=False))
