"""A copy's progress in the terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from longshore.blocks.request import CopyProgress, Phase

_TITLES = {Phase.COPY: "copying", Phase.VERIFY: "verifying", Phase.REPAIR: "repairing"}


@contextmanager
def bar(name: str) -> Iterator[Callable[[CopyProgress], None]]:
    """Show a bar on standard error while the context is open; nothing when that isn't a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        task = bars.add_task(name)

        def report(progress: CopyProgress) -> None:
            verifying = progress.phase is Phase.VERIFY
            bars.update(
                task,
                description=f"{name}: {_TITLES[progress.phase]}",
                total=progress.to_verify if verifying else progress.total,
                completed=progress.verified if verifying else progress.done,
            )

        yield report
