"""Every concern that the code can raise is of a kind that the reference tells of."""

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import longshore
from longshore.errors import InvalidInput
from longshore.model.concern import Severity
from longshore.planning.catalogue import catalogue, refuse_unknown

KINDS = [kind for kinds in catalogue().values() for kind in kinds]
SOURCES = Path(longshore.__file__).parent


@cache
def all_calls():
    """Name of what is called, and in which file."""
    return [
        (node.func.id, path.relative_to(SOURCES).as_posix())
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]


def calls(name):
    """Where a function or class of that name is called, but for where kinds themselves are made and read."""
    return [path for called, path in all_calls() if called == name]


def test_no_concern_is_made_but_by_its_kind():
    assert set(calls("Concern")) <= {"planning/kinds.py"}


def test_every_kind_is_in_the_catalogue_once():
    declared = sum(Counter(p for name in ("blocker", "warning", "information") for p in calls(name)).values())
    quotas = 8 - 1 + 4 - 1 + 4 - 1  # made by one line of each of their three modules
    assert len(KINDS) == declared + quotas
    assert [code for code, count in Counter(kind.code for kind in KINDS).items() if count > 1] == []


def test_what_can_be_accepted_is_a_blocker_and_every_blocker_says_what_to_do():
    assert all(kind.severity is Severity.BLOCKER for kind in KINDS if kind.acceptable)
    assert [kind.code for kind in KINDS if kind.severity is not Severity.INFORMATION and not kind.advice] == []
    assert all(kind.meaning.endswith(".") and (not kind.advice or kind.advice[-1] in '.)"') for kind in KINDS)


def test_a_code_that_no_concern_has_is_refused_with_the_nearest():
    refuse_unknown([kind.code for kind in KINDS])
    with pytest.raises(InvalidInput) as caught:
        refuse_unknown(["disk-shared", "quota-gigabyte"])
    assert caught.value.advice == "Did you mean quota-gigabytes?"
