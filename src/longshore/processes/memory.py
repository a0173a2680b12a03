"""How often Python looks for what is referred to in circles alone."""

import atexit
import gc

_NEW_ONES = 200_000  # objects, about as many as a command makes of its imports; Python looks at every 700


def seldom_look_for_cycles() -> None:
    """For the rest of this process. What is imported is never garbage: to look among it took a sixth of each start.

    Nor is what is there at the end looked through twice more: that took a quarter of a command's time.
    """
    gc.set_threshold(_NEW_ONES, 10, 10)
    atexit.register(gc.freeze)
