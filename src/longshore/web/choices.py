"""What a target offers, for a select: (value, as people read it)."""

from collections import Counter

from longshore.api.inventories import TargetOffer
from longshore.web.texts import _


def network_choices(offer: TargetOffer) -> list[tuple[str, str]]:
    """In the offer's order. By name where that is clear, as a proposal writes it; else by id."""
    named, no_subnet = Counter(network.name for network in offer.networks), _("no subnet")
    return [
        (n.name if named[n.name] == 1 else n.id, f"{n.name} ({', '.join(s.cidr for s in n.subnets) or no_subnet})")
        for n in offer.networks
    ]


def flavor_choices(offer: TargetOffer) -> list[tuple[str, str]]:
    return [(f.name, f"{f.name} ({f.cpus} CPU, {f.memory_mib} MiB)") for f in offer.flavors]
