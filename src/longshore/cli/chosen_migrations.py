"""longshore migration each …: many migrations told the same at once."""

from __future__ import annotations

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
        if refused := sum(answer.error is not None for answer in answers):
            self.fault = f"{refused} {'migration was' if refused == 1 else 'migrations were'} refused."
        rows = []
        for answer in answers:
            m = answer.migration
            told = (m.machine_name, m.id, status_of(m)) if m is not None else (None, None, None)
            rows.append((answer.id, *told, answer.error.message if answer.error is not None else None))
        return ("Requested", "Machine", "Migration", "Status", "Refused"), rows
