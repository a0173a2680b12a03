"""Files ifcfg-NAME and ifroute-NAME of SUSE, which wicked reads. Its own XML isn't known here."""

import re
from collections.abc import Iterator, Mapping

from longshore.guests.addressing.forms import (
    Changed,
    Files,
    FoundInterface,
    NotUnderstood,
    Wanted,
    hosts,
    shell_values,
    with_variables,
)
from longshore.model.addresses import Addressing, several

_PLACE = "/etc/sysconfig/network/"
_ROUTES, _CONFIG = f"{_PLACE}routes", f"{_PLACE}config"
_DROPPED = re.compile(r"BOOTPROTO|(?:IPADDR|PREFIXLEN|NETMASK|BROADCAST|NETWORK|LABEL|REMOTE_IPADDR|SCOPE)(?:_?\w+)?")
_ADDRESS = re.compile(r"IPADDR(?:_?\w+)?")
_PARTS = re.compile(r"BRIDGE_PORTS|BONDING_SLAVE_?\w*|TEAM_PORT_DEVICE_?\w*|OVS_BRIDGE_PORT_DEVICE_?\w*")
_SERVERS = "NETCONFIG_DNS_STATIC_SERVERS"


def belongs(path: str) -> bool:
    name = path.removeprefix(_PLACE)
    return path.startswith(_PLACE) and "/" not in name and not name.endswith(("~", ".bak", ".orig", ".rpmnew"))


def interfaces(files: Files) -> list[FoundInterface]:
    read = _read(files)
    uppers = {
        part: name
        for name, values in read.items()
        for variable, value in values.items()
        if _PARTS.fullmatch(variable)
        for part in value.split()
    }
    return [
        FoundInterface(
            name,
            (name,),
            (values["LLADDR"].lower(),) if values.get("LLADDR") else (),
            hosts(value for variable, value in values.items() if _ADDRESS.fullmatch(variable)),
            values.get("BOOTPROTO", "").startswith("dhcp"),
            uppers.get(name, ""),
            not any(_PARTS.fullmatch(variable) for variable in values) and "BONDING_MASTER" not in values,
        )
        for name, values in read.items()
        if not _is_vlan(values)
    ]


def vlans(files: Files) -> list[str]:
    return [name for name, values in _read(files).items() if _is_vlan(values)]


def _read(files: Files) -> dict[str, dict[str, str]]:
    return {
        path.removeprefix(f"{_PLACE}ifcfg-"): shell_values(text)
        for path, text in files.items()
        if path.startswith(f"{_PLACE}ifcfg-") and not path.endswith((".template", "-lo"))
    }


def _is_vlan(values: Mapping[str, str]) -> bool:
    return "ETHERDEVICE" in values


def readdressed(files: Files, key: str, wanted: Wanted) -> Changed:
    path, routes_path = f"{_PLACE}ifcfg-{key}", f"{_PLACE}ifroute-{key}"
    if path not in files:
        raise NotUnderstood(f"there is no {path}")
    before = {name for one in interfaces(files) if one.key == key for name in one.addresses}
    changed: Changed = {path: with_variables(files[path], _DROPPED, _variables(wanted))}
    if routes_path in files:
        changed[routes_path] = None
    if isinstance(wanted, Addressing):
        lines = [f"default {hop} - {key}" for hop in several(wanted.gateway)]
        lines += [f"{route.to} {route.via} - {key}" for route in wanted.routes]
        if lines:
            changed[routes_path] = "\n".join(lines) + "\n"
        if wanted.dns and _CONFIG in files:
            servers = f'{_SERVERS}="{" ".join(several(wanted.dns))}"'
            changed[_CONFIG] = with_variables(files[_CONFIG], re.compile(_SERVERS), [servers])
    if _ROUTES in files:
        # Those for all interfaces: what leads out through a network that this one was in leads nowhere any more
        left = [line for line in files[_ROUTES].splitlines() if not _leads_out(line, key, before)]
        text = "".join(f"{line}\n" for line in left)
        if text != files[_ROUTES]:
            changed[_ROUTES] = text
    return changed


def _leads_out(line: str, key: str, addresses: set[str]) -> bool:
    """Tell whether a route leads out by this interface."""
    words = line.split()
    if len(words) < 2 or words[0].startswith("#"):
        return False
    if len(words) > 3 and words[3] == key:
        return True
    near = {one.rpartition("." if "." in one else ":")[0] for one in addresses}
    return words[1].rpartition("." if "." in words[1] else ":")[0] in near


def _variables(wanted: Wanted) -> Iterator[str]:
    if not isinstance(wanted, Addressing):
        yield "BOOTPROTO='dhcp'"
        return
    yield "BOOTPROTO='static'"
    for number, address in enumerate((*several(wanted.ipv4), *several(wanted.ipv6))):
        yield f"IPADDR{f'_{number}' if number else ''}='{address}'"
