"""The processors that this process may use, and threads that keep to one of them."""

import os
from collections.abc import Callable
from contextlib import suppress

LEAST_THREADS = 2  # one works while the other waits for the servers
COPIERS = 2  # for each processor: one goes on while the other's server waits for memory, or a neighbour has its turn


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def threads(most: int) -> int:
    """Return how many threads, at most `most`, keep the processors busy with what is in memory."""
    return min(most, max(LEAST_THREADS, processors()))


def copiers(most: int) -> int:
    """Return how many threads, at most `most`, get through a copy soonest, whatever else the machine does."""
    return min(most, COPIERS * processors())


def own_processor(number: int, of: int, run: Callable[[], None]) -> Callable[[], None]:
    """Return `run` bound to one processor, for the thread of this number among so many, if each processor then has as
    many of them; else `run` itself.

    A thread that asks a server of the same machine and waits for its answer then stays where that answer is in the
    cache: the kernel, left alone, moves them about, and a whole copy took a sixth longer. With more processors than
    threads all is left to the kernel, as copies in other processes would choose the same ones.
    """
    mine = sorted(os.sched_getaffinity(0))
    if of % len(mine):
        return run

    def run_there() -> None:
        with suppress(OSError):  # where that isn't allowed it must do without
            os.sched_setaffinity(0, {mine[number % len(mine)]})  # of the thread, not of the process
        run()

    return run_there
