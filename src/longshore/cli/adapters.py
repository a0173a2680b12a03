"""Options about single network adapters and their addresses: MAC=dhcp, MAC,ipv4=…,gateway=…"""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING, Literal

from longshore.cli.arguments import with_mapping
from longshore.model.addresses import DHCP, AdapterWishes, Addressing, Route

if TYPE_CHECKING:
    from argparse import _ArgumentGroup as ArgumentGroup

_ADAPTER = "MAC,WISH[,…]"
_ADDRESS = "MAC=dhcp|MAC,ipv4=…[,…]"


def with_adapters(group: ArgumentGroup) -> None:
    group.add_argument(
        "--adapter",
        action="append",
        default=[],
        type=_adapter,
        metavar=_ADAPTER,
        help="what becomes of the adapter with this MAC: network=NAME, subnet=NAME, leave-out, unplugged, plugged",
    )
    for option, whom in (("--address", "the guest's adapter"), ("--test-address", "the same in dry runs and tests,")):
        group.add_argument(
            option,
            action="append",
            default=[],
            type=_address,
            metavar=_ADDRESS,
            help=f"what {whom} with this MAC has from now on, its port too: dhcp, or ipv4=ADDRESS/LENGTH, "
            "ipv6=ADDRESS/LENGTH, gateway=ADDRESS, dns=ADDRESS, route=NETWORK>ADDRESS, each of them several times",
        )
    said = "a network that becomes another of its size in the guest: hosts keep their part of the address"
    with_mapping(group, "--readdress", "NETWORK=NETWORK", said)
    with_mapping(group, "--test-readdress", "NETWORK=NETWORK", "the same in dry runs and tests")


def _adapter(text: str) -> tuple[str, AdapterWishes]:
    mac, *words = text.split(",")
    wishes: dict[str, str | bool] = {}
    for word in words:
        name, equals, value = word.strip().partition("=")
        if name in ("network", "subnet") and value:
            wishes[name] = value
        elif name in ("leave-out", "unplugged", "plugged") and not equals:
            wishes[name.replace("-", "_")] = True
        else:
            raise ArgumentTypeError(f'"{word}" is none of network=NAME, subnet=NAME, leave-out, unplugged, plugged')
    if not wishes:
        raise ArgumentTypeError(f'"{text}" says of no adapter what becomes of it: {_ADAPTER}')
    return mac.strip(), AdapterWishes(**wishes)  # type: ignore[arg-type]


def _address(text: str) -> tuple[str, Addressing | Literal["dhcp"]]:
    mac, equals, word = text.partition("=")
    if equals and word.strip() == DHCP and "," not in mac:
        return mac.strip(), DHCP
    mac, *words = text.split(",")
    said: dict[str, list[str]] = {}
    for word in words:
        name, _, value = word.strip().partition("=")
        if name not in ("ipv4", "ipv6", "gateway", "dns", "route") or not value:
            raise ArgumentTypeError(f'"{word}" is none of ipv4=…, ipv6=…, gateway=…, dns=…, route=NETWORK>ADDRESS')
        said.setdefault(name, []).append(value.strip())
    if not said:
        raise ArgumentTypeError(f'"{text}" names no addresses: {_ADDRESS}')
    routes = tuple(_route(one) for one in said.pop("route", []))
    return mac.strip(), Addressing(**{name: tuple(found) for name, found in said.items()}, routes=routes)


def _route(text: str) -> Route:
    to, arrow, via = text.partition(">")
    if not arrow:
        raise ArgumentTypeError(f'"{text}" isn\'t a route: NETWORK>ADDRESS, such as 10.0.0.0/8>198.51.100.2')
    return Route(to.strip(), via.strip())
