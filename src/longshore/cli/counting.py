"""Progress of what takes long, for a person who waits: on standard error, and gone when it is done."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskProgressColumn, TextColumn

from longshore.border.texts import line
from longshore.cli.screen import console

PATIENCE = 2.0  # seconds in which nobody asks how far it is
_EVERY = 5.0  # seconds between lines

Show = Callable[[int, int, str], None]  # how many are done, of how many, and what is being done


@contextmanager
def counting(what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Gives a function to be told (done, all) whenever there is news; nothing is shown of what is done at once."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    progress = Progress(*columns, console=console(), transient=True)
    task = progress.add_task(what, total=None)
    shown, ended = Lock(), False

    def show() -> None:
        with shown:
            if not ended:
                progress.start()

    timer = Timer(PATIENCE, show)
    timer.daemon = True
    timer.start()
    try:
        yield lambda done, all_: progress.update(task, completed=done, total=all_)
    finally:
        timer.cancel()
        with shown:
            ended = True
            progress.stop()


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
    due = time.monotonic() + PATIENCE

    def show(done: int, total: int, doing: str) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + _EVERY
            share = f"{done * 100 // total:>3} %" if total else "     "
            print(f"{time.strftime('%H:%M:%SZ', time.gmtime())}  {share}  {line(doing)}", file=sys.stderr, flush=True)

    return show
