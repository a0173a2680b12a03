"""Watching a plan, or several volumes: a live table, or lines for a log. Everything goes to standard error."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Group
from rich.table import Table
from rich.text import Text

from longshore.border.texts import line
from longshore.cli.progress import LinePace, draws, sentence
from longshore.cli.retry import retry_while_away
from longshore.cli.screen import Screen, console
from longshore.model.durations import duration
from longshore.model.status import Status
from longshore.wording.figures import size
from longshore.wording.forecasts import sentence_of, why_queued
from longshore.wording.progress import figures, moves, status_of

if TYPE_CHECKING:
    from longshore.api.schemas import DiskProgress, Migration, PlannedProgress, PlanStates, QueuedBehind
    from longshore.client import Client

_POLL = 1.0  # seconds
_REST = 3.0  # times as long as the answer took: a large plan, or a server with much to do, is asked less often
_LINE_EVERY = 10.0  # seconds between plain lines about the same disk, at first
_FIGURES_EVERY = 60.0  # seconds between plain lines about all of it, at first
_ENGINE_START = 15.0  # seconds an engine may take to come up before its absence means something
_REASONS = 2  # lines for why nobody takes some of them
_WAVES = 6  # lines on all of it, and on its waves
_FRAME = 6  # lines of the terminal that are not for machines
_COLOURS = {Status.DONE: "green", Status.REHEARSED: "green", Status.FAILED: "red"}
_COLOURS |= dict.fromkeys((Status.CANCELLED, Status.ROLLING_BACK, Status.PARKED), "yellow")
# What states of a plan's machines and migrations have by the same name
_ALIKE = (
    *("interrupted", "stranded", "parked", "queued_behind", "cutover_failed"),
    *("error", "downtime_seconds", "disks"),
)


@dataclass(frozen=True, slots=True)
class WatchedMachine:
    """One machine or volume as it is shown. `migration`: the id of the latest one."""

    migration: str
    name: str
    wave: int | None
    status: Status
    phase: str
    interrupted: bool
    stranded: str | None
    parked: str | None
    queued_behind: QueuedBehind | None
    cutover_failed: bool
    error: str | None
    downtime_seconds: float | None  # so far
    changed: int | None  # bytes, of the last sync
    disks: Sequence[DiskProgress]

    @classmethod
    def of_plan(cls, told: PlannedProgress) -> Self:
        """Make one of a plan's machine that was started."""
        own = told.migration or "", told.machine, told.wave, Status(told.status), told.phase or ""
        return cls(*own, changed=told.bytes_changed, **{name: getattr(told, name) for name in _ALIKE})

    @classmethod
    def alone(cls, told: Migration) -> Self:
        """Make one of a migration that no plan has started."""
        changed = told.syncs[-1]["bytes_changed"] if told.syncs else None
        own = told.id, told.machine_name, None, told.status, told.phase
        return cls(*own, changed=changed, **{name: getattr(told, name) for name in _ALIKE})


class _States:
    """The states of a plan's machines that were started, as they are told: all at first, then what has changed."""

    def __init__(self, client: Client, plan: str, only: Collection[str] | None) -> None:
        self._client, self._plan, self._only = client, plan, only
        self._last: PlanStates | None = None
        self._known: dict[str, WatchedMachine] = {}

    def figures(self) -> list[str]:
        """Return sentences on how far the plan is, and each of several waves of it that has begun."""
        if self._last is None:
            return []
        waves = self._last.waves if len(self._last.waves) > 1 else []
        begun = [one for one in waves if one.states.keys() - {"planned"}]
        return [f"Plan {self._plan}: {sentence_of(self._last.figures)}"] + [
            f"Wave {one.wave}: {sentence_of(one)}" for one in begun
        ]

    def __call__(self) -> list[WatchedMachine]:
        # What nobody runs may go on, or be taken, without being told as changed
        astray = any(one.interrupted or one.stranded for one in self._known.values())
        told = self._client.changed_states(self._plan, None if astray else self._last)
        if self._last is not None and told.version != self._last.version:
            told = self._client.changed_states(self._plan, None)
        for one in told.machines:
            if one.migration is not None:
                self._known[one.machine] = WatchedMachine.of_plan(one)
        self._last = told
        return [one for one in self._known.values() if self._only is None or one.migration in self._only]


def watch_plan(client: Client, plan: str, *, plain: bool, only: Collection[str] | None = None) -> list[Migration]:
    """Watch a plan until all of its migrations (or `only` these) have ended or wait after a cutover that failed, or
    their engine has died. Returns them as they then are.

    A server that doesn't answer is asked again for a while. Ctrl-C leaves the watching, not the migrations.
    """
    states = _States(client, plan, only)
    watch_together(states, f"Plan {plan}", plain=plain, figures=states.figures if only is None else list)
    return [m for m in client.plan_migrations(plan) if only is None or m.id in only]


def watch_together(
    asked: Callable[[], list[WatchedMachine]], what: str, *, plain: bool, figures: Callable[[], list[str]] = list
) -> None:
    """Watch what is `asked` for again and again, as `watch_plan` does.

    `figures`: sentences on all of it, as they are after each answer.
    """
    missing_since: float | None = None
    view: _View = _Board(what) if draws(plain=plain) else _Lines()
    with view:
        while True:
            began = time.monotonic()
            watched = retry_while_away(asked, view.note)
            took = time.monotonic() - began
            view.show(watched, figures())
            if all(one.status.ended or one.cutover_failed for one in watched):
                return
            if not any(one.interrupted for one in watched):
                missing_since = None
            elif missing_since is None:
                missing_since = time.monotonic()
            elif time.monotonic() - missing_since > _ENGINE_START:
                return
            time.sleep(max(_POLL, took * _REST))


def totals(watched: list[WatchedMachine]) -> str:
    """Sum up: 3 done, 2 running, 5 queued; 120.0 MiB/s."""
    states = Counter(status_of(one) for one in watched)
    counted = ", ".join(f"{count} {status}" for status, count in states.items())
    rate = sum(figures(d)[2] for one in watched for d in one.disks if d.state == "copying" and moves(one, d))
    return f"{counted}; {size(rate)}/s" if rate else counted


class _View(AbstractContextManager[object], Protocol):
    def note(self, text: str) -> None: ...
    def show(self, watched: list[WatchedMachine], figures: Sequence[str]) -> None: ...


class _Lines(nullcontext[None]):
    """One line for each change of a machine's phase, and now and then one for each disk on its way."""

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[str, str] = {}
        self._pace = LinePace(_LINE_EVERY)
        self._figures = LinePace(_FIGURES_EVERY)

    def note(self, text: str) -> None:
        self._line("", text)

    def show(self, watched: list[WatchedMachine], figures: Sequence[str]) -> None:
        for n, said in enumerate(figures):
            if self._figures.is_due(n):
                self._line("", said)
        for m in watched:
            told = _told(m)
            if self._told.get(m.migration) != told:
                self._told[m.migration] = told
                self._print(m, told)
            for disk in m.disks:
                if moves(m, disk) and self._pace.is_due((m.migration, disk.key)):
                    self._print(m, f"{disk.state}, {sentence(disk)}")

    def _print(self, m: WatchedMachine, text: str) -> None:
        self._line(m.name, text)

    def _line(self, whose: str, text: str) -> None:
        print(
            f"{time.strftime('%H:%M:%SZ', time.gmtime())}  {line(whose):<20} {line(text)}", file=sys.stderr, flush=True
        )


def _told(m: WatchedMachine) -> str:
    if m.status.ended:
        off = m.downtime_seconds
        told = m.status.value + (f", downtime {duration(off)}" if off is not None else "")
        return told + (f": {m.error}" if m.error and m.status is Status.FAILED else "")
    if m.status is Status.QUEUED:
        queued = "queued" if m.wave is None else f"queued, wave {m.wave}"
        why = m.stranded or why_queued(m.queued_behind)
        return f"{queued}. {why}" if why else queued
    told = m.status.value if m.status.waits_for_person else m.phase
    if m.interrupted:
        told = f"interrupted in {m.phase}"
    if m.status is Status.PARKED:
        told = f"parked in {m.phase}: {m.parked}"
    return f"{told}. {m.stranded}" if m.stranded else told


class _Board:
    """A table that is kept up to date: machines under way with their disks, then those that wait or have ended."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._console = console()
        self._screen = Screen(self._console)

    def __enter__(self) -> Self:
        self._screen.__enter__()
        return self

    def __exit__(self, *stop: object) -> None:
        self._screen.__exit__(*stop)

    def note(self, text: str) -> None:
        self._screen.print(Text(text, style="yellow"))

    def show(self, watched: list[WatchedMachine], figures: Sequence[str]) -> None:
        self._screen.show(self._drawn(watched, figures))

    def _drawn(self, watched: list[WatchedMachine], figures: Sequence[str]) -> Group:
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("Machine", "Wave", "Phase", "Progress", "Rate", "Left", "Changed", "Downtime"):
            table.add_column(column, justify="left" if column in ("Machine", "Phase") else "right", no_wrap=True)
        rows = [row for m in sorted(watched, key=_order) for row in _rows(m)]
        head = figures[:_WAVES] or [f"{self._what}: {totals(watched)}"]
        room = max(self._console.height - _FRAME - len(head) + 1, 5)
        for row in rows[:room]:
            table.add_row(*row)
        more = Text(f"… and {len(rows) - room} more lines", style="dim") if len(rows) > room else Text("")
        stranded = [Text(why, style="yellow") for why in dict.fromkeys(m.stranded for m in watched) if why]
        first, *waves = head
        return Group(Text(first, style="bold"), *map(Text, waves), *stranded[:_REASONS], table, more)


def _order(m: WatchedMachine) -> tuple[int, int]:
    """Return the order in which machines are shown: what moves first, then what waits for a person, then what is queued
    by wave, then what failed, then the rest."""
    if m.status in (Status.RUNNING, Status.ROLLING_BACK, Status.PARKED):
        return 0, m.wave or 0
    if m.status.waits_for_person:
        return 1, m.wave or 0
    if m.status is Status.QUEUED:
        return 2, m.wave or 0
    return (3 if m.status is Status.FAILED else 4), m.wave or 0


def _rows(m: WatchedMachine) -> Iterator[tuple[str | Text, ...]]:
    off = m.downtime_seconds
    at_work = m.status in (Status.RUNNING, Status.ROLLING_BACK) and not m.interrupted and not m.stranded
    phase = m.phase if at_work else status_of(m)
    yield (
        Text(m.name),
        "" if m.wave is None else str(m.wave),
        Text(phase, style=_COLOURS.get(m.status, "")),
        "",
        "",
        "",
        size(m.changed) if m.changed is not None else "",
        duration(off) if off is not None else "",
    )
    for disk in m.disks:
        if moves(m, disk):
            done, total, rate, left = figures(disk)
            yield (
                Text(f"  {disk.label}", style="dim"),
                "",
                Text(disk.state, style="dim"),
                f"{size(done)} of {size(total)} {done * 100 // total:3d} %",
                f"{size(rate)}/s",
                duration(left) if left is not None else "",
                "",
                "",
            )
