"""Files ifcfg-NAME: network-scripts of RHEL and its kin, which NetworkManager reads as well."""

import re
from collections.abc import Iterator, Mapping

from longshore.guests.addressing.forms import (
    Changed,
    Files,
    FoundInterface,
    NotUnderstood,
    Wanted,
    hosts,
    of_version,
    shell_values,
    with_variables,
)
from longshore.model.addresses import Addressing, several

_PLACE = "/etc/sysconfig/network-scripts/"
_GLOBAL = "/etc/sysconfig/network"  # a file here, a directory on SUSE
_DROPPED = re.compile(
    r"BOOTPROTO|(?:IPADDR|PREFIX|NETMASK|GATEWAY|BROADCAST|NETWORK|SCOPE)\d*|DNS\d+|IPV6ADDR(?:_SECONDARIES)?"
    r"|IPV6_DEFAULTGW|IPV6_AUTOCONF|IPV6INIT|DHCPV6C|ARPCHECK"
)
_OF_SETTINGS = re.compile(r"(?:IPADDR\d*|IPV6ADDR(?:_SECONDARIES)?)")


def belongs(path: str) -> bool:
    name = path.removeprefix(_PLACE)
    return path == _GLOBAL or (
        path.startswith(_PLACE) and "/" not in name and not name.endswith(("~", ".bak", ".orig"))
    )


def interfaces(files: Files) -> list[FoundInterface]:
    read = {path.removeprefix(_PLACE): shell_values(text) for path, text in files.items() if _is_interface(path)}
    keys = {values.get("DEVICE") or name.removeprefix("ifcfg-"): name for name, values in read.items()}
    found = []
    for name, values in read.items():
        device = values.get("DEVICE", "")
        if device == "lo" or name == "ifcfg-lo" or ":" in name or _is_vlan(values):
            continue
        if values.get("TYPE", "").lower() in ("infiniband", "sit", "gre", "ipip", "tun", "tap"):
            continue
        upper = (
            values.get("MASTER") or values.get("BRIDGE") or values.get("TEAM_MASTER") or values.get("OVS_BRIDGE") or ""
        )
        kind = values.get("TYPE", "Ethernet").lower()
        shown = device or ("" if "HWADDR" in values else name.removeprefix("ifcfg-"))
        words = [value for key, value in values.items() if _OF_SETTINGS.fullmatch(key)]
        words += [value for alias in _aliases(files, device) for value in _addresses_in(files[alias])]
        found.append(
            FoundInterface(
                name,
                (shown,) if shown else (),
                (values["HWADDR"].lower(),) if values.get("HWADDR") else (),
                hosts(word for value in words for word in value.split()),
                values.get("BOOTPROTO", "").lower() in ("dhcp", "bootp"),
                keys.get(upper, f"ifcfg-{upper}") if upper else "",
                kind == "ethernet" and "BONDING_OPTS" not in values and not device.startswith(("bond", "team", "br")),
            )
        )
    return found


def vlans(files: Files) -> list[str]:
    read = {path.removeprefix(_PLACE): shell_values(text) for path, text in files.items() if _is_interface(path)}
    return [v.get("DEVICE") or name.removeprefix("ifcfg-") for name, v in read.items() if _is_vlan(v)]


def _is_vlan(values: Mapping[str, str]) -> bool:
    return values.get("VLAN", "").lower() in ("yes", "true", "1") or values.get("TYPE", "").lower() == "vlan"


def readdressed(files: Files, key: str, wanted: Wanted) -> Changed:
    path = f"{_PLACE}{key}"
    if path not in files:
        raise NotUnderstood(f"there is no {path}")
    device = shell_values(files[path]).get("DEVICE") or key.removeprefix("ifcfg-")
    suffix = key.removeprefix("ifcfg-")
    changed: Changed = {path: with_variables(files[path], _DROPPED, _variables(wanted))}
    changed.update(dict.fromkeys(_aliases(files, device)))
    for kind, version in (("route", 4), ("route6", 6)):
        names = [f"{_PLACE}{kind}-{name}" for name in dict.fromkeys((suffix, device))]
        there = [name for name in names if name in files]
        routes = wanted.routes if isinstance(wanted, Addressing) else ()
        lines = [f"{one.to} via {one.via} dev {device}" for one in routes if of_version([one.via], version)]
        changed.update(dict.fromkeys(there))
        if lines:
            changed[(there or names)[0]] = "\n".join(lines) + "\n"
    if _GLOBAL in files and isinstance(wanted, Addressing):
        changed.update(_way_out_for_all(files[_GLOBAL], wanted))
    return changed


def _way_out_for_all(text: str, wanted: Addressing) -> Changed:
    """Set the gateway in the file for all interfaces, where it names one: that comes before this interface's own."""
    new = text
    for name, version in (("GATEWAY", 4), ("IPV6_DEFAULTGW", 6)):
        hops = of_version(several(wanted.gateway), version)
        if hops and name in shell_values(new):
            new = with_variables(new, re.compile(name), [f"{name}={hops[0]}"])
    return {_GLOBAL: new} if new != text else {}


def _is_interface(path: str) -> bool:
    return path.startswith(f"{_PLACE}ifcfg-")


def _aliases(files: Files, device: str) -> list[str]:
    """Return the files of further addresses, each called after a label: ifcfg-eth0:1."""
    return [path for path in files if device and path.startswith(f"{_PLACE}ifcfg-{device}:")]


def _addresses_in(text: str) -> list[str]:
    return [value for key, value in shell_values(text).items() if _OF_SETTINGS.fullmatch(key)]


def _variables(wanted: Wanted) -> Iterator[str]:
    if not isinstance(wanted, Addressing):
        yield "BOOTPROTO=dhcp"
        return
    yield "BOOTPROTO=none"
    for number, text in enumerate(several(wanted.ipv4)):
        address, _, length = text.partition("/")
        count = number or ""
        yield f"IPADDR{count}={address}"
        yield f"PREFIX{count}={length}"
    for hop in of_version(several(wanted.gateway), 4):
        yield f"GATEWAY={hop}"
    first, *others = (*several(wanted.ipv6), "")
    if first:
        yield from ("IPV6INIT=yes", "IPV6_AUTOCONF=no", f"IPV6ADDR={first}")
        if len(others) > 1:
            yield f'IPV6ADDR_SECONDARIES="{" ".join(others[:-1])}"'
    for hop in of_version(several(wanted.gateway), 6):
        yield f"IPV6_DEFAULTGW={hop}"
    for number, server in enumerate(several(wanted.dns), 1):
        yield f"DNS{number}={server}"
