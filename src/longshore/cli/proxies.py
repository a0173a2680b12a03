"""longshore proxy …: machines of a vSphere that disks are attached to, and read there."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from longshore.cli.command import Lister


class ListProxies(Lister):
    """List the proxies of a provider as its vCenter knows them: what is attached to each now, and for how many disks
    more it has room.

    No proxy is connected to or changed: longshore provider check does that.
    """

    examples = ("longshore proxy list vc",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="the provider's name")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        rows = [
            (p.name, p.ref, p.power, p.host, p.address, p.room, "\n".join(p.attached), p.trouble)
            for p in self.client.proxies(args.provider)
        ]
        return ("Proxy", "Reference", "Power", "Host", "Address", "Room", "Attached", "Trouble"), rows
