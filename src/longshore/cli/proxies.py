"""longshore proxy …: machines of a vSphere that disks are attached to, and read there: made, listed, deleted."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from longshore.cli.command import Delete, Lister, ShowOne
from longshore.cli.migrations import watched


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


class CreateProxy(ShowOne):
    """Make a proxy of the relay's image at a provider's vCenter, and power it on.

    The image is uploaded by vSphere's own import. Where it fails or is cancelled, nothing is left of it. The provider's
    settings aren't changed: name the proxy to it afterwards.
    """

    awaits = True
    examples = (
        "longshore proxy create vc longshore-proxy --host esx1.example --datastore datastore1 "
        "--network 'VM Network' --address 192.0.2.10/24 --gateway 192.0.2.1",
    )

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="the provider's name")
        parser.add_argument("name", help="what to call the machine")
        parser.add_argument(
            "--host", required=True, help="the ESXi host that it runs on, and whose datastores it reaches"
        )
        parser.add_argument("--datastore", required=True, metavar="NAME", help="where its own disk goes")
        parser.add_argument("--network", required=True, metavar="NAME", help="in which Longshore reaches it")
        parser.add_argument("--address", metavar="ADDRESS/PREFIX", required=True, help="the address that it is to have")
        parser.add_argument(
            "--gateway", metavar="ADDRESS", help="its router; not needed where Longshore is in the same network"
        )
        parser.add_argument(
            "--image",
            metavar="FILE",
            help="what was built (default: relay.qcow2 in the user's cache; a server has its own, and takes no other)",
        )
        parser.add_argument("--plain", action="store_true", help="lines instead of bars")

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.schemas import NewProxy

        words = ("name", "host", "datastore", "network", "address", "gateway")
        image = str(Path(args.image).absolute()) if args.image else None
        wanted = NewProxy(**{word: getattr(args, word) for word in words}, image=image)
        begun = self.client.create_proxy(args.provider, wanted)
        done = watched(self, begun, plain=args.plain)
        return {
            "proxy": args.name,
            "reference": (done.result or {}).get("reference"),
            "next": self.as_typed(f"longshore provider set {args.provider} --transport proxy --proxy {args.name}"),
        }


class DeleteProxy(Delete):
    """Delete proxies that were made by longshore proxy create. Others are left alone.

    Refused while disks of other machines are attached to one, which vSphere would delete with it, and while the
    provider reads disks through it.
    """

    examples = ("longshore proxy delete vc longshore-proxy",)
    kind = "proxy"
    for_good = "These machines are deleted for good"

    def with_place(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="the provider's name")

    def find_place(self, args: Namespace) -> None:
        self.client.provider(args.provider)

    def delete(self, name: str, args: Namespace) -> None:
        self.client.delete_proxy(args.provider, name)
