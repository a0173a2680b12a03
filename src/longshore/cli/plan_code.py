"""longshore plan iac: what has landed of a plan, as code."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace

from longshore.cli.command import Command
from longshore.cli.given_files import put_text
from longshore.cli.plans import with_machines, with_plan
from longshore.model.as_built import CodeFormat


class WritePlanCode(Command):
    """Write what has landed of a plan as code for OpenTofu or Terraform, Heat, or Ansible, as the cloud has it now.

    The tool takes it for what is there already, and plans nothing. `heat` points at it, `heat-adopt` makes a stack that
    has it from then on. What isn't in it, and what to look after, is told beside it.
    """

    examples = (
        "longshore plan iac weekend weekend.tf --format tofu",
        "longshore plan iac weekend --format ansible --machine web01",
    )
    options = (with_plan,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", nargs="?", help="default: standard output")
        formats = [one.value for one in CodeFormat]
        parser.add_argument("--format", required=True, choices=formats, help="the tool that it is for")
        with_machines(parser)
        # The file may come after options: argparse by itself takes all positional words from one place
        parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]

    def take_action(self, args: Namespace) -> None:
        code = self.client.plan_code(args.plan, CodeFormat(args.format), args.machine)
        put_text(args.file, code.text)
        for note in code.notes:
            print(note, file=sys.stderr)
