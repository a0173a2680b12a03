"""All kinds, in an order in which those that are named come before those that name them."""

from longshore.tenancy.kind import ResourceKind
from longshore.tenancy.kinds import compute, identity, image, load_balancer, network, security, workload

ALL: tuple[ResourceKind, ...] = (
    *identity.KINDS,
    *compute.KINDS,
    *security.KINDS,
    *network.KINDS,
    *load_balancer.KINDS,
    *image.KINDS,
)
KINDS: tuple[ResourceKind, ...] = tuple(kind for kind in ALL if not kind.find_only)
BY_NAME: dict[str, ResourceKind] = {kind.name: kind for kind in ALL}
BY_TYPE: dict[str, ResourceKind] = {kind.type_name: kind for kind in (*KINDS, *workload.KINDS)}
BY_PLURAL: dict[str, ResourceKind] = {kind.plural: kind for kind in KINDS}

__all__ = ["ALL", "BY_NAME", "BY_PLURAL", "BY_TYPE", "KINDS"]
