"""Documents lead where they say: links, files and functions that they name are there, and decisions have a date."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from longshore.engine.version import FLOW_VERSION
from longshore.store.database import newest_revision
from longshore.vault.vault import FORMAT

ROOT = Path(__file__).parents[1]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
FOLDERS = ("bench", "demo", "deploy", "docs", "horizon", "lab", "tests")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
CODE = (ROOT / "src" / "longshore", ROOT / "src", ROOT)  # where files are looked for that documents name
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.py)`")
NAMED = re.compile(FILE.pattern + r"((?:(?:, | and )`(?!\w+\.py`)[\w.]+`)+)")  # a file, and what is in it
STATUS = re.compile(r"\d{4}-\d\d-\d\d, in force(; last changed \d{4}-\d\d-\d\d)?\.")
WALKS = {  # each with the most steps that it may take
    "Which blocks does a warm sync copy?": 4,
    "How does a backup's point come about?": 8,
    "What becomes of a form?": 8,
    "Where does a limit act?": 8,
    "Where does a secret go?": 8,
    "Why was this migration parked?": 8,
}


def told(page):
    """What a page says, without what it quotes."""
    return FENCE.sub("", page.read_text())


def name_of(page):
    return str(page.relative_to(ROOT))


@cache
def anchors(page):
    """Those of a page's headings, as forges make them."""
    heads = re.findall(r"^#+ (.+)$", told(page), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head).lower() for head in heads]
    made = [re.sub(r"[^\w\- ]", "", head).replace(" ", "-") for head in plain]
    return {*made, *re.findall(r'<a (?:id|name)="([^"]+)"', page.read_text())}


@cache
def names_in(path):
    """Functions, classes, methods (as Class.method, and alone) and names that a module assigns."""
    found = set()

    def look(body, inside):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.update({node.name, f"{inside}{node.name}"})
                look(node.body, f"{node.name}." if isinstance(node, ast.ClassDef) else inside)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [target.id for target in targets if isinstance(target, ast.Name)]
                found.update(names, (f"{inside}{name}" for name in names))

    look(ast.parse(path.read_text()).body, "")
    return found


def file_named(name):
    return next((place / name for place in CODE if (place / name).is_file()), None)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_its_links_lead_somewhere(page):
    for link in LINK.findall(told(page)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{link} isn't there"
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_what_it_names_of_the_code_is_there(page):
    text = told(page)
    for name in FILE.findall(text):
        assert file_named(name), f"there is no {name}"
    for name, rest in NAMED.findall(text):
        for wanted in re.findall(r"`([\w.]+)`", rest):
            assert wanted in names_in(file_named(name)), f"{name} has no {wanted}"


def test_pages_that_the_code_names_are_there():
    for folder in (*FOLDERS, "src"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".html", ".toml", ".yaml", ".service", ".in", "") and path.is_file():
                for page in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text(errors="replace")):
                    assert (ROOT / page).exists(), f"{name_of(path)} names {page}, which isn't there"


@pytest.mark.parametrize("page", DECISIONS, ids=name_of)
def test_a_decision_has_a_date_and_a_status(page):
    title, blank, status, *_ = page.read_text().splitlines()
    assert title.startswith("# ")
    assert blank == ""
    assert STATUS.fullmatch(status), "the third line is to be as: 2026-11-20, in force; last changed 2026-11-26."


def test_every_page_is_listed():
    linked = {(ROOT / "docs" / link).resolve() for link in LINK.findall((ROOT / "docs" / "README.md").read_text())}
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - linked == {ROOT / "docs" / "README.md"}


@pytest.mark.parametrize("walk", WALKS)
def test_a_walk_is_short_and_names_a_function_at_each_step(walk):
    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.partition(f"## {walk}\n")[2].partition("\n## ")[0]
    steps = re.split(r"^\d\. ", section, flags=re.MULTILINE)[1:]
    assert 0 < len(steps) <= WALKS[walk]
    for step in steps:
        assert NAMED.search(step) or step.startswith("`longshore "), step


def test_contributing_says_what_to_open_for_a_change():
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("| I want to change")[2].partition("\n\n")[0]
    rows = text.splitlines()[2:]
    assert len(rows) >= 10
    for row in rows:
        named = FILE.findall(row)
        assert named, row


def test_the_changelog_says_which_versions_came_last():
    """Whoever upgrades reads there whether one was raised: releases stand from the newest on."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    last = {
        kind: re.search(rf"{kind} (\d+)", changelog)[1] for kind in ("schema version", "flow version", "vault format")
    }
    now = {"schema version": newest_revision(), "flow version": FLOW_VERSION, "vault format": FORMAT.split()[-1]}
    assert last == now
