"""longshore plan …: plans checked, started, watched, cut over, cancelled."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_args

from longshore.cli.arguments import cutover_time, time_of, with_accept, with_cutover_time
from longshore.cli.checking import checked
from longshore.cli.command import Command, Lister
from longshore.cli.concerns import concern_table
from longshore.cli.plan_watch import watch_plan
from longshore.cli.plans import with_machines, with_plan
from longshore.errors import LongshoreError
from longshore.model.durations import duration
from longshore.model.plan import PlannedType
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.wording.figures import moment, size
from longshore.wording.forecasts import sentence_of, until_of, why_queued

if TYPE_CHECKING:
    from datetime import datetime

    from longshore.api.schemas import Migration, PlanFigures, PlanStart


def _with_start(parser: ArgumentParser) -> None:
    parser.add_argument("--type", choices=get_args(PlannedType), help="whatever the plan says")
    with_accept(parser)
    parser.add_argument("--wave", type=int, metavar="NUMBER", help="only this wave")
    with_machines(parser)


def _with_wait(parser: ArgumentParser) -> None:
    parser.add_argument("--wait", action="store_true", help="watch until they have ended; the exit code tells how")
    parser.add_argument("--plain", action="store_true", help="lines instead of a live view")


class CheckPlan(Lister):
    """List everything that stands against a plan, or might. Exit code 1 when something prevents its start."""

    awaits = True
    examples = ("longshore plan check weekend", "longshore plan check weekend --wave 1 --type warm")
    options = (with_plan, _with_start)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        concerns = checked(self.client, args.plan, _asked(args))
        if blockers := sum(c.severity.value == "blocker" for c in concerns):
            self.fault = f"{_count(blockers, 'blocker')} in plan {args.plan}."
        if not concerns:
            print(f"Nothing stands against plan {args.plan}.", file=sys.stderr)
        return concern_table(self, args, concerns)


class StartPlan(Lister):
    """Start the machines of a plan that aren't moved or on their way yet, wave by wave."""

    examples = (
        "longshore plan start weekend --type dry-run --wait",
        "longshore plan start weekend --wave 1 --at 2026-12-05T22:00+01:00",
        "longshore plan start weekend --take-back",
    )
    options = (with_plan, _with_start)

    def add_options(self, parser: ArgumentParser) -> None:
        when = parser.add_mutually_exclusive_group()
        when.add_argument(
            "--at", type=time_of, metavar="TIME", help="then, by itself: 2026-11-21T22:00 (UTC unless it says so)"
        )
        when.add_argument(
            "--take-back", action="store_true", help="don't, though a time was said, where that hasn't come yet"
        )
        _with_wait(parser)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        if args.take_back:
            gone = self.client.take_plan_start_back(args.plan, args.wave, args.machine)
            return ("Machine", "Status"), [(name, "planned") for name in gone]
        started = self.client.start_plan(args.plan, _asked(args, args.at))
        if args.at is not None and not args.wait:
            self.say(f"They begin by themselves at {moment(started[0].due_at)}. Take that back: --take-back.")
        return _follow(self, args, started)


class RetryPlan(Lister):
    """Start again those machines of a plan that have failed, and no others."""

    examples = ("longshore plan retry weekend --machine web01",)
    options = (with_plan, with_machines, _with_wait)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _follow(self, args, self.client.retry_plan(args.plan, args.machine))


class CutPlanOver(Lister):
    """Let the warm migrations of a plan that wait for their cutover stop their machines, now or at a time, copy the
    last changes and boot on the target."""

    examples = (
        "longshore plan cutover weekend --wave 1",
        "longshore plan cutover weekend --at 2026-12-05T22:00 --ahead",
        "longshore plan cutover weekend --take-back",
    )
    options = (with_plan,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--wave", type=int, metavar="NUMBER", help="only this wave")
        parser.add_argument(
            "--ahead",
            action="store_true",
            help="also what is queued or still copied, as soon as it can be, without asking you again",
        )
        with_cutover_time(parser)
        with_machines(parser)
        _with_wait(parser)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        time = cutover_time(args)
        if args.take_back:
            return _rows(self.client.take_plan_cutover_back(args.plan, args.wave, args.machine))
        asked = self.client.cut_plan_over(args.plan, args.wave, args.machine, time, ahead=args.ahead)
        return _follow(self, args, asked)


class ResumePlan(Lister):
    """Go on with a plan that was broken off, each copy from its last checkpoint."""

    examples = ("longshore plan resume weekend",)
    options = (with_plan, _with_wait)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _follow(self, args, self.client.resume_plan(args.plan))


class CancelPlan(Lister):
    """Stop everything of a plan that waits or is under way, and take back what it made. What is done stays."""

    examples = ("longshore plan cancel weekend --machine web01",)
    options = (with_plan, with_machines, _with_wait)

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        return _follow(self, args, self.client.cancel_plan(args.plan, args.machine), cancelling=True)


class WatchPlan(Command):
    """Watch all machines of a plan until none is under way."""

    examples = ("longshore plan watch weekend",)
    options = (with_plan,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--plain", action="store_true", help="lines instead of a live view")

    def take_action(self, args: Namespace) -> None:
        if all(one.migration is None for one in self.client.plan_states(args.plan).machines):
            raise LongshoreError(
                f"Nothing of plan {args.plan} was started yet.", advice=f"Start it: longshore plan start {args.plan}."
            )
        _judge(args.plan, watch_plan(self.client, args.plan, plain=args.plain))


class PlanProgress(Lister):
    """List how far the machines of a plan are: bytes, rate and time left of what is being copied now.

    With --waves how far its waves are, and when each will be there.
    """

    examples = ("longshore plan progress weekend", "longshore plan progress weekend --waves")
    options = (with_plan,)

    def add_options(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", default="", metavar="PART", help="only machines with this in their names")
        parser.add_argument("--status", default="", metavar="STATUS", help="only machines in this state")
        parser.add_argument(
            "--waves", action="store_true", help="its waves instead of machines, and all of them together"
        )

    def take_action(self, args: Namespace) -> tuple[Any, Any]:
        found = self.client.plan_states(args.plan, args.name, args.status)
        if args.waves:
            return self._waves([*found.waves, found.figures])
        self.say(f"Plan {args.plan}: {sentence_of(found.figures)}.")
        rows = []
        for m in found.machines:
            why = m.error or m.stranded or m.parked or why_queued(m.queued_behind) or None
            figures: Sequence[Any] = (
                m.bytes_done,
                m.bytes_total,
                m.bytes_per_second,
                m.seconds_left,
                m.downtime_seconds,
            )
            if self.for_people:
                figures = tuple(_said(figure, how) for figure, how in zip(figures, _WORDS, strict=True))
            rows.append((m.machine, m.wave, m.status, m.phase, *figures, m.syncs, m.migration, why))
        columns = "Machine", "Wave", "State", "Phase", "Done", "Of", "Rate", "Left", "Downtime", "Syncs"
        return (*columns, "Migration", "Reason"), rows

    def _waves(self, figures: Sequence[PlanFigures]) -> tuple[Any, Any]:
        """Return a row for each wave, and one for the whole plan, whose wave is "all"."""
        return ("Wave", "Machines", "States", "Done", "Of", "Rate", "End"), [
            ("all" if one.wave is None else one.wave, one.machines, *self._told(one)) for one in figures
        ]

    def _told(self, one: PlanFigures) -> tuple[Any, ...]:
        if self.for_people:
            states = ", ".join(f"{count} {status}" for status, count in one.states.items())
            return states, size(one.bytes_done), size(one.bytes_total), _rate(one.bytes_per_second), until_of(one)
        until = one.model_dump(
            mode="json", include={"done_at", "give_or_take", "until_cutover", "no_forecast", "at_work"}
        )
        return one.states, one.bytes_done, one.bytes_total, one.bytes_per_second, until


def _rate(count: float) -> str:
    return f"{size(count)}/s"


_WORDS = (size, size, _rate, duration, duration)


def _said(figure: float | None, how: Callable[[Any], str]) -> str | None:
    return None if figure is None else how(figure)


def _asked(args: Namespace, at: datetime | None = None) -> PlanStart:
    from longshore.api.schemas import PlanStart

    return PlanStart(type=args.type, accept=args.accept, wave=args.wave, machines=args.machine, at=at)


def _follow(
    command: Lister, args: Namespace, migrations: list[Migration], *, cancelling: bool = False
) -> tuple[Any, Any]:
    """Watch them when asked to. Raises when one of them didn't end as the command meant it to."""
    if args.wait:
        wanted = {m.id for m in migrations}
        try:
            ended = watch_plan(command.client, args.plan, plain=args.plain, only=wanted)
        except KeyboardInterrupt:
            print(f"\nPlan {args.plan} goes on in the background.", file=sys.stderr)
            command.say(f"Come back with: longshore plan watch {args.plan}")
            raise
        migrations = [m for m in ended if m.id in wanted]
        _judge(args.plan, migrations, cancelling=cancelling)
    else:
        print(f"{_count(len(migrations), 'migration')} of plan {args.plan} in the background.", file=sys.stderr)
        command.say(f"Watch: longshore plan watch {args.plan}")
    return _rows(migrations)


def _rows(migrations: list[Migration]) -> tuple[Any, Any]:
    return ("Machine", "Wave", "Type", "Status", "Phase", "Migration"), [
        (m.machine_name, m.wave, m.type.value, m.status.value, m.phase, m.id) for m in migrations
    ]


def _judge(plan: str, migrations: list[Migration], *, cancelling: bool = False) -> None:
    """Raise LongshoreError when not all have ended well."""
    broken = [m for m in migrations if m.interrupted]
    if why := next((m.stranded for m in broken if m.stranded), None):
        raise LongshoreError(f"Plan {plan} has stranded: {why}", code="stranded")
    if broken:
        under_way = _count(len(broken), _called(broken))
        raise LongshoreError(
            f"Plan {plan} was broken off with {under_way} under way: their process has ended.",
            advice=f"Go on with: longshore plan resume {plan} --wait.",
            code="interrupted",
        )
    good = (Status.DONE, Status.REHEARSED, *((Status.CANCELLED,) if cancelling else ()))
    bad = [m for m in migrations if m.cutover_failed or (m.status.ended and m.status not in good)]
    if bad:
        named = ", ".join(f"{m.machine_name} ({m.status.value})" for m in bad[:5]) + (" …" if len(bad) > 5 else "")
        raise LongshoreError(
            f"{len(bad)} of {_count(len(migrations), _called(migrations))} of plan {plan} didn't arrive: {named}.",
            advice=f"See why: longshore plan report {plan}. Start what has failed again, and what waits with its copy: "
            f"longshore plan retry {plan}.",
            code="plan-incomplete",
        )


def _called(migrations: list[Migration]) -> str:
    """Return the word for what moves: machines, or volumes that none has; with both, neither word would do."""
    kinds = {"volume" if m.type is MigrationType.VOLUME else "machine" for m in migrations}
    return kinds.pop() if len(kinds) == 1 else "migration"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
