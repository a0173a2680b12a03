"""Addresses that Windows gives itself: it takes the target's adapters for new ones, which have none of them.

virt-v2v sets them at the first boot, by the adapter's MAC address (--mac). It does so for IPv4 only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from longshore.guests.report import NicAddresses
from longshore.model.guest import StaticAddresses


@dataclass(frozen=True, slots=True)
class Kept:
    """The options that virt-v2v is given, and one sentence for each address that it is told of, or can't be."""

    options: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def keep_addresses(found: Iterable[StaticAddresses], nics: Sequence[NicAddresses]) -> Kept:
    """Keep addresses that the target's ports have, and only those: another would lead nowhere there.

    All addresses of one of Windows' interfaces go to one adapter. Its gateway is told with the first alone: Windows
    refuses an address whose gateway is there already.
    """
    options, changes, warnings = [], [], []
    for static in found:
        gateway = static.gateways[0] if static.gateways else ""
        plain = [address.partition("/")[0] for address in static.addresses]
        port = next((nic for nic in nics if set(plain) & set(nic.addresses)), None)
        for address in static.addresses:
            told, _, length = address.partition("/")
            if port is None:
                warnings.append(
                    f"Windows gave itself the address {told}, which no port on the target has: it asks by DHCP there."
                )
            elif told not in port.addresses:
                warnings.append(
                    f"Windows gave itself the address {told} as well, which the port of its adapter {port.mac} on the "
                    "target doesn't have: it is left out."
                )
            else:
                options.append(f"{port.mac}:ip:{','.join((told, gateway, length, *static.name_servers))}")
                gateway = ""
                changes.append(
                    f"Windows gives itself the address {address} on the adapter {port.mac} at its first boot."
                )
    return Kept(tuple(options), tuple(changes), tuple(warnings))
