"""longshore replica test, failover, undo, commit: machines made of a replica's points."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from longshore.cli.arguments import mapping
from longshore.cli.command import ShowOne
from longshore.cli.migrations import follow, with_wait
from longshore.cli.replicas import shown, with_replica


class TestReplica(ShowOne):
    """Make a machine of a point, boot and check it beside whatever goes on, and remove it again.

    Syncs go on meanwhile. By default it is on networks of its own that lead nowhere, with the machine's MACs and
    addresses; with --network, on those that are named, with others.
    """

    __test__ = False  # pytest's collectors take it for one of theirs

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_point(with_replica(super().get_parser(prog_name)))
        parser.add_argument("--keep", action="store_true", help="until you clean it up: longshore migration cleanup ID")
        with_wait(parser)
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        from longshore.api.replicas import NewTest

        networks = dict(args.network)
        wanted = NewTest(point=args.point, networks=networks, isolated=not networks, keep=args.keep)
        return follow(self, self.client.test_replica(args.replica, wanted), args)


class FailOver(ShowOne):
    """Let a machine made of a point take the place of the machine, whose syncs stop.

    The source isn't asked: it may be gone. With --planned it is shut down first, and a last sync makes the point, so
    that nothing is lost. Until it is committed, a failover can be undone.
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = _with_point(with_replica(super().get_parser(prog_name)))
        parser.add_argument("--planned", action="store_true", help="shut the machine down, and copy its last changes")
        return parser

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        from longshore.api.replicas import NewFailover

        wanted = NewFailover(point=args.point, networks=dict(args.network), planned=args.planned)
        replica = self.client.tell_replica(args.replica, "failover", wanted)
        if replica.failover:
            self.say(f"Watch it: longshore migration wait {replica.failover}")
        return shown(self, replica)


class UndoFailover(ShowOne):
    """Remove a failover's server, and go on as before. A machine that was shut down for it runs again.

    What the server has written is lost.
    """

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return with_replica(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return shown(self, self.client.tell_replica(args.replica, "undo"))


class CommitFailover(ShowOne):
    """Take a failover's server for good. It can't be undone any more."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        return with_replica(super().get_parser(prog_name))

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return shown(self, self.client.tell_replica(args.replica, "commit"))


def _with_point(parser: ArgumentParser) -> ArgumentParser:
    parser.add_argument("--point", type=int, metavar="NUMBER", help="which one (default: the newest usable one)")
    parser.add_argument(
        "--network",
        action="append",
        default=[],
        type=mapping,
        metavar="SOURCE=TARGET",
        help="another target network than the replica's mapping has (may be repeated)",
    )
    return parser
