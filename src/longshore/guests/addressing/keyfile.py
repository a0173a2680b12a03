"""NetworkManager's keyfiles."""

import re
from collections.abc import Iterator

from longshore.guests.addressing.forms import Changed, Files, FoundInterface, NotUnderstood, Wanted, hosts, of_version
from longshore.guests.addressing.sections import Section, read_sections, the_section, write_sections
from longshore.model.addresses import Addressing, several

_PLACE = "/etc/NetworkManager/system-connections/"
_DROPPED = re.compile(
    r"method|address\d*|addresses\d*|gateway|dns|route\d+(?:_options)?|routes\d*|address-data|route-data"
)
_ETHERNET = ("ethernet", "802-3-ethernet")
_MADE_OF = ("bond", "bridge", "team")
# Of IPv6: what stays where nothing is said of it
_STAYS = ("ignore", "disabled", "link-local", "auto", "dhcp", "shared")


def belongs(path: str) -> bool:
    name = path.removeprefix(_PLACE)
    return path.startswith(_PLACE) and "/" not in name and not name.startswith(".") and not name.endswith(("~", ".bak"))


def interfaces(files: Files) -> list[FoundInterface]:
    read = {path: read_sections(text) for path, text in files.items()}
    connections = {path: the_section(sections, "connection") for path, sections in read.items()}
    keys = {
        one.value(name): path
        for path, one in connections.items()
        for name in ("id", "interface-name", "uuid")
        if one.value(name)
    }
    found = []
    for path, sections in read.items():
        connection = connections[path]
        kind = connection.value("type")
        if kind not in (*_ETHERNET, *_MADE_OF):
            continue
        four = the_section(sections, "ipv4")
        cable = next((one for one in sections if one.name in _ETHERNET), Section(""))
        name, mac = connection.value("interface-name"), cable.value("mac-address").lower()
        upper = connection.value("master") or connection.value("controller")
        words = [v for one in sections if one.name in ("ipv4", "ipv6") for k, v in one.values() if _is_address(k)]
        # One that is bound to nothing is for any adapter
        found.append(
            FoundInterface(
                path,
                (name,) if name else () if mac else ("*",),
                (mac,) if mac else (),
                hosts(word.partition(",")[0] for value in words for word in value.split(";")),
                four.value("method") == "auto",
                keys.get(upper, upper) if upper else "",
                kind in _ETHERNET,
            )
        )
    return found


def vlans(files: Files) -> list[str]:
    connections = [the_section(read_sections(text), "connection") for text in files.values()]
    return [one.value("interface-name") or one.value("id") for one in connections if one.value("type") == "vlan"]


def _is_address(key: str) -> bool:
    return re.fullmatch(r"address(?:es)?\d*", key) is not None


def readdressed(files: Files, key: str, wanted: Wanted) -> Changed:
    if key not in files:
        raise NotUnderstood(f"there is no {key}")
    sections = read_sections(files[key])
    for name, version in (("ipv4", 4), ("ipv6", 6)):
        section = the_section(sections, name)
        method = section.value("method")
        section.without(lambda key: _DROPPED.fullmatch(key) is not None)
        section.put_first(_lines(wanted, version, method))
    return {key: write_sections(sections)}


def _lines(wanted: Wanted, version: int, method: str) -> Iterator[str]:
    if not isinstance(wanted, Addressing):
        yield "method=auto" if version == 4 else f"method={method if method in _STAYS else 'auto'}"
        return
    addresses = several(wanted.ipv4 if version == 4 else wanted.ipv6)
    if addresses:
        yield "method=manual"
    elif version == 4:
        yield "method=disabled"
    else:
        yield f"method={method if method in _STAYS else 'auto'}"
    for number, address in enumerate(addresses, 1):
        yield f"address{number}={address}"
    for hop in of_version(several(wanted.gateway), version):
        yield f"gateway={hop}"
    if servers := of_version(several(wanted.dns), version):
        yield f"dns={';'.join(servers)};"
    routes = [one for one in wanted.routes if of_version([one.via], version)]
    for number, route in enumerate(routes, 1):
        yield f"route{number}={route.to},{route.via}"
