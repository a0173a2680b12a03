"""Programs that end when this process does, however it ends."""

import os

# The shell's parent is another one when whoever started it has died before setpriv could ask to be told
_UNLESS_ORPHANED = '[ "$PPID" = "$0" ] && exec "$@"'


def die_with_parent(*command: str, death_signal: str = "KILL") -> list[str]:
    """Return the command line that runs `command` and has the kernel send it `death_signal` when this process has died.

    It is the thread that starts it whose end counts (prctl(2), PR_SET_PDEATHSIG).
    """
    return ["setpriv", f"--pdeathsig={death_signal}", "--", "sh", "-c", _UNLESS_ORPHANED, str(os.getpid()), *command]
