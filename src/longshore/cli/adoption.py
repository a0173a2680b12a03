"""longshore replica adopt: replicas that only their target knows of any more."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING, Any

from longshore.cli.arguments import with_guest_key, with_mapping
from longshore.cli.command import Lister
from longshore.cli.given_files import key_in
from longshore.cli.migrate import with_boot_proof, with_landing
from longshore.model.request import BootProof, LandingMode, MigrationRequest
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from longshore.api.replicas import FoundReplica


class AdoptReplicas(Lister):
    """Find replicas at a target by the marks of their volumes and snapshots, and make records of them.

    For when the database of the Longshore that made them is gone, or all of its site is: no source is asked. Their
    points can then be listed, tested and failed over to. Nothing more is copied to them.
    """

    examples = (
        "longshore replica adopt --target cloud --list",
        'longshore replica adopt web01 --target cloud --network "VM Network=private"',
    )

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "machine",
            nargs="*",
            help="name or reference of a machine, or id of a replica (default: all)",
        )
        parser.add_argument("--target", required=True, metavar="PROVIDER", help="where they are")
        parser.add_argument("--list", action="store_true", help="only say what is there")
        group = parser.add_argument_group("what its points become")
        with_mapping(
            group,
            "--network",
            "SOURCE=TARGET",
            "source network and target network (name or id); once for each network of the machines",
        )
        group.add_argument("--flavor", help="name or id (default: the smallest that fits)")
        with_landing(group)
        with_boot_proof(group)
        with_guest_key(group)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        found = self.client.found_replicas(args.target) if args.list else self._adopt(args)
        if args.list and args.machine:
            found = [one for one in found if {one.id, one.machine_name, one.machine_ref} & set(args.machine)]
        for one in found:
            for sentence in one.refused:
                self.say(f"{one.machine_name or one.id}: {sentence}")
        if not found:
            self.say(f"Nothing at {args.target} says that it is a replica's.")
        columns = ("ID", "Machine", "Disks", "Size", "Points", "Newest", "Adopted", "Why not")
        return columns, [self._row(one) for one in found]

    def _adopt(self, args: Namespace) -> list[FoundReplica]:
        from longshore.api.replicas import NewAdoption

        request = MigrationRequest(
            networks=dict(args.network),
            flavor=args.flavor,
            landing=LandingMode(args.landing),
            boot_proof=BootProof(args.boot_proof),
            boot_mark=args.boot_mark,
            guest_keys=tuple(key_in(path) for path in args.guest_key),
            accept=tuple(args.accept),
        )
        return self.client.adopt_replicas(NewAdoption(target=args.target, machines=args.machine, request=request))

    def _row(self, one: FoundReplica) -> tuple[Any, ...]:
        return (
            one.id,
            one.machine_name,
            one.disks,
            self.size_of(one.size),
            one.points,
            moment(one.newest),
            one.adopted,
            one.objection or "",
        )
