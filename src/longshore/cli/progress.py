"""Watching a migration from the terminal: bars for a person, lines for a log. Everything goes to standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Protocol, Self

from rich.console import Group
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from longshore.border.texts import line
from longshore.cli.retry import retry_while_away
from longshore.cli.screen import Screen, console
from longshore.model.request import MigrationType
from longshore.model.status import Status
from longshore.wording.figures import size
from longshore.wording.progress import figures, moves, pace, standing

if TYPE_CHECKING:
    from longshore.api.schemas import DiskProgress, Event, Migration
    from longshore.client import Client

_POLL = 0.5  # seconds between looks
_POLL_AT_FIRST = 0.1  # seconds: what is done within a second or two is told at once
_POLLS_SLOWER = 10  # part of the time that has gone by, until it is the usual time between looks
_POLL_AT_MOST = 3.0  # seconds, for a log: each look costs what a machine that boots beside could use
_POLLS_RARER = 20  # part of the time since there was anything new
_LINE_EVERY = 5.0  # seconds between plain lines about the same disk, at first
_LINES_RARER = 20  # part of the time that it has taken so far: the longer something takes, the rarer its lines
_ENGINE_START = 15.0  # seconds an engine may take to come up before its absence means something


def watch(client: Client, migration_id: str, *, plain: bool, as_typed: Callable[[str], str] = str) -> Migration:
    """Watch a migration until it has ended, its cutover has failed, or its engine has died. Returns it as it then is.

    A server that doesn't answer is asked again for a while. Ctrl-C leaves the watching, not the migration. `as_typed`
    names commands in what is said as one types them here.
    """
    seen = 0
    missing_since: float | None = None
    drawn = draws(plain=plain)
    view: _View = _Bars() if drawn else _Lines()
    stranded: set[str] = set()  # what was told of it
    away = partial(view.warn, "no-answer")
    known: Migration | None = None
    began = news = time.monotonic()
    with view:
        while True:
            migration = retry_while_away(partial(client.migration, migration_id), away)
            timeless = migration.model_copy(update={"downtime_seconds": None})
            if drawn or timeless != known:
                known, news = timeless, time.monotonic()
            for event in retry_while_away(partial(client.events, migration_id, seen), away):
                seen = event.id
                if event.text not in stranded:
                    view.say(reworded(event, as_typed))
                if event.phase == "stranded":
                    stranded.add(event.text)
            if migration.stranded and migration.stranded not in stranded:
                stranded.add(migration.stranded)
                view.warn("stranded", as_typed(migration.stranded))
            view.show(migration)
            if migration.status.ended or migration.cutover_failed or migration.status is Status.WAITS_FOR_DECISION:
                return migration
            if not migration.interrupted:
                missing_since = None
            elif missing_since is None:
                missing_since = time.monotonic()
            elif time.monotonic() - missing_since > _ENGINE_START:
                return migration
            now = time.monotonic()
            least = min(max((now - began) / _POLLS_SLOWER, _POLL_AT_FIRST), _POLL)
            time.sleep(max(least, min((now - news) / _POLLS_RARER, _POLL_AT_MOST)))


class _View(AbstractContextManager[object], Protocol):
    def say(self, event: Event) -> None: ...
    def warn(self, phase: str, text: str) -> None: ...
    def show(self, migration: Migration) -> None: ...


class _Lines(nullcontext[None]):
    """One line for each event, now and then one for each disk on its way, and one when its copy is done."""

    def __init__(self) -> None:
        super().__init__()
        self._pace = LinePace(_LINE_EVERY)
        self._said: set[str] = set()

    def say(self, event: Event) -> None:
        self._print(f"{event.at:%H:%M:%SZ}  {event.phase:<16} {with_level(event)}")

    def warn(self, phase: str, text: str) -> None:
        self._now(phase, f"warning: {text}")

    def show(self, migration: Migration) -> None:
        for disk in migration.disks:
            if moves(migration, disk) and self._pace.is_due(disk.key):
                self._now(disk.state, sentence(disk))
            elif disk.state == "done":
                self._copied(migration, disk)

    def _copied(self, migration: Migration, disk: DiskProgress) -> None:
        """Say once that a disk is copied. Of a machine that runs on, what is copied is no end yet, and its digest that
        of an earlier day."""
        whole = f"{disk.label}: all of {size(disk.size)}"
        if not is_last_copy(migration):
            line = f"{whole}; what changes while the machine runs is copied again"
        else:
            line = f"{whole}, root digest {disk.root_digest}"
        if line not in self._said:
            self._said.add(line)
            self._now("copied", line)

    def _now(self, what: str, text: str) -> None:
        self._print(f"{time.strftime('%H:%M:%SZ', time.gmtime())}  {what:<16} {text}")

    def _print(self, text: str) -> None:
        print(line(text), file=sys.stderr, flush=True)


class _Bars:
    """A bar for each disk below the events, with rate and time left; above them the phase, and how long it is down."""

    def __init__(self) -> None:
        self._console = console()
        self._screen = Screen(self._console)
        self._progress = Progress(  # only draws; when, is the screen's affair
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[amount]}"),
            TextColumn("{task.fields[pace]}"),
            console=self._console,
        )
        self._bars: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._screen.__enter__()
        return self

    def __exit__(self, *stop: object) -> None:
        self._screen.__exit__(*stop)

    def say(self, event: Event) -> None:
        self._print(f"{event.at:%H:%M:%SZ}", event.level, event.phase, event.text)

    def warn(self, phase: str, text: str) -> None:
        self._print(time.strftime("%H:%M:%SZ", time.gmtime()), "warning", phase, text)

    def _print(self, at: str, level: str, phase: str, text: str) -> None:
        colour = {"warning": "yellow", "error": "red"}.get(level, "")
        self._screen.print(Text.assemble((at, "dim"), " ", (f"{phase:<16}", "bold"), " ", (text, colour)))

    def show(self, migration: Migration) -> None:
        for disk in migration.disks:
            if disk.progress is None:
                continue
            done, total, rate, left = figures(disk)
            if disk.key not in self._bars:
                self._bars[disk.key] = self._progress.add_task(disk.label, total=total, amount="", pace="")
            self._progress.update(
                self._bars[disk.key],
                description=f"{disk.label} {disk.state}",
                completed=total if disk.state == "done" else done,
                total=total,
                amount=f"{size(total if disk.state == 'done' else done)} of {size(total)}",
                pace=pace(rate, left) if moves(migration, disk) else "",
            )
        at = migration.status.value if migration.status is Status.PARKED else migration.phase
        phase = [] if migration.status.ended else [Text(", ".join([at, *standing(migration)]))]
        self._screen.show(Group(*phase, self._progress.make_tasks_table(self._progress.tasks)))


class LinePace:
    """The times at which a line about something that goes on is due: often at first, ever rarer the longer it has gone
    on."""

    def __init__(self, least: float) -> None:
        """Keep the pace. `least`: seconds between two lines about the same."""
        self._least = least
        self._first: dict[object, float] = {}
        self._last: dict[object, float] = {}

    def is_due(self, what: object) -> bool:
        """Tell whether a line about it is due; it then counts as written."""
        now = time.monotonic()
        first = self._first.setdefault(what, now)
        if what in self._last and now - self._last[what] < max(self._least, (now - first) / _LINES_RARER):
            return False
        self._last[what] = now
        return True


def draws(*, plain: bool) -> bool:
    """Tell whether standard error is a terminal on which lines can be changed later, and that is wanted."""
    return not plain and sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def is_last_copy(migration: Migration) -> bool:
    """Tell whether what is copied is what the target boots: a warm migration copies again what has changed
    meanwhile."""
    if migration.type is not MigrationType.WARM or migration.status is Status.DONE:
        return True
    return any(sync["final"] for sync in migration.syncs)


def reworded(event: Event, as_typed: Callable[[str], str]) -> Event:
    """Return the event with commands named as one types them here."""
    return event.model_copy(update={"text": as_typed(event.text)})


def with_level(event: Event) -> str:
    """Return what happened; that it is a warning or an error comes first."""
    return event.text if event.level == "information" else f"{event.level}: {event.text}"


def sentence(disk: DiskProgress) -> str:
    """Return how far a disk is."""
    done, total, rate, left = figures(disk)
    return f"{disk.label}: {size(done)} of {size(total)} ({done * 100 // total} %), {pace(rate, left)}"
