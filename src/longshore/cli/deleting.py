"""Commands that delete things of one kind, each named by itself."""

from __future__ import annotations

import sys
from abc import abstractmethod
from argparse import ArgumentParser, Namespace
from typing import ClassVar

from longshore.border.texts import some
from longshore.cli.command import Command
from longshore.errors import InvalidInput, LongshoreError, NotFound

_NAMED = 10  # of those that are asked about


class Delete(Command):
    """Delete each thing that is named. Why one of several can't be is told, and the others are."""

    kind: ClassVar[str]  # of what is deleted, as a word
    named: ClassVar[str] = "its name"
    # What becomes of it, where nothing brings that back: somebody at a terminal is asked whether it is meant
    for_good: ClassVar[str] = ""

    def add_options(self, parser: ArgumentParser) -> None:
        self.with_place(parser)
        parser.add_argument(self.kind, nargs="+", help=f"{self.named}; several may be given")
        parser.add_argument("--if-exists", action="store_true", help="leave out what isn't there, without an error")
        if self.for_good:
            parser.add_argument("--yes", action="store_true", help="don't ask at a terminal whether that is meant")

    def with_place(self, parser: ArgumentParser) -> None:
        """Add arguments that say where the things are, if that has to be said."""

    def find_place(self, args: Namespace) -> None:
        """Raise NotFound where what the things are in isn't there."""

    @abstractmethod
    def delete(self, name: str, args: Namespace) -> None:
        """Delete one of them. Raises LongshoreError."""

    def take_action(self, args: Namespace) -> int:
        names: list[str] = getattr(args, self.kind)
        if self.for_good and not args.yes and sys.stdin.isatty():
            self._ask(names)
        self.find_place(args)
        refused = 0
        for name in names:
            try:
                self.delete(name, args)
            except LongshoreError as error:
                if args.if_exists and error.code == NotFound.code:
                    continue
                if len(names) == 1:
                    raise
                refused += 1
                self.say(f"longshore: {name}: {error}")
        return 1 if refused else 0

    def _ask(self, names: list[str]) -> None:
        """Have the person at the terminal confirm it. Raises InvalidInput when they don't."""
        print(f"{self.for_good}: {some(names, _NAMED)}. [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise InvalidInput("Nothing was deleted.")
