"""longshore limit …: how much may be at work at a place at once, and how fast it may read."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from typing import TYPE_CHECKING, Any

from longshore.cli.arguments import rate
from longshore.cli.command import Command, Lister, ShowOne
from longshore.cli.providers import with_all_projects
from longshore.errors import Conflict, InvalidInput, NotFound
from longshore.model.limit import MOST_AT_ONCE, SLOWEST
from longshore.wording.figures import size

if TYPE_CHECKING:
    from longshore.api.schemas import Limit

_COLUMNS = ("ID", "Of", "Name", "Counts", "At once", "Bytes per second")
_NONE = "none"


def _with_place(parser: ArgumentParser) -> None:
    of = parser.add_argument_group("what it is of")
    one = of.add_mutually_exclusive_group(required=True)
    one.add_argument("--source", metavar="PROVIDER", help="what moves from there")
    one.add_argument("--target", metavar="PROVIDER", help="what moves to there")
    one.add_argument("--plan", metavar="PLAN", help="what is a plan's")
    one.add_argument("--project", action="store_true", help="all that is your project's")
    inside = of.add_mutually_exclusive_group()
    inside.add_argument("--host", metavar="HOST", help="of the source: what moves from this host")
    inside.add_argument("--datastore", metavar="DATASTORE", help="of the source: what has disks there")
    parser.add_argument(
        "--all-projects",
        action="store_true",
        help="the limit that counts the jobs of all projects of a server, for administrators",
    )


class SetLimit(ShowOne):
    """Set a limit: how many jobs may be at work at a place at once, how many bytes a second their copies may read.

    What isn't named stays; "none" lifts it. Of several limits the tightest wins, those in plans included. What is at
    work goes on: its copies follow at once, and what begins, within seconds.
    """

    examples = (
        "longshore limit set --source vc --at-once 8 --bytes-per-second 200M",
        "longshore limit set --source vc --host esx1.example --at-once 2",
    )
    options = (_with_place,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--at-once", type=_count, metavar="N", help='jobs at work there at once, or "none"')
        parser.add_argument(
            "--bytes-per-second",
            type=_rate,
            metavar="RATE",
            help='that all copies there may read together: 800K, 50M, 1G, or "none"',
        )

    def show(self, args: Namespace) -> dict[str, Any]:
        from longshore.api.schemas import LimitChange

        said = {name: getattr(args, name) for name in ("at_once", "bytes_per_second")}
        figures = {name: None if value == _NONE else value for name, value in said.items() if value is not None}
        if not figures:
            raise InvalidInput("Nothing was said of the limit.", advice="Give --at-once or --bytes-per-second.")
        change = LimitChange.model_validate({**_place(args), **figures})
        limit = self.client.set_limit(change, all_projects=args.all_projects)
        return dict(zip(_COLUMNS, _row(limit, for_people=self.for_people), strict=True))


class ListLimits(Lister):
    """List the limits that are set for places. Those in plans are in the plans."""

    examples = ("longshore limit list",)
    options = (with_all_projects,)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        found = self.client.limits(all_projects=args.all_projects)
        return _COLUMNS, [_row(limit, for_people=self.for_people) for limit in found]


class DeleteLimit(Command):
    """Take a limit away."""

    examples = ("longshore limit delete --source vc --host esx1.example",)
    options = (_with_place,)

    def take_action(self, args: Namespace) -> None:
        wanted = _place(args)
        found = [
            limit
            for limit in self.client.limits(all_projects=args.all_projects)
            if (limit.project_id is None) == args.all_projects and _is(limit, wanted)
        ]
        if not found:
            raise NotFound("There is no such limit.", advice="See: longshore limit list.")
        if len(found) > 1:
            raise Conflict("Several limits are of that name.", advice="Name the provider by its id.")
        self.client.remove_limit(found[0].id, all_projects=args.all_projects)


def _place(args: Namespace) -> dict[str, str]:
    """Return a place as the API names it. Raises InvalidInput."""
    inside = next((name for name in ("host", "datastore") if getattr(args, name) is not None), None)
    if inside is not None:
        if args.source is None:
            raise InvalidInput(f"A {inside} is one of a source.", advice=f"Give --source and --{inside}.")
        return {"of": inside, "provider": args.source, "name": getattr(args, inside)}
    for of in ("source", "target"):
        if getattr(args, of) is not None:
            return {"of": of, "provider": getattr(args, of)}
    return {"of": "project"} if args.project else {"of": "plan", "plan": args.plan}


def _is(limit: Limit, wanted: dict[str, str]) -> bool:
    """Tell whether it is the limit that is named so; providers by their names or ids."""
    provider = wanted.get("provider")
    if provider is not None and provider not in (limit.provider, limit.provider_id):
        return False
    return (limit.of.value, limit.name, limit.plan) == (wanted["of"], wanted.get("name"), wanted.get("plan"))


def _row(limit: Limit, *, for_people: bool) -> tuple[Any, ...]:
    name = "/".join(part for part in (limit.provider, limit.name, limit.plan) if part)
    counts = "all projects" if limit.project_id is None else limit.project_id or "all"
    fast = limit.bytes_per_second
    shown = f"{size(fast)}/s" if for_people and fast is not None else fast
    return limit.id, limit.of.value, name, counts, limit.at_once, shown


def _count(text: str) -> int | str:
    if text == _NONE:
        return text
    if not text.isdecimal() or not 1 <= int(text) <= MOST_AT_ONCE:
        raise ArgumentTypeError(f'"{text}" isn\'t a number of jobs: give 1 or more, or "none"')
    return int(text)


def _rate(text: str) -> int | str:
    if text == _NONE:
        return text
    if (fast := rate(text)) < SLOWEST:
        raise ArgumentTypeError(f'"{text}" is too slow: give 64K or more, or "none"')
    return fast
