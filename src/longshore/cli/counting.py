"""Progress of a long reading, for a person who waits: on standard error, only on a terminal, gone when it is done."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from longshore.cli.screen import console

PATIENCE = 2.0  # seconds in which nobody asks how far it is


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
