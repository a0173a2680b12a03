"""New addresses on their way into the confined process that writes them: plain data, read there without any library."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from longshore.model.addresses import AdapterInGuest, Addressing, NewAddresses, Renumbering, Route


def as_plain(new: NewAddresses) -> dict[str, Any]:
    return asdict(new)


def from_plain(data: Mapping[str, Any]) -> NewAddresses:
    """Read what `as_plain` made, also after JSON."""
    adapters = tuple(_adapter(one) for one in data["adapters"])
    return NewAddresses(adapters, Renumbering(**data["renumbering"]))


def _adapter(data: Mapping[str, Any]) -> AdapterInGuest:
    wanted = data["wanted"]
    if isinstance(wanted, Mapping):
        routes = tuple(Route(**route) for route in wanted["routes"])
        wanted = Addressing(**{**wanted, "routes": routes})
    words = {name: tuple(data[name]) for name in ("names", "addresses")}
    return AdapterInGuest(data["mac"], data["old_mac"], **words, wanted=wanted)
