"""longshore worker."""

import argparse
import logging
import sys
from typing import Any

from longshore.cli.command import Command


class RunWorker(Command):
    """Do the work that others ask for, until told to end

    On a PostgreSQL (database_url in the configuration) any number of workers share the queue, on as many machines as
    you like; without one, a single worker has the state directory to itself. SIGTERM lets it finish what it can and
    hand over the rest.
    """

    examples = ("longshore worker --at-once 4",)

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--at-once", type=int, metavar="N", help="migrations at work at once (default: 8)")
        parser.add_argument(
            "--label",
            action="append",
            metavar="LABEL",
            help="what this worker can reach, for providers that ask for it (may be given more than once)",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        from longshore.engine.worker_process import serve
        from longshore.flows.workflows import FLOWS
        from longshore.logs import write_json

        logging.getLogger("longshore").setLevel(logging.INFO)
        if not sys.stderr.isatty():  # a person likes lines, what keeps logs likes fields
            write_json(sys.stderr)
        asked: dict[str, Any] = {"at_once": parsed_args.at_once, "labels": parsed_args.label}
        serve(self.app.configured(**{name: value for name, value in asked.items() if value is not None}), FLOWS)
