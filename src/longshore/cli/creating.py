"""Commands that make one thing of a name."""

from __future__ import annotations

from abc import abstractmethod
from argparse import ArgumentParser, Namespace
from typing import Any

from longshore.cli.command import ShowOne
from longshore.errors import LongshoreError, NotFound


class Create(ShowOne):
    """Make a thing, or show that which has its name already, where that is asked for."""

    def get_parser(self, prog_name: str) -> ArgumentParser:
        parser = super().get_parser(prog_name)
        parser.add_argument("--or-show", action="store_true", help="show what has this name already, as it is")
        return parser

    @abstractmethod
    def make(self, args: Namespace) -> tuple[Any, Any]:
        """Make it, and return its columns and values. Raises LongshoreError."""

    @abstractmethod
    def existing(self, args: Namespace) -> tuple[Any, Any]:
        """Return columns and values of what has the name. Raises LongshoreError, not-found where nothing has."""

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        if args.or_show:
            try:
                return self.existing(args)
            except LongshoreError as error:
                if error.code != NotFound.code:
                    raise
        return self.make(args)
