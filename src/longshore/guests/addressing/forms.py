"""The common parts of all forms of network configuration."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_interface
from typing import Literal, Protocol

from longshore.model.addresses import Addressing

Files = Mapping[str, str]  # texts by their paths
Changed = dict[str, str | None]  # likewise; None: the file goes
Wanted = Addressing | Literal["dhcp"]


class NotUnderstood(Exception):
    """A guest's network configuration isn't one that can be changed; the text says why, to go after a colon."""


@dataclass(frozen=True, slots=True)
class FoundInterface:
    """An interface that files configure."""

    key: str  # by which its module knows it
    names: tuple[str, ...] = ()  # or patterns of names
    macs: tuple[str, ...] = ()  # lower case
    addresses: tuple[str, ...] = ()  # without prefix length
    dhcp: bool = False
    upper: str = ""  # key of the bridge, bond or team that it is a part of, which then has the addresses
    adapter: bool = True  # False: it is made of others

    def is_called(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self.names)

    @property
    def is_pattern(self) -> bool:
        """Tell whether it may be several adapters, as far as names tell."""
        return not self.macs and any(set("*?[") & set(name) for name in self.names)


class ConfigurationForm(Protocol):
    """A module for one form of configuration."""

    def belongs(self, path: str, /) -> bool:
        """Tell whether a file, by its path, is of this form."""

    def interfaces(self, files: Files, /) -> list[FoundInterface]:
        """Return the interfaces that the files configure. Raises NotUnderstood."""

    def vlans(self, files: Files, /) -> list[str]:
        """Return the names of interfaces on VLANs that the files configure. Raises NotUnderstood."""

    def readdressed(self, files: Files, key: str, wanted: Wanted, /) -> Changed:
        """Return what changes when the interface has these addresses. Raises NotUnderstood."""


def hosts(texts: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses in words such as 192.0.2.7/24; what is none is left out."""
    found = []
    for text in texts:
        try:
            found.append(str(ip_interface(text.strip()).ip))
        except ValueError:
            continue
    return tuple(found)


def of_version(addresses: Iterable[str], version: int) -> list[str]:
    return [one for one in addresses if ip_address(one.partition("/")[0]).version == version]


def shell_values(text: str) -> dict[str, str]:
    """Return the variables of a file that a shell reads, without their quotes; of one that is set twice the last."""
    values = {}
    for line in text.splitlines():
        if found := re.match(r"\s*(?:export\s+)?(\w+)=(.*)$", line):
            values[found[1]] = unquoted(found[2])
    return values


def unquoted(word: str) -> str:
    word = word.strip()
    if word[:1] in ("'", '"'):
        return word[1:].partition(word[0])[0]
    return re.split(r"\s", word, maxsplit=1)[0]


def with_variables(text: str, dropped: "re.Pattern[str]", lines: Iterable[str]) -> str:
    """Return the text with other variables: `lines` stand where the first of the dropped variables stood, or at the
    end."""
    kept: list[str] = []
    place: int | None = None
    for line in text.splitlines():
        found = re.match(r"\s*(?:export\s+)?(\w+)=", line)
        if found and dropped.fullmatch(found[1]):
            place = len(kept) if place is None else place
        else:
            kept.append(line)
    at = len(kept) if place is None else place
    return "\n".join([*kept[:at], *lines, *kept[at:]]) + "\n"
