#!/usr/bin/python3
"""enter.py HOLDER_PID COMMAND...: run a command in the lab's namespaces as if it ran here.

Same working directory, terminal, standard input and output, environment, and the command's own exit status. nsenter does
nearly this, but dies of Ctrl-C before the command has cleaned up, and doesn't pass on a SIGTERM at all.
"""

import ctypes
import os
import signal
import sys
from typing import NoReturn

# From <sched.h> and <sys/prctl.h>.
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x04000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1

PASSED_ON = (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def join(libc: ctypes.CDLL, holder: int) -> None:
    """Join all of the holder's namespaces at once (a pidfd, Linux 5.8); the pid namespace holds for children only."""
    here = os.getcwd()
    if libc.setns(os.pidfd_open(holder), CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID):
        sys.exit(f"can't enter the lab's namespaces: {os.strerror(ctypes.get_errno())} (this needs root)")
    try:
        os.chdir(here)
    except OSError as error:
        sys.exit(f"the lab can't see the current directory {here}: {error.strerror}; start from another one")


def end_like(status: int) -> NoReturn:
    """End the way the command ended: its exit code, or its signal."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status))


def main(holder: int, command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    join(libc, holder)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*PASSED_ON, signal.SIGCHLD))
    child = os.fork()
    if not child:
        # The command ends when this process is killed; what the command left in the background stays.
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            os.execvp(command[0], command)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr)
            os._exit(126 if isinstance(error, PermissionError) else 127)
    while True:
        received = signal.sigwaitinfo((*PASSED_ON, signal.SIGCHLD))
        if received.si_signo == signal.SIGCHLD:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                end_like(status)
        elif received.si_code <= 0:  # sent by a process; the terminal's own (si_code > 0) has reached the command already
            os.kill(child, received.si_signo)


main(int(sys.argv[1]), sys.argv[2:])
