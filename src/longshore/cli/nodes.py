"""longshore node …: three machines that serve together."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longshore.cli.command import Command, Delete, Lister
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from longshore.api.nodes import Node


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no IPv4 address, as 192.0.2.11") from None


def _with_prefix(text: str) -> IPv4Interface:
    try:
        found = IPv4Interface(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no IPv4 address with its prefix, as 192.0.2.97/24") from None
    if "/" not in text:
        raise ArgumentTypeError(f"{text!r} lacks its network's prefix, as {text}/24")
    return found


class PrepareNodes(Command):
    """Write what three machines need to serve together, of which any one may die: a directory for each.

    That is the configuration of etcd, Patroni with PostgreSQL, HAProxy, keepalived, server and worker, certificates and
    passwords, and a script that places it all. Called again, it takes the passwords that it has made up before, and
    makes new certificates.
    """

    examples = (
        "longshore node prepare nodes 192.0.2.11 192.0.2.12 192.0.2.13 --virtual 192.0.2.97/24 --interface eth0 "
        "--url https://longshore.example --keystone https://cloud.example:5000/v3",
    )

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("directory", type=Path, metavar="DIRECTORY", help="where to")
        parser.add_argument("nodes", type=_address, nargs=3, metavar="ADDRESS", help="of the three machines")
        parser.add_argument(
            "--virtual", type=_with_prefix, required=True, metavar="ADDRESS/PREFIX", help="what callers reach"
        )
        parser.add_argument("--interface", required=True, metavar="NAME", help="that has it, as eth0")
        parser.add_argument("--url", required=True, help="of the server, as callers have it")
        parser.add_argument("--keystone", required=True, metavar="URL", help="Keystone's address")
        parser.add_argument(
            "--router", type=int, choices=range(1, 256), default=97, metavar="NUMBER",
            help="VRRP's number, 1 to 255, that nobody else has in the network (default: 97)",
        )  # fmt: skip
        parser.add_argument(
            "--postgresql",
            type=int,
            default=15,
            metavar="VERSION",
            help="of Debian's: 15 in 12, 17 in 13 (default: 15)",
        )

    def take_action(self, args: Namespace) -> None:
        from longshore.nodes.prepared import NAMES, Answers, prepare

        prepare(
            args.directory,
            Answers(
                addresses=(args.nodes[0], args.nodes[1], args.nodes[2]),
                virtual=args.virtual,
                interface=args.interface,
                router=args.router,
                url=args.url,
                keystone=args.keystone,
                postgresql=args.postgresql,
            ),
        )
        self.say(f"{args.directory} has {', '.join(NAMES)}, one for each machine. It is full of secrets: keep it so.")
        self.say("Write the service user's password into files/etc/longshore/keystone.password of each, and take each")
        self.say("to its machine. As root there: sh place")


class ListNodes(Lister):
    """List the machines that serve together, as each one's server says: whether it is alive and since when, where the
    database's primary and the virtual address are, and when the first certificate ends.

    A certificate is named by the service that shows it.
    """

    examples = ("longshore node list", "longshore node list -f json")

    def take_action(self, _args: Namespace) -> tuple[Any, Any]:
        columns = (
            *("Name", "Address", "State", "Since", "Version", "Workers", "Jobs"),
            *("Database", "Database since", "Virtual address", "Address since", "Certificate", "Ends"),
        )
        return columns, [self._row(one) for one in self.client.nodes()]

    def _row(self, one: Node) -> tuple[Any, ...]:
        first = min(one.certificates, key=lambda shown: one.certificates[shown], default=None)
        return (
            *(one.name, one.address, "alive" if one.alive else "away", moment(one.since), one.version, one.workers),
            len(one.jobs) if self.for_people else one.jobs,
            *(one.database, moment(one.database_since)),
            {True: "here", False: "elsewhere", None: None}[one.has_address] if self.for_people else one.has_address,
            *(moment(one.address_since), first, moment(one.certificate_ends)),
        )


class DeleteNode(Delete):
    """Forget machines that are gone for good, so that nobody is told that they are away."""

    examples = ("longshore node delete node2",)
    kind = "node"

    def delete(self, name: str, _args: Namespace) -> None:
        self.client.remove_node(name)
