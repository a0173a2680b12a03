"""`longshore copy SOURCE_URI TARGET_URI`: the copy engine by itself."""

import argparse

from cliff.command import Command

from longshore.blocks.command import EXAMPLES, parser_of, run


class Copy(Command):  # type: ignore[misc]
    """Copy a disk from one NBD export to another, verified, and able to go on after an interruption"""

    examples = EXAMPLES

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        return parser_of(prog_name)

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        return run(parsed_args)
