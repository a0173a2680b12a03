"""Docstrings are sentences with a subject and a verb, or titles where they are titles: no captions."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "longshore"
# "": the modules right below longshore
ROOMS = ["", *sorted(path.name for path in SOURCE.iterdir() if any(path.glob("*.py")))]
ADVICE = "say in a sentence what a caller needs: Return …, Tell whether …, Raise …"

# A caption begins so: "Of a failback: …", "By their words", "Whether it is …", "Raises NotFound."
CAPTION = re.compile(
    r"(?:of|by|as|for|with|from|to|in|on|at|until|within|without|also|likewise|whether|what|who|whom|whose|where|why|how"
    r"|which|those|raises)\b",
    re.IGNORECASE,
)
# What a function is said to do begins with a verb; where it begins so, there has to be one further on
NOUN = re.compile(
    r"(?:an?|the|its?|they|their|there|this|that|these|one|each|every|all|both|some|nothing|nobody|none)\b",
    re.IGNORECASE,
)
VERB = re.compile(
    r"\b(?:is|are|was|were|has|have|had|can|may|must|will|would|does|do|did|[a-z]+n't|goes|go|gets|get|stays|takes|needs"
    r"|knows|says|means|holds|keeps|makes|becomes|reads|writes|tells|gives|runs|ends|begins|starts|counts|belongs|lets"
    r"|refuses|leaves|works|drops|leads)\b"
)


def is_caption(text, *, of_function):
    first = re.split(r"[.:;](?:\s|$)", " ".join(text.split()), maxsplit=1)[0]
    if CAPTION.match(first):
        return True
    return of_function and bool(NOUN.match(first)) and not VERB.search(first)


def captions(paths):
    """Return FILE:LINE and the first words of each caption in these modules."""
    found = []
    for path in sorted(paths):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            text = ast.get_docstring(node)
            if text and is_caption(text, of_function=isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
                found.append(f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}: {text.splitlines()[0][:70]}")
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_docstrings_are_no_captions(room):
    paths = (SOURCE / room).rglob("*.py") if room else SOURCE.glob("*.py")
    assert captions(paths) == [], ADVICE


def test_docstrings_of_what_tests_share_are_no_captions():
    shared = [path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_")]
    assert captions(shared) == [], ADVICE


def test_docstrings_of_the_dashboard_are_no_captions():
    assert captions((ROOT / "horizon").rglob("*.py")) == [], ADVICE


@pytest.mark.parametrize(
    ("text", "of_function", "is_one"),
    [
        ("Of a failback: the machine that is failed back to.", True, True),
        ("Whether it is on.", True, True),
        ("Raises NotFound.", True, True),
        ("What a plan holds.", False, True),
        ("The disks of a machine.", True, True),
        ("The disks of a machine.", False, False),
        ("Return the disks of a machine.", True, False),
        ("Tell whether it is on.", True, False),
        ("The kernel drops a lock with its process.", True, False),
        ("A second call has nothing to do.", True, False),
    ],
)
def test_a_caption_is_told_from_a_sentence(text, of_function, is_one):
    assert is_caption(text, of_function=of_function) == is_one
