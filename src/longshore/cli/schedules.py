"""longshore schedule preview: when a schedule comes, and which points rules would keep."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from datetime import UTC
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from longshore.cli.arguments import rules_of
from longshore.cli.command import Lister
from longshore.wording.figures import moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from longshore.api.schedules import SchedulePreview


class PreviewSchedule(Lister):
    """Look ahead: when a schedule comes next, and which points rules would keep. Nothing is made or changed.

    With a policy of backups or a replica its points are judged by the rules, too: which would stay, and which go.
    """

    examples = (
        'longshore schedule preview "weekly saturday 22:00 Europe/Berlin"',
        'longshore schedule preview "daily 02:00 Europe/Berlin" --keep last=7,weekly=8,monthly=12 --policy nightly',
    )

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("schedule", help='"daily 02:00 Europe/Berlin", "every 6h", "continuous", …')
        parser.add_argument("--keep", metavar="RULES", help="which points stay: last=7,daily=14,zone=Europe/Berlin")
        parser.add_argument("--rpo", metavar="TIME", help="of a replica that is synchronised continuously: 30m")
        of = parser.add_mutually_exclusive_group()
        of.add_argument("--policy", help="a policy of backups, whose points are judged")
        of.add_argument("--replica", metavar="ID", help="a replica, whose points are judged")

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        from longshore.api.schedules import PreviewWanted

        wanted = PreviewWanted(
            schedule=args.schedule, retention=rules_of(args), rpo=args.rpo, policy=args.policy, replica=args.replica
        )
        found = self.client.preview(wanted)
        if not found.exact:
            self.say("These times are an example: each record has its own, in the same intervals.")
        if found.later is not None:
            count, at = len(found.later.kept), moment(found.later.at)
            self.say(f"Of {found.later.runs} runs until {at} the points of {count} would stay.")
        return ("What", "Moment", "There", "Machine", "Point", "Why"), list(_rows(found))


def _rows(found: SchedulePreview) -> Iterator[tuple[Any, ...]]:
    for at in found.next:
        yield "next run", moment(at), _there(at, found.zone), None, None, None
    for point in found.points or ():
        what = "stays" if point.reasons else "goes"
        why = "; ".join(point.reasons) or "no rule keeps it"
        yield what, moment(point.moment), _there(point.moment, found.zone), point.machine_name, point.name, why
    for one in found.later.kept if found.later is not None else ():
        yield "would stay", moment(one.moment), _there(one.moment, found.zone), None, None, "; ".join(one.reasons)


def _there(at: datetime, zone: str | None) -> str:
    """Return a moment, in UTC without a zone, with its weekday and as the clock shows it that the schedule means."""
    local = at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone) if zone else UTC)
    return f"{local:%A %Y-%m-%d %H:%M %Z}"
