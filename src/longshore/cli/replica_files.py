"""longshore replica export, longshore replica apply: replicas and their groups kept in files."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from longshore.cli.command import Command
from longshore.cli.given_files import put_text, text_or_input


class ExportReplicas(Command):
    """Write replicas and their groups as YAML, to a file or to standard output: how machines are protected.

    Points aren't in it.
    """

    examples = ("longshore replica export > replicas.yaml",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "replica", nargs="*", help="its id, the beginning of it, or the name of its machine (default: all)"
        )
        parser.add_argument("--output", metavar="FILE", help="default: standard output")

    def take_action(self, args: Namespace) -> None:
        from longshore.planning import replicafile

        content = self.client.replica_file(args.replica)
        put_text(args.output, replicafile.write(replicafile.from_plain(content)) if content else "")


class ApplyReplicas(Command):
    """Have replicas and groups be as a file says: those that aren't there are made, others are changed.

    What it doesn't name stays as it is. All of it is looked at first: when something in it can't be, nothing is done.
    """

    examples = ("longshore replica apply replicas.yaml",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", help="YAML, as longshore replica export writes it; - is standard input")

    def take_action(self, args: Namespace) -> None:
        from longshore.planning import replicafile

        called = "standard input" if args.file == "-" else args.file
        content = replicafile.plain(replicafile.read(text_or_input(args.file), called))
        for one in self.client.apply_replica_file(content):
            what = f"Group {one.name}" if one.kind == "group" else f"The replica of {one.name}"
            print(f"{what} is {one.what}.", file=sys.stderr)
