"""What a look doubts about a guest is German on German pages: every text of the code that says it is known."""

import ast
from pathlib import Path

import pytest
from test_events_in_words import PLACE, texts_of

import longshore
from longshore.wording.doubts import DOUBTS, doubt_in_words
from longshore.wording.guest import guest_rows
from longshore.wording.language import answer_in

GUESTS = Path(longshore.__file__).parent / "guests"
# Whatever is a sentence in these of a look's modules is a doubt
LOOKS = ("findings", "linux_findings", "windows_findings", "windows_boot", "linux_boot", "drivers", "disk_filters")
ASIDE = (" holds ",)  # what stands behind another sentence


@pytest.fixture
def german():
    answer_in("de")
    yield
    answer_in("en")


def sentences(path):
    """The sentences of a module, with a place for whatever isn't fixed; docstrings aren't any."""
    tree = ast.parse(path.read_text())
    documented = (ast.Module, ast.FunctionDef, ast.ClassDef)
    apart = {id(node.body[0].value) for node in ast.walk(tree) if isinstance(node, documented) and _says(node.body[0])}
    within = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    within -= {id(node) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)}
    for node in ast.walk(tree):
        if id(node) not in apart | within:
            yield from (text for text in texts_of(node) if text.endswith(".") and " " in text)


def _says(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_every_doubt_is_known(german):
    said = {text for name in LOOKS for text in sentences(GUESTS / f"{name}.py") if not any(x in text for x in ASIDE)}
    assert len(said) > 10
    assert sorted(text for text in said if doubt_in_words(PLACE.sub("x7", text)) == PLACE.sub("x7", text)) == []


def test_no_text_outlives_the_code_that_said_it():
    code = "".join(path.read_text() for path in GUESTS.glob("*.py")).replace('"\n', "").replace("\n", "")
    code = " ".join(code.replace('f"', '"').replace('"', "").split())
    for text in DOUBTS:
        for part in PLACE.split(text):
            assert part.strip() in code, text


def test_doubts_are_told_in_german_on_a_german_page(german):
    drivers = {"boot": [], "network": [], "doubts": ["The guest's /boot/initrd.img couldn't be read: it is damaged."]}
    guest = dict.fromkeys(("looked_at", "why_not", "hibernated", "fast_startup", "vmware_tools", "guest_agent"), "")
    guest |= dict.fromkeys(("serial_console", "selinux_enforcing", "cloud_init", "suspended", "luks", "bitlocker"), "")
    guest |= dict.fromkeys(("dynamic_disks", "pending_reboot", "systems", "file_systems", "static_addresses"), ())
    why = "No operating system was found on the machine's disks. /dev/sda1 holds vdo, which can't be opened here."
    guest |= {"why_not": why, "doubts": [f"{why} So its interfaces' names can't be kept."], "drivers": drivers}
    rows = dict(guest_rows(guest))
    assert rows["not looked into"].startswith("Auf den Platten der Maschine wurde kein Betriebssystem gefunden. /dev/")
    assert rows["doubts"].splitlines()[1] == "/boot/initrd.img im Gast ließ sich nicht lesen: it is damaged."
    assert (
        rows["doubts"].splitlines()[0].endswith("Daher können die Namen seiner Schnittstellen nicht behalten werden.")
    )
