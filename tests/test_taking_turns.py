"""Tests that take turns (conftest.py): in three runs that follow each other, each comes once."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from conftest import pytest_collection_modifyitems


@dataclass(eq=False)
class Item:
    nodeid: str
    marks: list[pytest.Mark] = field(default_factory=list)

    def get_closest_marker(self, name):
        return next((mark for mark in self.marks if mark.name == name), None)


def item(nodeid, *turns):
    return Item(nodeid, [pytest.mark.turns(*turns).mark] if turns != (None,) else [])


ALL = [
    *(item(f"test_a.py::test_kill[{call}]") for call in "abcdef"),
    item("test_a.py::test_other", None),
    *(item(f"test_{n}.py::test_any", "a proxy") for n in range(3)),
    *(item(f"test_b.py::test_kill[{call}]") for call in "ab"),
]


@pytest.fixture
def run(monkeypatch):
    def collected(turn):
        monkeypatch.setenv("LONGSHORE_TURN", turn)
        items, left_out = list(ALL), []

        def deselected(items):
            left_out.extend(items)

        hook = SimpleNamespace(pytest_deselected=deselected)
        pytest_collection_modifyitems(SimpleNamespace(hook=hook), items)
        assert {*items, *left_out} == {*ALL}
        return [one.nodeid for one in items]

    return collected


def test_each_comes_once_in_three_runs(run):
    runs = [run(str(turn)) for turn in (1796007650, 1796007651, 1796007652)]
    taken = [nodeid for one in runs for nodeid in one]
    assert {nodeid: taken.count(nodeid) for nodeid in taken} == {
        one.nodeid: 3 if one.nodeid.endswith("other") else 1 for one in ALL
    }
    assert all(sum("test_kill" in nodeid and "test_a" in nodeid for nodeid in one) == 2 for one in runs)
    assert all(sum("test_any" in nodeid for nodeid in one) == 1 for one in runs)


def test_all_run_where_it_is_nobodys_turn(run):
    assert run("") == [one.nodeid for one in ALL]
