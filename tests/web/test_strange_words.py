"""Strange words in addresses, and forms that lack fields or say them twice: nothing of that is unforeseen."""

import re
from itertools import cycle
from urllib.parse import quote, urlencode

import pytest

from filled import names_of_backups
from longshore.web.app import SUBJECTS

PAGES = [page for subject in SUBJECTS for page in subject.ROUTES]
STRANGE = ("<b>bold</b>", "\"'", "\u202eevil\u05d0", "a/b", "..", "a%2fb", "%", "{x}", "a?b#c", "\0", "²", "9" * 5000)
FIELDS = (
    *("name", "of", "provider", "at_once", "kind", "port", "hours", "pass_phrase", "directory", "url", "at", "until"),
    *("disk", "type", "flavor", "schedule", "retention", "rpo", "point", "source", "machine", "volume", "q", "draft"),
    *("wave", "f-name", "f-to", "n-name", "n-to", "s-name", "boot_port", "pauses", "commands", "tier-x", "plan", "by"),
    *("occasions", "version", "host", "cpus", "memory_mib", "migration", "project", "vault", "target", "given", "do"),
)
TWICE = [(name, word) for name in FIELDS for word in ("x", "²")] + [(name, "9" * 5000) for name in FIELDS[3::7]]


def addressed(store, page, **other):
    ids = {m.machine_name: m.id for m in store.migrations.all()}
    said = {"provider": "vc", "name": "shop", "migration": ids["app02"], "replica": ids["mail01"], "machine": "app01"}
    said |= {"group": "rack", "number": "1", "job": "none", "format": "tofu", **names_of_backups(store), **other}
    quoted = {name: quote(word, safe="") for name, word in said.items()}
    return f"/ui{page.path.replace(':path', '').format(**quoted)}"


@pytest.mark.long
def test_a_strange_word_in_an_address_is_answered(filled):
    words = cycle(STRANGE)
    for page in (page for page in PAGES if page.method == "GET"):
        for name in re.findall(r"{(\w+)", page.path):
            word = next(words)
            answer = filled.ask("GET", addressed(filled.store, page, **{name: word}), follow=False)
            assert answer.status_code < 500, (page.path, word)
            assert "<b>bold" not in answer.text, page.path
        word = next(words)
        query = urlencode(dict.fromkeys((*FIELDS, "sort", "offset", "marker", "days", "path"), word[:500]))
        answer = filled.ask("GET", f"{addressed(filled.store, page)}?{query}", follow=False)
        assert answer.status_code < 500, (page.path, word)
        assert "<b>bold" not in answer.text, page.path


@pytest.mark.long
@pytest.mark.parametrize("sent", [[], TWICE], ids=["none", "twice"])
def test_a_form_with_strange_fields_is_answered(filled, sent):
    mark = dict(filled.get("/ui/").form("/ui/close").fields)["form_token"]
    own = {"Content-Type": "application/x-www-form-urlencoded", "Origin": filled.origin}
    for page in (page for page in PAGES if page.method == "POST"):
        content = urlencode([*sent, ("form_token", mark)])
        answer = filled.ask("POST", addressed(filled.store, page), follow=False, content=content, headers=own)
        assert answer.status_code < 500, (page.path, answer.text)


def test_a_number_of_five_thousand_digits_is_refused_by_its_field(browser):
    browser.get("/ui/providers/new/files")
    page = browser.submit("/ui/providers/new/files", name="lots", url="https://h/x.ova", cpus="9" * 5000)
    assert (page.status, "Write a whole number." in page.text) == (400, True)


def test_a_point_that_is_no_number_is_the_newest(filled):
    replica = next(m.id for m in filled.store.migrations.all() if m.machine_name == "mail01")
    filled.get(f"/ui/replicas/{replica}/failover?point=²")
    assert dict(filled.page.form(f"/ui/replicas/{replica}/failover").fields)["point"] == ""


def test_a_page_knows_its_own_address_whatever_is_in_it(browser):
    page = browser.get("/ui/plans/a%3Fb%23c?q=1")
    assert dict(page.form("/ui/theme").fields)["back"] == "/ui/plans/a%3Fb%23c?q=1"
