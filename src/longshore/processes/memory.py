"""Tuning of Python's cyclic garbage collector, and of how long one thread keeps the others waiting."""

import atexit
import gc
import sys

_NEW_ONES = 200_000  # objects, about as many as a command makes of its imports
_USUALLY = (700, 10, 10)  # as Python has it by itself
_TURN = 0.0005  # seconds; Python's own are ten times as many


def seldom_look_for_cycles() -> None:
    """Look for cyclic garbage seldom, for the rest of this process. What is imported is never garbage: to look among it
    took a sixth of each start.

    Nor is what is there at the end looked through twice more: that took a quarter of a command's time.
    """
    gc.set_threshold(_NEW_ONES, *_USUALLY[1:])
    atexit.register(gc.freeze)


def live_long() -> None:
    """Tune this process for answering others for months, as opposed to one command.

    What refers to itself is soon found again, and what is here now isn't looked through each time. A thread that
    computes makes way for the others ten times as often: each of these asks for its turn after everything that it has
    waited for, so that what takes 20 ms alone took 100 beside a single thread that was busy.
    """
    gc.freeze()
    gc.set_threshold(*_USUALLY)
    sys.setswitchinterval(_TURN)
