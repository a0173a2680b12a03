"""Addresses that Windows gives itself: it takes the target's adapters for new ones, which have none of them.

virt-v2v sets them at the first boot, by the adapter's MAC address (--mac). It does so for IPv4 only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from longshore.guests.report import NicAddresses
from longshore.model.guest import StaticAddresses


@dataclass(frozen=True, slots=True)
class Kept:
    """What virt-v2v is told, and one sentence for each address that it is told of, or can't be."""

    options: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def keep_addresses(found: Iterable[StaticAddresses], nics: Sequence[NicAddresses]) -> Kept:
    """Only addresses that the target's ports have: another would lead nowhere there."""
    options, changes, warnings = [], [], []
    for static in found:
        for address in static.addresses:
            plain, _, length = address.partition("/")
            mac = next((nic.mac for nic in nics if plain in nic.addresses), None)
            if mac is None:
                warnings.append(
                    f"Windows gave itself the address {plain}, which no port on the target has: it asks by DHCP there."
                )
            else:
                gateway = static.gateways[0] if static.gateways else ""
                words = (plain, gateway, length, *static.name_servers)
                options.append(f"{mac}:ip:{','.join(words)}")
                changes.append(f"Windows gives itself the address {address} on the adapter {mac} at its first boot.")
    return Kept(tuple(options), tuple(changes), tuple(warnings))
