"""Choices of a form, or what it was opened for: a source's machines, and what a target offers."""

from collections import Counter
from collections.abc import Collection

from longshore.api.inventories import MachinePage, TargetOffer
from longshore.client.calls import part
from longshore.model.machine import Machine
from longshore.web.asking import ApiClient
from longshore.wording.texts import _

AT_ONCE = 100  # machines that are asked for: their references are a part of the address, of which proxies take 8 KiB


async def chosen_machines(asking: ApiClient, source: str, refs: Collection[str]) -> list[Machine]:
    """Return those of these machines that a source has, however many others it has. Raises LongshoreError."""
    path, wanted = f"/v1/providers/{part(source)}/inventory/machines", list(dict.fromkeys(refs))
    found: list[Machine] = []
    for start in range(0, len(wanted), AT_ONCE):
        page = await asking.get(MachinePage, path, limit=AT_ONCE, ref=wanted[start : start + AT_ONCE])
        found += page.machines
    return found


def network_choices(offer: TargetOffer) -> list[tuple[str, str]]:
    """Return (value, as people read it) for each network, in the offer's order.

    The value is the name where that is clear, as a proposal writes it; else the id.
    """
    named, no_subnet = Counter(network.name for network in offer.networks), _("no subnet")
    return [
        (n.name if named[n.name] == 1 else n.id, f"{n.name} ({', '.join(s.cidr for s in n.subnets) or no_subnet})")
        for n in offer.networks
    ]


def flavor_choices(offer: TargetOffer) -> list[tuple[str, str]]:
    return [(f.name, f"{f.name} ({f.cpus} CPU, {f.memory_mib} MiB)") for f in offer.flavors]
