"""Progress line for slow commands, on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from longshore.border.texts import line
from longshore.cli.screen import console

_FIRST = 2.0  # seconds without a word
_EVERY = 5.0  # seconds between lines

Show = Callable[[int, int, str], None]  # how many are done, of how many, and what is being done


@contextmanager
def following() -> Iterator[Show]:
    """Show a bar on a terminal, which goes away at the end; lines elsewhere."""
    if not sys.stderr.isatty():
        yield _lines()
        return
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn()
    with Progress(*columns, console=console(), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total, doing: progress.update(
            task, description=doing[:60], completed=done, total=total or None
        )


def _lines() -> Show:
    due = time.monotonic() + _FIRST

    def show(done: int, total: int, doing: str) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _EVERY
            share = f"{done * 100 // total:>3} %" if total else "     "
            print(f"{time.strftime('%H:%M:%SZ', time.gmtime())}  {share}  {line(doing)}", file=sys.stderr, flush=True)

    return show
