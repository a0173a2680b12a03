"""longshore backup import: what others have backed up, brought into a vault."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from longshore.cli.arguments import rate, with_accept
from longshore.cli.command import Lister
from longshore.cli.counting import counting
from longshore.cli.migrations import watched
from longshore.errors import InvalidInput, LongshoreError
from longshore.model.request import BackupRequest, Verify
from longshore.model.selection import EVERY
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from datetime import datetime

    from longshore.model.machine import AsOf, Machine


class ImportBackups(Lister):
    """Bring what others have backed up into a vault: Trilio's shares, and points that were exported from another vault.

    They are a provider of files (longshore provider add files), whose machines are shown as of a moment. Each becomes a
    point of that moment, oldest first, so that of each only what differs from the one before is stored. What is in the
    vault already is left: the same command may be run again at any time. The files stay as they are.
    """

    examples = ("longshore backup import trilio --vault offsite",)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("provider", help="the files")
        parser.add_argument("--vault", required=True, help="where it goes")
        parser.add_argument("--machine", metavar="PATTERN", help="only machines that are called so: 'web-*'")
        parser.add_argument("--rate-limit", type=rate, metavar="RATE", help="bytes per second and disk: 50M, 1G")
        parser.add_argument("--plain", action="store_true", help="lines instead of bars")
        with_accept(parser)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        with counting(f"Reading the machines of {args.provider}") as told:
            machines = self.client.machines(args.provider, EVERY, told)
        dated = [(m.as_of, m) for m in machines if m.as_of and fnmatchcase(m.name, args.machine or "*")]
        if not dated:
            raise InvalidInput(
                f"There is no backup in {args.provider}{' that is called so' if args.machine else ''}.",
                advice=f"What is there: longshore machine list {args.provider}.",
            )
        points = self.client.vault_points(args.vault)
        there = {(point.machine_name, point.machine_uuid, point.moment.replace(tzinfo=UTC)) for point in points}
        rows = []
        for number, (as_of, machine) in enumerate(sorted(dated, key=lambda one: one[0].moment), start=1):
            self.say(f"{number} of {len(dated)}: {machine.name} as of {moment(as_of.moment)}")
            rows.append((machine.name, moment(as_of.moment), *self._import(machine, as_of, there, args)))
        if failed := [f"{name} as of {when}" for name, when, became, _ in rows if became == "failed"]:
            self.fault = f"{len(failed)} backup(s) couldn't be brought in: {', '.join(failed[:5])}."
        return ("Machine", "Moment", "Result", "Point"), rows

    def _import(
        self, machine: Machine, as_of: AsOf, there: set[tuple[str, str, datetime]], args: Namespace
    ) -> tuple[str, str]:
        """Import one backup. Returns what became of it, and its point, or why there is none."""
        if (machine.name, machine.instance_uuid or machine.uuid, as_of.moment) in there:
            return "there-already", ""
        from longshore.api.backups import NewBackup

        request = BackupRequest(verify=Verify.FULL, rate_limit=args.rate_limit, accept=tuple(args.accept))
        try:
            asked = NewBackup(machine=machine.ref, source=args.provider, vault=args.vault, request=request)
            begun = self.client.back_up(asked)
            result = watched(self, begun, plain=args.plain).result or {}
        except LongshoreError as error:
            return "failed", str(error)
        return "imported", str(result["point"])
