"""longshore replica test, failover, failback, undo, commit: machines made of a replica's points, and the way back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from longshore.cli.arguments import with_accept, with_mapping
from longshore.cli.command import ShowOne
from longshore.cli.migrations import follow, with_wait
from longshore.cli.replicas import TellReplica, shown, with_replica


def _with_point(parser: ArgumentParser) -> None:
    parser.add_argument("--point", type=int, metavar="NUMBER", help="which one (default: the newest usable one)")
    with_mapping(
        parser, "--network", "SOURCE=TARGET", "another target network than the replica's mapping has (may be repeated)"
    )


class TestReplica(ShowOne):
    """Make a machine of a point, boot and check it beside whatever goes on, and remove it again.

    Syncs go on meanwhile. By default it is on networks of its own that lead nowhere, with the machine's MACs and
    addresses; with --network, on those that are named, with others.
    """

    examples = ("longshore replica test web01 --wait", "longshore replica test web01 --point 17 --clean-up-after 2h")
    options = (with_replica, _with_point)

    __test__ = False  # pytest's collectors take it for one of theirs

    def add_options(self, parser: ArgumentParser) -> None:
        stays = parser.add_mutually_exclusive_group()
        stays.add_argument("--keep", action="store_true", help="until you clean it up: longshore migration cleanup ID")
        stays.add_argument("--clean-up-after", metavar="TIME", help="let it stay for so long once it is up: 30m, 2h")
        with_wait(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.replicas import NewTest

        networks = dict(args.network)
        wanted = NewTest(
            point=args.point,
            networks=networks,
            isolated=not networks,
            keep=args.keep,
            clean_up_after=args.clean_up_after,
        )
        return follow(self, self.client.test_replica(args.replica, wanted), args)


class FailOver(ShowOne):
    """Let a machine made of a point take the place of the machine, whose syncs stop.

    The source isn't asked: it may be gone. With --planned it is shut down first, and a last sync makes the point, so
    that nothing is lost. Until it is committed, a failover can be undone.
    """

    examples = ("longshore replica failover web01 --planned", "longshore replica failover web01 --point 17")
    options = (with_replica, _with_point)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--planned", action="store_true", help="shut the machine down, and copy its last changes")

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.replicas import NewFailover

        wanted = NewFailover(point=args.point, networks=dict(args.network), planned=args.planned)
        replica = self.client.tell_replica(args.replica, "failover", wanted)
        if replica.failover:
            self.say(f"Watch it: longshore migration wait {replica.failover}")
        return shown(self, replica)


class FailBack(ShowOne):
    """Write what a failover's server has become back to the machine, and let that run again in its place.

    Only what has changed since the failover is written, while the server runs; it is stopped for the last changes. The
    machine has to be off where it came from. What it holds is kept in a snapshot until the failback is committed, and
    an undo takes it back to that and starts the server again.

    Where the machine came from an OpenStack, it is copied in full to a new server there, while its server runs; that is
    stopped for the last changes. The new one gets the name, flavor, ports and addresses of the one that it came from,
    which stays, off; an undo gives it its ports back.
    """

    examples = (
        "longshore replica failback web01",
        "longshore replica failback web01 --accept guest-converted",
    )
    options = (with_replica,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--new-machine",
            action="store_true",
            help="the machine is gone where it came from: make one like it there, and write all of its disks",
        )
        with_accept(parser)

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.replicas import NewFailback

        wanted = NewFailback(accept=args.accept, new_machine=args.new_machine)
        replica = self.client.tell_replica(args.replica, "failback", wanted)
        if replica.failback:
            self.say(f"Watch it: longshore migration wait {replica.failback}")
        return shown(self, replica)


class Reprotect(ShowOne):
    """Protect a committed failover's server by a new replica in the other direction.

    It goes to where the machine came from, or to --to, which has to be an OpenStack cloud, with the same schedule and
    retention. Its first sync copies all of it. To go back then: a planned failover of the new replica.
    """

    examples = ("longshore replica reprotect web01 --network private=lan",)
    options = (with_replica,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--to", metavar="PROVIDER", help="another cloud than the one that the machine came from")
        with_mapping(
            parser,
            "--network",
            "SOURCE=TARGET",
            "the server's network, and the one that takes its place there (may be repeated)",
        )

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.replicas import NewDirection

        wanted = NewDirection(target=args.to, networks=dict(args.network))
        return shown(self, self.client.tell_replica(args.replica, "reprotect", wanted))


class UndoFailover(TellReplica):
    """Undo a failover or failback, and go on as before.

    A failover's server goes, and a machine that was shut down for it runs again. After a failback the machine is as it
    was before, and the server runs again. What has been written since is lost.
    """

    examples = ("longshore replica undo web01",)
    verb = "undo"


class CommitFailover(TellReplica):
    """Take a failover's server for good, or after a failback the machine. It can't be undone any more."""

    examples = ("longshore replica commit web01",)
    verb = "commit"


class MigrateReplica(ShowOne):
    """Cut a replica over as a migration: the machine is shut down, its last changes are copied, its server booted.

    The server gets the replica's own volumes. When it was seen up, all points go, and it is a replica no longer. Where
    that fails, the machine runs again, and the replica is as it was.
    """

    examples = ("longshore replica migrate web01",)
    options = (with_replica,)

    def show(self, args: Namespace) -> dict[str, Any]:
        replica = self.client.tell_replica(args.replica, "migrate")
        self.say(f"Watch it: longshore migration events {replica.id}")
        return shown(self, replica)
