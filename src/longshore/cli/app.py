"""The command `longshore`.

`longshore copy` doesn't go through the frame that all commands share (shell.py): importing that takes longer than many
a copy. What it is asked, says and answers is the same either way.
"""

import os
import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["copy"]:
        from longshore.blocks.command import main as copy

        return copy(arguments[1:], "longshore copy")
    from longshore.cli.shell import LongshoreApp

    status = int(LongshoreApp().run(arguments or ["--help"]))
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # who read it has had enough (… | head): nothing to complain of when Python ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return status
