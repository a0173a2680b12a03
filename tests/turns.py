"""Tests that take turns, since they take long and are much alike: `make test` runs one in six, `make soak` all.

Parameters of a test marked `turns` take turns with each other, and so do all tests marked `turns("…")` with the same
words. LONGSHORE_TURN, any number, says whose turn it is; without it all run, as when somebody runs one.
"""

import os
from collections import defaultdict
from collections.abc import Sequence

import pytest

TURNS = 6
_LEFT_OUT = pytest.StashKey[bool]()


def left_out(items: Sequence[pytest.Item], turn: int) -> set[pytest.Item]:
    """Return the tests of a run whose turn it isn't. In six turns that follow each other, each comes once."""
    taking = defaultdict(list)
    for item in items:
        if mark := item.get_closest_marker("turns"):
            taking[mark.args or item.nodeid.partition("[")[0]].append(item)
    return {item for those in taking.values() for n, item in enumerate(those) if (n - turn) % TURNS}


@pytest.hookimpl(trylast=True)  # after -m: turns are taken among the tests that it has chosen
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if turn := os.environ.get("LONGSHORE_TURN"):
        out = left_out(items, int(turn))
        config.hook.pytest_deselected(items=list(out))
        items[:] = [item for item in items if item not in out]
        config.stash[_LEFT_OUT] = bool(out)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """A run of which each test waits for its turn hasn't failed."""
    if exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and session.config.stash.get(_LEFT_OUT, False):
        session.exitstatus = pytest.ExitCode.OK
