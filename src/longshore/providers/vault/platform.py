"""A vault, as a kind of provider. Its machines are as their points say: of the kind of cloud that they came from."""

from longshore.model.platform import Platform, Traits

PLATFORM = Platform.declare("vault", Traits(runs=False))
