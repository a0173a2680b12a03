"""The command `longshore`.

`longshore copy` doesn't go through the frame that all commands share (shell.py): importing that takes longer than many
a copy. What it is asked, says and answers is the same either way. Nor does what a shell asks at each TAB.
"""

import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from longshore.cli.terminal import faults_of_files_told, screened
from longshore.errors import LongshoreError
from longshore.processes.memory import seldom_look_for_cycles

_INTERRUPTED = 130  # as a shell has it, and the frame of all commands


def main(argv: Sequence[str] | None = None) -> int:
    seldom_look_for_cycles()
    with screened():
        status = 0
        try:
            with faults_of_files_told():
                status = _run(list(sys.argv[1:] if argv is None else argv))
                sys.stdout.flush()
        except BrokenPipeError:  # who read it has had enough (… | head): nothing to complain of when Python ends
            _write_no_more()
        except LongshoreError as error:
            if status == 0:  # else more has been said already
                sys.stderr.write(f"longshore: {error}\n")
            _write_no_more()
            return status or 1
        return status


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["copy"]:
        from longshore.blocks.command import main as copy

        return copy(arguments[1:], "longshore copy")
    if not arguments:
        from longshore.cli.help import FIRST_STEPS

        sys.stdout.write(FIRST_STEPS)
        return 0
    with _ended_by_ctrl_c():
        if arguments[:1] == ["complete"] and {"--line", "--"} & set(arguments):
            from longshore.cli.completion import main as complete

            return complete(arguments[1:])
        from longshore.cli.shell import LongshoreApp

        app = LongshoreApp()
    return int(app.run(arguments))


def _write_no_more() -> None:
    """Let nothing go where standard output went: Python would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _ended_by_ctrl_c() -> Iterator[None]:
    """End here and now at Ctrl-C: nothing is done yet, and an import that is broken off says nothing that helps."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # it is ignored, or somebody else's
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(_INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
