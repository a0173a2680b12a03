"""longshore provider add files: machines in OVAs, OVFs and disk images."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from longshore.cli.command import ShowOne
from longshore.cli.providers import shown, with_labels


class AddFiles(ShowOne):
    """Add machines in files: OVA, OVF, VMDK, VHD, VHDX, qcow2 and raw, the images also as .gz and .xz.

    Of an OVF everything is taken that it says. A loose image is a machine of one disk, with the hardware named here.
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser: ArgumentParser = super().get_parser(prog_name)
        parser.add_argument("name", help="what to call them")
        with_hardware(
            parser, url="file:///DIRECTORY with all below it, file:///FILE, or https://HOST/FILE", needed=True
        )
        return with_labels(parser)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        settings = {
            "url": args.url,
            "ca_file": str(Path(args.ca_file).absolute()) if args.ca_file else None,
            "cpus": args.cpus or 1,
            "memory_mib": args.memory_mib or 1024,
            "network": args.network,
            "firmware": args.firmware,
            "labels": args.label,
        }
        return shown(self.client.add_provider(args.name, "files", settings, {}))


def with_hardware(parser: Any, *, url: str, needed: bool = False) -> None:
    parser.add_argument("--url", metavar="URL", required=needed, help=url)
    parser.add_argument(
        "--ca-file", metavar="FILE", help="PEM file with the authorities to trust instead of the system's"
    )
    parser.add_argument("--cpus", type=int, metavar="N", help="of a loose image's machine (default: 1)")
    parser.add_argument(
        "--memory", dest="memory_mib", type=int, metavar="MIB", help="of a loose image's machine (default: 1024)"
    )
    parser.add_argument("--network", metavar="NAME", help="that its adapter is on (default: it has none)")
    parser.add_argument("--firmware", choices=("bios", "uefi"), help="default: what its partitions tell")
