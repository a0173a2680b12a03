"""Words that aren't to come back: what they stood for has another name (docs/glossary.md)."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# What is read by people: not what others have written (vendored), catalogues of other languages, or results
READ = ("src", "docs", "horizon/longshore_dashboard", "deploy", "demo", "README.md", "CONTRIBUTING.md", "CHANGELOG.md")
NOT_READ = re.compile(r"/static/|/locale/|\.(png|svg|mo|zst|xz|json)$")
WORDS = {
    "he": "they: nobody knows who it is",
    "him": "them",
    "his": "their",
    "himself": "themselves",
    "worker[-_]image": "relay-image: a worker is a process that runs jobs",
    "worker[-_](?:network|floating[-_]network|flavor|allow|quiet)": "relay-…",
    "--transport[ =]worker": "--transport relay",
}


@cache
def lines():
    listed = subprocess.run(["git", "ls-files", "-z", *READ], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if name and not NOT_READ.search(f"/{name}")]
    return [
        (f"{name}:{number}", line)
        for name in names
        if (ROOT / name).is_file()
        for number, line in enumerate((ROOT / name).read_text(errors="replace").splitlines(), 1)
    ]


@pytest.mark.parametrize("word", WORDS)
def test_it_is_said_otherwise(word):
    pattern = re.compile(rf"(?<![\w-]){word}(?!\w)" if not word.startswith("-") else rf"{word}(?!\w)", re.IGNORECASE)
    found = [f"{where}: {line.strip()}" for where, line in lines() if pattern.search(line)]
    assert found == [], f"say {WORDS[word]}"
