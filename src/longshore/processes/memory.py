"""How often Python looks for what is referred to in circles alone."""

import gc

_NEW_ONES = 50_000  # objects; Python looks at every 700


def seldom_look_for_cycles() -> None:
    """For the rest of this process. What is imported is never garbage: to look among it took a sixth of each start."""
    gc.set_threshold(_NEW_ONES, 10, 10)
