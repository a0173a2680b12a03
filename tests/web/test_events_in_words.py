"""What jobs tell is German on German pages: every text of the code that says it is known, and no other."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

import longshore
from longshore.wording.events import TEXTS, event_in_words
from longshore.wording.language import answer_in

SRC = Path(longshore.__file__).parent
PLACE = re.compile(r"%\(\w*\)s")
APART = ("cli", "web", "wording")  # what these say is no event
SAYING = ("say", "phase", "begin_phase", "Condition")
RETURNED = ("why_waiting", "why_kept", "verdict")  # functions whose sentences a job tells


@pytest.fixture
def german():
    answer_in("de")
    yield
    answer_in("en")


def said_in(tree):
    """The texts that a module's jobs tell, with a place for whatever isn't fixed."""
    found, known = set(), defaultdict(list)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            known[node.targets[0].id].append(node.value)  # in another function, too, which hands it on by its name
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and any(_is_saying(one) for one in (call.func, *call.args)):
            args = [way for arg in call.args for way in (known[arg.id] if isinstance(arg, ast.Name) else [arg])]
            found |= {text for arg in args for text in texts_of(arg)}
        if isinstance(call, ast.FunctionDef) and call.name in RETURNED:
            returned = [node.value for node in ast.walk(call) if isinstance(node, ast.Return) and node.value]
            found |= {text for value in returned for text in texts_of(value)}
    return {text for text in found if text == "Done." or (" " in text and re.search("[A-Za-z]{2,}", bare(text)))}


def _is_saying(node):
    return getattr(node, "attr", getattr(node, "id", "")) in SAYING


def texts_of(node):
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.IfExp):
        return [*texts_of(node.body), *texts_of(node.orelse)]
    if not isinstance(node, ast.JoinedStr):
        return []
    texts = [""]
    for part in node.values:
        ways = texts_of(part if isinstance(part, ast.Constant) else part.value) or ["%()s"]
        texts = [text + way for text in texts for way in ways]
    return texts


def bare(text):
    return PLACE.sub("", text)


@pytest.fixture(scope="module")
def said():
    paths = [path for path in SRC.rglob("*.py") if path.relative_to(SRC).parts[0] not in APART]
    return {text for path in paths for text in said_in(ast.parse(path.read_text()))}


def test_whatever_a_job_tells_is_known(said, german):
    assert len(said) > 150
    assert sorted(text for text in said if event_in_words(PLACE.sub("x7", text)) == PLACE.sub("x7", text)) == []


def test_no_text_outlives_the_code_that_said_it(said):
    """A text may say of a place what stands there: "all disks" in "Copying …"."""
    forms = [re.compile(".*?".join(map(re.escape, PLACE.split(text)))) for text in said]
    assert [text for text in TEXTS if not any(form.fullmatch(PLACE.sub("x7", text)) for form in forms)] == []


@pytest.mark.parametrize(
    ("text", "german_text"),
    [
        ("Done.", "Fertig."),
        ("Shutting web01 down.", "web01 wird heruntergefahren."),
        ("Copying all disks.", "Alle Platten werden kopiert."),
        ("Copying what has changed (sync 3).", "Kopiert wird, was sich geändert hat (Abgleich 3)."),
        ("The port p1 is gone.", "Weg ist: Port p1."),
        ("disk-0: The source is away. It is tried again.", "disk-0: The source is away. Es wird noch einmal versucht."),
        ("A sentence that nobody has thought of.", "A sentence that nobody has thought of."),
        ("Shutting " + "%(name)s down" * 1000, "Shutting " + "%(name)s down" * 1000),
    ],
)
def test_an_event_is_told_in_german(text, german_text, german):
    assert event_in_words(text) == german_text


def test_in_english_an_event_is_as_it_was_said():
    assert event_in_words("Shutting web01 down.") == "Shutting web01 down."
