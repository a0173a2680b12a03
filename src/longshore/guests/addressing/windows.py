"""Addresses of Windows in the form that virt-v2v sets at the first boot (--mac): IPv4, with one gateway.

Windows takes the target's adapters for new ones. So what it gave itself before is lost unless it is told again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_interface

from longshore.guests.addressing.forms import of_version
from longshore.guests.report import NicAddresses
from longshore.model.addresses import AdapterInGuest, Addressing, Renumbering, several
from longshore.model.guest import StaticAddresses


@dataclass(frozen=True, slots=True)
class Given:
    """The options that virt-v2v is given, a sentence for each address that it is told of, or can't be, and the adapters
    of which nothing else is to be kept."""

    options: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    macs: frozenset[str] = frozenset()


def give_addresses(adapters: Sequence[AdapterInGuest]) -> Given:
    options, changes, warnings = [], [], []
    for adapter in adapters:
        wanted = adapter.wanted
        if not isinstance(wanted, Addressing):
            if wanted is not None:  # as Windows does by itself with an adapter that is new to it
                changes.append(f"Windows asks for its address by DHCP on the adapter {adapter.mac}.")
            continue
        gateway = next(iter(of_version(several(wanted.gateway), 4)), "")
        for number, text in enumerate(several(wanted.ipv4)):
            one = ip_interface(text)
            servers = of_version(several(wanted.dns), 4)
            words = (str(one.ip), "" if number else gateway, str(one.network.prefixlen), *servers)
            options.append(f"{adapter.mac}:ip:{','.join(words)}")
            changes.append(f"Windows gives itself the address {text} on the adapter {adapter.mac} at its first boot.")
        if left := left_out(wanted):
            warnings.append(f"Windows isn't given {left} on the adapter {adapter.mac}: set them in the guest.")
    macs = frozenset(adapter.mac for adapter in adapters if adapter.wanted is not None)
    return Given(tuple(options), tuple(changes), tuple(warnings), macs)


def left_out(wanted: Addressing) -> str:
    """Return what of it can't be set, in words; "" when all can."""
    parts = (("addresses of IPv6", wanted.ipv6), ("routes", wanted.routes))
    return " and ".join(name for name, value in parts if value)


def renumber(found: Iterable[StaticAddresses], rules: Renumbering) -> list[StaticAddresses]:
    """Return the addresses that Windows has, as they are on the networks that others became."""
    if not rules.networks:
        return list(found)
    return [
        replace(
            one,
            addresses=tuple(_moved(address, rules) for address in one.addresses),
            gateways=tuple(rules.moved_gateway(hop) or hop for hop in one.gateways),
            name_servers=tuple(rules.moved(server) or server for server in one.name_servers),
        )
        for one in found
    ]


def without_given(found: Iterable[StaticAddresses], adapters: Sequence[AdapterInGuest]) -> list[StaticAddresses]:
    """Leaves out the interfaces of adapters that are given other addresses."""
    had = {address for adapter in adapters if adapter.wanted is not None for address in adapter.addresses}
    return [one for one in found if not had & {address.partition("/")[0] for address in one.addresses}]


def _moved(address: str, rules: Renumbering) -> str:
    host, _, length = address.partition("/")
    new = rules.moved(host)
    return address if new is None else f"{new}/{length}"


def keep_addresses(found: Iterable[StaticAddresses], nics: Sequence[NicAddresses]) -> Given:
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
    return Given(tuple(options), tuple(changes), tuple(warnings))
