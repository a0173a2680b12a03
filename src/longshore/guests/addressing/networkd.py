"""systemd-networkd's .network files."""

from longshore.guests.addressing.forms import Changed, Files, FoundInterface, NotUnderstood, Wanted, hosts
from longshore.guests.addressing.sections import Section, read_sections, the_section, write_sections
from longshore.model.addresses import Addressing, several

_PLACE = "/etc/systemd/network/"
_DROPPED = {"DHCP", "Address", "Gateway", "DNS", "IPv6AcceptRA"}
_YES = ("yes", "true", "on", "1", "ipv4", "both", "v4")
_MADE_OF = ("bond", "bridge", "team")


def belongs(path: str) -> bool:
    return path.startswith(_PLACE) and path.endswith((".network", ".netdev", ".conf"))


def interfaces(files: Files) -> list[FoundInterface]:
    kinds = _made(files)
    read = {path: read_sections(text) for path, text in sorted(files.items()) if path.endswith(".network")}
    names = {path: the_section(sections, "Match").value("Name").split() for path, sections in read.items()}
    found = []
    for path, sections in read.items():
        match, network = the_section(sections, "Match"), the_section(sections, "Network")
        if any(kinds.get(name, "") not in ("", *_MADE_OF) for name in names[path]):
            continue  # VLANs, tunnels
        upper = network.value("Bond") or network.value("Bridge")
        above = next((other for other, called in names.items() if upper and upper in called), "")
        macs = (match.value("MACAddress") + " " + match.value("PermanentMACAddress")).lower().split()
        words = [v for one in sections if one.name in ("Network", "Address") for k, v in one.values() if k == "Address"]
        patterns = tuple(name for name in names[path] if not name.startswith("!"))
        found.append(
            FoundInterface(
                path,
                patterns or (() if macs else ("*",)),
                tuple(macs),
                hosts(words),
                network.value("DHCP").lower() in _YES,
                above or upper,
                not any(name in kinds for name in names[path]),
            )
        )
    return found


def vlans(files: Files) -> list[str]:
    return [name for name, kind in _made(files).items() if kind == "vlan"]


def _made(files: Files) -> dict[str, str]:
    """Return the kinds of the devices that networkd makes, by their names."""
    devices = [read_sections(text) for path, text in files.items() if path.endswith(".netdev")]
    return {the_section(one, "NetDev").value("Name"): the_section(one, "NetDev").value("Kind") for one in devices}


def readdressed(files: Files, key: str, wanted: Wanted) -> Changed:
    if key not in files:
        raise NotUnderstood(f"there is no {key}")
    if beside := [path for path in files if path.startswith(f"{key}.d/")]:
        raise NotUnderstood(f"{beside[0]} adds to {key}")
    sections = [one for one in read_sections(files[key]) if one.name not in ("Address", "Route")]
    network = the_section(sections, "Network")
    network.without(_DROPPED.__contains__)
    if not isinstance(wanted, Addressing):
        network.put_first(["DHCP=yes"])
        return {key: write_sections(sections)}
    lines = [f"Address={one}" for one in (*several(wanted.ipv4), *several(wanted.ipv6))]
    lines += [f"Gateway={hop}" for hop in several(wanted.gateway)]
    lines += [f"DNS={server}" for server in several(wanted.dns)]
    network.put_first(lines)
    for route in wanted.routes:
        if sections[-1].lines and sections[-1].lines[-1].strip():
            sections[-1].lines.append("")
        sections.append(Section("Route", [f"Destination={route.to}", f"Gateway={route.via}"]))
    return {key: write_sections(sections)}
