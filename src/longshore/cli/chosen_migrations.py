"""longshore migration each …: many migrations told the same at once."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from longshore.cli.command import Lister
from longshore.wording.progress import status_of


class TellEach(Lister):
    """Cancel, cut over or go on with many migrations at once, or start those again that have failed.

    Each is told by itself: why one was refused stands in its line, and the exit code is 1 then.
    """

    examples = ("longshore migration each cancel 1f6e0c52 7a90b3de",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("verb", choices=("cancel", "cutover", "resume", "retry"), help="what they are to do")
        parser.add_argument("migration", nargs="+", help="ids, or the beginnings of them")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        answers = self.client.tell_chosen(args.verb, args.migration)
        self._refused = sum(answer.error is not None for answer in answers)
        rows = []
        for answer in answers:
            m = answer.migration
            told = (m.machine_name, m.id, status_of(m)) if m is not None else (None, None, None)
            rows.append((answer.id, *told, answer.error.message if answer.error is not None else None))
        return ("Requested", "Machine", "Migration", "Status", "Refused"), rows

    def run(self, parsed_args: Namespace) -> int:
        """The table is printed first: what is in it is why the exit code is 1."""
        super().run(parsed_args)
        if self._refused:
            what = "migration was" if self._refused == 1 else "migrations were"
            print(f"longshore: {self._refused} {what} refused.", file=sys.stderr)
        return 1 if self._refused else 0
