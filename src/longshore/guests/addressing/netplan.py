"""Netplan's YAML. What isn't about addresses stays as it is written, comments too, where files have lines for all."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from longshore.border.documents import as_yaml
from longshore.guests.addressing.forms import Changed, Files, FoundInterface, NotUnderstood, Wanted, hosts
from longshore.model.addresses import Addressing, several
from longshore.model.strict_reading import Misread
from longshore.model.strict_yaml import Entries, plain, read_yaml

_ADAPTERS, _MADE_OF = "ethernets", ("bonds", "bridges")
_DROPPED = {
    *("dhcp4", "dhcp6", "addresses", "gateway4", "gateway6", "nameservers", "routes", "dhcp4-overrides"),
    *("dhcp6-overrides", "dhcp-identifier", "accept-ra"),
}


def belongs(path: str) -> bool:
    return path.startswith("/etc/netplan/") and path.endswith(".yaml")


def interfaces(files: Files) -> list[FoundInterface]:
    """Return the interfaces in the files. Raises NotUnderstood."""
    whole: dict[tuple[str, str], dict[str, Any]] = {}
    for path in sorted(files):  # later files add to earlier ones
        for place, entry in _entries(_read(path, files[path])):
            whole.setdefault(place, {}).update(plain(entry))
    return [_found(section, name, entry, whole) for (section, name), entry in whole.items()]


def vlans(files: Files) -> list[str]:
    return [name for path in sorted(files) for (_, name), _ in _entries(_read(path, files[path]), ("vlans",))]


def readdressed(files: Files, key: str, wanted: Wanted) -> Changed:
    section, _, name = key.partition("/")
    having = [p for p in sorted(files) if (section, name) in dict(_entries(_read(p, files[p])))]
    if not having:
        raise NotUnderstood(f"netplan has no {key}")
    search = [word for path in having for word in _search(dict(_entries(_read(path, files[path])))[section, name])]
    return {p: _rewritten(p, files[p], section, name, _new(wanted, search) if p == having[-1] else {}) for p in having}


def _read(path: str, text: str) -> Entries:
    try:
        found = read_yaml(text)
    except Misread as error:
        # What else is said of it may hold a word of the file, and there are passphrases in it
        raise NotUnderstood(f"line {error.line} of {path} isn't YAML as it is read here") from None
    if found is None:
        return Entries(1)
    if not isinstance(found, Entries):
        raise NotUnderstood(f"{path} isn't a table")
    return found


def _entries(
    root: Entries, sections: Iterable[str] = (_ADAPTERS, *_MADE_OF)
) -> Iterator[tuple[tuple[str, str], Entries]]:
    """Yield what is configured, by (section, name)."""
    network = root.get("network")
    if not isinstance(network, Mapping):
        return
    for section in sections:
        named = network.get(section)
        if isinstance(named, Mapping):
            for name, entry in named.items():
                if isinstance(entry, Entries):
                    yield (section, str(name)), entry


def _found(section: str, name: str, entry: Mapping[str, Any], whole: Mapping[tuple[str, str], Any]) -> FoundInterface:
    match = entry.get("match") if isinstance(entry.get("match"), Mapping) else None
    names = [name] if match is None else [str(match["name"])] if "name" in match else []
    names += [str(entry["set-name"])] if "set-name" in entry else []
    macs = [str(match["macaddress"]).lower()] if match is not None and "macaddress" in match else []
    made = ((s, n) for (s, n), one in whole.items() if s in _MADE_OF and name in _words(one.get("interfaces")))
    return FoundInterface(
        f"{section}/{name}",
        tuple(names),
        tuple(macs),
        hosts(_address(one) for one in _words(entry.get("addresses"))),
        entry.get("dhcp4") in (True, "yes", "true"),
        "/".join(next(made, ())),
        section == _ADAPTERS,
    )


def _words(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _address(one: Any) -> str:
    """An address may have settings of its own, below it."""
    return str(next(iter(one), "")) if isinstance(one, Mapping) else str(one)


def _search(entry: Mapping[str, Any]) -> list[Any]:
    servers = entry.get("nameservers")
    return _words(servers.get("search")) if isinstance(servers, Mapping) else []


def _new(wanted: Wanted, search: list[Any]) -> dict[str, Any]:
    if not isinstance(wanted, Addressing):
        return {"dhcp4": True, **({"nameservers": {"search": search}} if search else {})}
    # Older releases know no other word for the way out, and newer ones this as well
    ways = [{"to": "::/0" if ":" in hop else "0.0.0.0/0", "via": hop} for hop in several(wanted.gateway)]
    routes = [*ways, *({"to": route.to, "via": route.via} for route in wanted.routes)]
    servers = {"addresses": list(several(wanted.dns)), "search": search}
    servers = {name: words for name, words in servers.items() if words}
    return {
        "dhcp4": False,
        "dhcp6": False,
        "addresses": [*several(wanted.ipv4), *several(wanted.ipv6)],
        **({"routes": routes} if routes else {}),
        **({"nameservers": servers} if servers else {}),
    }


def _rewritten(path: str, text: str, section: str, name: str, new: Mapping[str, Any]) -> str:
    root = _read(path, text)
    entry = dict(_entries(root))[section, name]
    expected = plain(root)
    there = expected["network"][section]
    there[name] = {key: value for key, value in there[name].items() if key not in _DROPPED} | dict(new)
    if expected == plain(root):
        return text
    by_lines = _by_lines(text, entry, new)
    try:
        if by_lines is not None and plain(read_yaml(by_lines)) == expected:
            return by_lines
    except Misread:
        pass  # it isn't laid out as expected
    return as_yaml(expected)


def _by_lines(text: str, entry: Entries, new: Mapping[str, Any]) -> str | None:
    """Rewrite a table line by line. Returns None for a table that isn't written in lines of its own."""
    lines = text.splitlines()
    first = min(entry.lines.values(), default=0)
    if not first or lines[first - 1].lstrip()[:1] in ("{", "") or len(set(entry.lines.values())) < len(entry.lines):
        return None
    indent = _indent(lines[first - 1])
    gone: set[int] = set()
    for key in _DROPPED & set(entry):
        start = entry.lines[key] - 1
        gone.update(range(start, _end_of(lines, start, indent)))
    place = min(gone, default=first - 1)
    # JSON is YAML, and quotes what could be taken for something else
    said = [f"{' ' * indent}{key}: {json.dumps(value)}" for key, value in new.items()]
    kept = [(number, line) for number, line in enumerate(lines) if number not in gone]
    before = [line for number, line in kept if number < place]
    return "\n".join([*before, *said, *(line for number, line in kept if number >= place)]) + "\n"


def _end_of(lines: list[str], start: int, indent: int) -> int:
    """Return the line after what belongs to the key there; comments and empty lines behind it belong to what
    follows."""
    end = start + 1
    for number in range(start + 1, len(lines)):
        line = lines[number]
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        deeper = _indent(line) > indent or (_indent(line) == indent and line.lstrip().startswith("- "))
        if not deeper:
            break
        end = number + 1
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
