"""/etc/network/interfaces of Debian and Alpine, with the files beside it."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_interface

from longshore.guests.addressing.forms import Changed, Files, FoundInterface, NotUnderstood, Wanted, hosts, of_version
from longshore.model.addresses import Addressing, several

_MAIN = "/etc/network/interfaces"
_BEGINS = ("iface", "auto", "mapping", "source", "source-directory", "no-auto-down", "no-scripts", "rename", "template")
_DROPPED = {"address", "netmask", "broadcast", "network", "gateway", "dns-nameservers", "dns-nameserver", "metric"}
_DROPPED |= {"autoconf", "accept_ra", "privext", "dad-attempts", "scope", "pointopoint"}
_COMMANDS = {"up", "post-up", "pre-up", "down", "post-down", "pre-down"}
_ROUTES = re.compile(r"(?:/\S*/)?(?:ip(?:\s+-[46])?\s+(?:route|addr|address|a|r)|route)\s")
_PORTS = ("bridge_ports", "bridge-ports", "bond-slaves", "bond_slaves", "slaves")


@dataclass
class _Stanza:
    """One `iface`, or what stands between two of them."""

    name: str = ""  # "": no iface
    family: str = ""
    method: str = ""
    head: str = ""
    body: list[str] = field(default_factory=list)

    def options(self) -> Iterator[tuple[str, str]]:
        for line in self.body:
            words = line.split(None, 1)
            if words and not words[0].startswith("#"):
                yield words[0], words[1].strip() if len(words) > 1 else ""

    def lines(self) -> list[str]:
        return [self.head, *self.body] if self.name else self.body


def belongs(path: str) -> bool:
    return path == _MAIN or path.startswith(f"{_MAIN}.d/")


def interfaces(files: Files) -> list[FoundInterface]:
    stanzas = [one for text in files.values() for one in _stanzas(text) if one.name]
    uppers = {
        part: one.name
        for one in stanzas
        for option, value in one.options()
        if option in _PORTS
        for part in value.split()
    }
    uppers |= {one.name: value for one in stanzas for option, value in one.options() if option == "bond-master"}
    made = set(uppers.values())
    found = []
    for name in dict.fromkeys(one.name.partition(":")[0] for one in stanzas):
        own = [one for one in stanzas if one.name.partition(":")[0] == name]
        options = [pair for one in own for pair in one.options()]
        if name == "lo" or any(one.method == "loopback" for one in own) or "." in name or _is_vlan(options):
            continue
        found.append(
            FoundInterface(
                name,
                (name,),
                tuple(value.split()[-1].lower() for option, value in options if option == "hwaddress" and value),
                hosts(value.split()[0] for option, value in options if option == "address" and value),
                any(one.family == "inet" and one.method == "dhcp" for one in own),
                uppers.get(name, ""),
                name not in made and not any(option in _PORTS for option, _ in options),
            )
        )
    return found


def vlans(files: Files) -> list[str]:
    stanzas = [one for text in files.values() for one in _stanzas(text) if one.name]
    return [one.name.partition(":")[0] for one in stanzas if "." in one.name or _is_vlan(one.options())]


def _is_vlan(options: Iterable[tuple[str, str]]) -> bool:
    return any(option in ("vlan-raw-device", "vlan_raw_device") for option, _ in options)


def readdressed(files: Files, key: str, wanted: Wanted) -> Changed:
    parsed = {path: _stanzas(text) for path, text in files.items()}
    own = [(path, one) for path, them in parsed.items() for one in them if one.name.partition(":")[0] == key]
    if not own:
        raise NotUnderstood(f"{_MAIN} has no {key}")
    if any("inherits" in one.head.split() for _, one in own):
        raise NotUnderstood(f"{key} inherits what it is from another interface in {_MAIN}")
    first_path, first = own[0]
    kept = {
        family: [
            line
            for _, one in own
            if one.family == family and ":" not in one.name
            for line in one.body
            if not _is_about_addresses(line)
        ]
        for family in ("inet", "inet6")
    }
    automatic6 = any(one.family == "inet6" and one.method in ("auto", "dhcp") for _, one in own)
    new = _written(key, wanted, kept, automatic6)
    ours = {id(one) for _, one in own}
    changed: Changed = {}
    for path, them in parsed.items():
        if not any(id(one) in ours for one in them) and not any(_names_alias(one, key) for one in them):
            continue
        lines: list[str] = []
        for one in them:
            if one is first and path == first_path:
                lines += new
            elif id(one) not in ours:
                lines += _without_aliases(one, key)
        changed[path] = "\n".join(lines) + "\n"
    return changed


def _stanzas(text: str) -> list[_Stanza]:
    """Return all stanzas of the file, in order. What stands behind the last option of a stanza, comments too, is no
    part of it."""
    found = [_Stanza()]
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    for line in lines:
        words = line.split()
        begins = bool(words) and (words[0] in _BEGINS or words[0].startswith("allow-"))
        if begins:
            _split_tail(found)
        if begins and words[0] == "iface" and len(words) > 1:
            rest = [*words[2:], "", ""]
            family, method = (rest[0], rest[1]) if rest[0] in ("inet", "inet6") else ("inet", "auto")
            found.append(_Stanza(words[1], family, method, line))
        else:
            found[-1].body.append(line)
    _split_tail(found)
    return found


def _split_tail(found: list[_Stanza]) -> None:
    if not found[-1].name:
        return
    body = found[-1].body
    end = len(body)
    while end and (not body[end - 1].strip() or body[end - 1].startswith("#")):
        end -= 1
    found[-1].body, tail = body[:end], body[end:]
    found.append(_Stanza(body=tail))


def _is_about_addresses(line: str) -> bool:
    words = line.split(None, 1)
    if not words:
        return False
    return words[0] in _DROPPED or (words[0] in _COMMANDS and len(words) > 1 and _ROUTES.match(words[1]) is not None)


def _names_alias(one: _Stanza, key: str) -> bool:
    return not one.name and any(word.startswith(f"{key}:") for line in one.body for word in line.split())


def _without_aliases(one: _Stanza, key: str) -> list[str]:
    """Return a stanza's lines without labels such as eth0:1, so that they aren't brought up any more."""
    if one.name:
        return one.lines()
    lines = []
    for line in one.body:
        words = line.split()
        if words and (words[0] == "auto" or words[0].startswith("allow-")):
            left = [word for word in words[1:] if not word.startswith(f"{key}:")]
            if len(left) < len(words) - 1:
                if left:
                    lines.append(" ".join([words[0], *left]))
                continue
        lines.append(line)
    return lines


def _written(key: str, wanted: Wanted, kept: dict[str, list[str]], automatic6: bool) -> list[str]:
    if not isinstance(wanted, Addressing):
        lines = [f"iface {key} inet dhcp", *kept["inet"]]
        return [*lines, f"iface {key} inet6 auto", *kept["inet6"]] if automatic6 or kept["inet6"] else lines
    four = _family(key, 4, several(wanted.ipv4), wanted, kept["inet"])
    six = _family(key, 6, several(wanted.ipv6), wanted, kept["inet6"])
    if not several(wanted.ipv6) and automatic6:
        six = [f"iface {key} inet6 auto", *kept["inet6"]]
    return [*four, *six]


def _family(key: str, version: int, addresses: tuple[str, ...], wanted: Addressing, kept: list[str]) -> list[str]:
    family = "inet" if version == 4 else "inet6"
    if not addresses:
        return [f"iface {key} {family} manual", *kept] if kept or version == 4 else []
    both = several(wanted.ipv4) and several(wanted.ipv6)
    servers = of_version(several(wanted.dns), version) if both else several(wanted.dns)
    lines = []
    for number, text in enumerate(addresses):
        one = ip_interface(text)
        mask = str(one.netmask) if version == 4 else str(one.network.prefixlen)
        lines += [f"iface {key} {family} static", f"    address {one.ip}", f"    netmask {mask}"]
        if number:
            continue
        lines += [f"    gateway {hop}" for hop in of_version(several(wanted.gateway), version)]
        lines += [f"    dns-nameservers {' '.join(servers)}"] if servers else []
        command = "ip route add" if version == 4 else "ip -6 route add"
        lines += [
            f"    up {command} {route.to} via {route.via} dev {key}"
            for route in wanted.routes
            if of_version([route.via], version)
        ]
        lines += kept
    return lines
