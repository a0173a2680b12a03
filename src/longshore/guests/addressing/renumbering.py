"""All that a guest's network configuration says of networks that become others: addresses, gateways, routes, servers.

Words are changed and nothing else, whatever the form of the file: VLANs, bridges and bonds, and what stands beside the
addresses, stay as they are.
"""

import re
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network

from longshore.guests.addressing.forms import Files
from longshore.guests.addressing.sections import read_sections
from longshore.model.addresses import Renumbering

_WORD = re.compile(
    r"(?<![\w.:/-])(?P<address>\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7})"
    r"(?:/(?P<length>\d{1,3}))?(?![\w.:-])"
)
_IP = r"""["']?([0-9a-fA-F.:]+)"""
_DEFAULT = r"""["']?(?:default|0\.0\.0\.0/0|::/0)["']?"""
_WAYS_OUT = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        rf"^\s*gateway\s+{_IP}",  # ifupdown
        rf"gateway[46]:\s*{_IP}",  # netplan
        rf"to:\s*{_DEFAULT}[\s,]*via:\s*{_IP}",
        rf"via:\s*{_IP}[\"']?[\s,]*to:\s*{_DEFAULT}",
        rf"(?:default|0\.0\.0\.0/0|::/0)\s+(?:via|gw)\s+{_IP}",  # commands, route-NAME
        rf"^\s*(?:GATEWAY\d*|IPV6_DEFAULTGW|gateway)\s*=\s*{_IP}",  # ifcfg, keyfiles
        rf"^\s*(?:default|0\.0\.0\.0/0|::/0)\s+{_IP}\s",  # SUSE
        rf"^\s*address\d+\s*=\s*[^,\n]+,{_IP}",  # keyfiles
        rf"^\s*route\d+\s*=\s*(?:0\.0\.0\.0/0|::/0),{_IP}",
    )
)


def renumbered(files: Files, rules: Renumbering) -> dict[str, str]:
    """Return the texts that change."""
    ways_out = {one for path, text in files.items() for one in _ways_out(path, _without_comments(text))}
    changed = {}
    for path, text in files.items():
        lines = [
            line if _is_comment(line) else _WORD.sub(lambda word: _moved(word, rules, ways_out), line)
            for line in text.splitlines(keepends=True)
        ]
        if (new := "".join(lines)) != text:
            changed[path] = new
    return changed


def _ways_out(path: str, text: str) -> Iterator[str]:
    if path.endswith(".network"):
        for section in read_sections(text):
            if section.name == "Network" or not section.value("Destination"):
                yield from (value for key, value in section.values() if key == "Gateway")
        return
    of_routes = "/route-" in path  # whose GATEWAY0 goes with an ADDRESS0
    for number, pattern in enumerate(_WAYS_OUT):
        if not (of_routes and number == 5):
            yield from pattern.findall(text)


def _without_comments(text: str) -> str:
    return "\n".join("" if _is_comment(line) else line for line in text.splitlines())


def _is_comment(line: str) -> bool:
    return line.lstrip()[:1] in ("#", ";")


def _moved(word: "re.Match[str]", rules: Renumbering, ways_out: set[str]) -> str:
    address, length = word["address"], word["length"]
    try:
        ip_address(address)
        if length is not None and _is_larger_network(f"{address}/{length}", rules):
            return word[0]
    except ValueError:  # a MAC, a version
        return word[0]
    new = rules.moved_gateway(address) if address in ways_out else rules.moved(address)
    if new is None:
        return word[0]
    return new if length is None else f"{new}/{length}"


def _is_larger_network(text: str, rules: Renumbering) -> bool:
    """Tell whether a network has more in it than what moves, and so is none that does."""
    one = ip_interface(text)
    if one.ip != one.network.network_address:
        return False
    return any(
        one.version == ip_network(before).version and one.network.prefixlen < ip_network(before).prefixlen
        for before in rules.networks
    )
