"""Tests that take turns, since they take long and are much alike: `make test` runs one in six, `make soak` all.

Parameters of a test marked `turns` take turns with each other, and so do all tests marked `turns("…")` with the same
words. LONGSHORE_TURN, any number, says whose turn it is; without it all run, as when somebody runs one.
"""

from collections import defaultdict
from collections.abc import Sequence

import pytest

TURNS = 6


def left_out(items: Sequence[pytest.Item], turn: int) -> set[pytest.Item]:
    """Return the tests of a run whose turn it isn't. In six turns that follow each other, each comes once."""
    taking = defaultdict(list)
    for item in items:
        if mark := item.get_closest_marker("turns"):
            taking[mark.args or item.nodeid.partition("[")[0]].append(item)
    return {item for those in taking.values() for n, item in enumerate(those) if (n - turn) % TURNS}
