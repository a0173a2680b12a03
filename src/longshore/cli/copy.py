"""`longshore copy SOURCE_URI TARGET_URI`: the copy engine by itself."""

import argparse

from cliff.command import Command

from longshore.blocks.command import add_arguments, run


class Copy(Command):  # type: ignore[misc]
    """Copy a disk from one NBD export to another, verified, and able to go on after an interruption"""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = super().get_parser(prog_name)
        add_arguments(parser)
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        return run(parsed_args)
