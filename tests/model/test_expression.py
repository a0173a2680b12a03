"""Regular expressions of strangers: quick whatever is written, and refused in a sentence when they can't be."""

import time

import pytest

from longshore.errors import BootError, InvalidInput
from longshore.flows.moves.bootcheck import Console, wait_until_up
from longshore.model.expression import LONGEST, compile_expression


def looked_at(console, mark):
    return wait_until_up(Console(lambda: console, mark), timeout=0, raise_if_cancelled=lambda: None)


HOSTILE = ["a?" * 65 + "a" * 65 + "!", "(a|a)*!", "(a+a+)+!", "(a|aa)+!", ".*.*.*=.*"]


@pytest.mark.parametrize("written", HOSTILE)
def test_no_expression_takes_long(written):
    began = time.process_time()
    assert looked_at("a" * 200_000, written) is None
    assert time.process_time() - began < 2


def test_what_a_guest_that_gave_up_says_is_found_in_a_time_that_grows_with_the_console_alone():
    began = time.process_time()
    assert looked_at("ALERT! " * 30_000, "up") is None
    assert time.process_time() - began < 2
    with pytest.raises(BootError, match='its console says "ALERT! /dev/sda1 does not exist"'):
        looked_at("x\nALERT! /dev/sda1 does not exist\n", "up")


def test_marks_are_looked_for_line_by_line_at_the_end_of_a_long_console():
    assert compile_expression("^web login: *$").find("y" * 200_000 + "\nweb login: ") == "web login: "
    assert compile_expression("a\\nb").find("a\nb") == "a\nb"
    assert compile_expression("é").find("\ud800 é") == "é"
    assert compile_expression("up").find("down") is None


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("(", 'The regular expression "(" isn\'t right: missing ).'),
        ("*x", "no argument for repetition operator: *"),
        ("a(?=b)", "isn't known here. Write it without lookaround and backreferences."),
        ("(?<!a)b", "without lookaround"),
        (r"(a)\1", "without lookaround and backreferences"),
        ("(?P<x>a)(?P=x)", "without lookaround and backreferences"),
        ("(a{1000}){1000}", "isn't right"),
        ("[ab]*a[ab]{999}c", "too large once its repetitions are written out"),
        ("x" * (LONGEST + 1), f"at most {LONGEST} characters"),
        ("", "fits everything"),
        ("\ud800", "half a character"),
    ],
)
def test_what_is_none_or_too_large_is_refused_in_a_sentence(written, said):
    with pytest.raises(InvalidInput) as refused:
        compile_expression(written)
    assert said in str(refused.value)
