"""Which tests a run has: one in six of those that take turns (turns.py), and none that `make soak` has."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from turns import left_out


@dataclass(eq=False)
class Item:
    nodeid: str
    marks: list[pytest.Mark] = field(default_factory=list)

    def get_closest_marker(self, name):
        return next((mark for mark in self.marks if mark.name == name), None)


def taking(nodeid, *words):
    return Item(nodeid, [pytest.mark.turns(*words).mark])


ALL = [
    *(taking(f"test_a.py::test_kill[{call}]") for call in "abcdefghijkl"),
    Item("test_a.py::test_other"),
    *(taking(f"test_{n}.py::test_any", "a proxy") for n in range(6)),
    *(taking(f"test_b.py::test_kill[{call}]") for call in "ab"),
]


def run(turn):
    out = left_out(ALL, turn)
    return [item.nodeid for item in ALL if item not in out]


def test_each_comes_once_in_six_runs():
    runs = [run(1796007650 + n) for n in range(6)]
    taken = [nodeid for one in runs for nodeid in one]
    assert {nodeid: taken.count(nodeid) for nodeid in taken} == {
        item.nodeid: 6 if item.nodeid.endswith("other") else 1 for item in ALL
    }


def test_a_run_has_one_in_six_of_each_kind():
    for turn in range(6):
        one = run(turn)
        assert len([nodeid for nodeid in one if nodeid.startswith("test_a.py::test_kill")]) == 2
        assert len([nodeid for nodeid in one if nodeid.endswith("test_any")]) == 1


WAITING = """
import pytest

@pytest.mark.turns
@pytest.mark.parametrize("n", range(2))
def test_one(n):
    pass
"""


@pytest.mark.parametrize(("turn", "words", "code"), [(0, [], 0), (5, [], 0), (5, ["-k", "nothing"], 5)])
def test_a_run_whose_tests_all_wait_for_their_turn_has_not_failed(tmp_path, turn, words, code):
    (tmp_path / "test_it.py").write_text(WAITING)
    command = [sys.executable, "-m", "pytest", "-p", "turns", "-p", "no:cacheprovider", tmp_path, *words]
    changes = {"LONGSHORE_TURN": str(turn), "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | changes, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout
    assert ("1 passed" in done.stdout) is (turn == 0)


@pytest.mark.long
def test_kills_before_a_call_are_left_to_soak():
    """What flows/conftest.py marks, it tells by other marks."""
    kills = Path(__file__).parent / "flows" / "test_failbacks.py::test_a_kill_costs_nothing"
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", kills, "-m"]

    everybody = {**os.environ, "LONGSHORE_TURN": ""}

    def collected(marks):
        listed = subprocess.run([*command, marks], env=everybody, capture_output=True, text=True, check=True).stdout
        return {line.rpartition("-")[2] for line in listed.splitlines() if "::" in line}

    assert "before]" in collected("soak")
    assert collected("not soak") == {"after]"}
