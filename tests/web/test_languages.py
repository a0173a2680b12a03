"""Texts of pages: each marked, each in every language, and shown in the one that the viewer wants."""

import ast
import gettext
import html
import re
from io import StringIO

import httpx
import pytest
from babel.messages import pofile
from filled import names_of_backups
from jinja2 import nodes

from longshore.web import texts as texts_of_pages
from longshore.web.app import SUBJECTS
from longshore.web.rendering import STATIC, environment
from longshore.web.texts import LANGUAGES, preferred

WEB = STATIC.parent
TEMPLATES = sorted((WEB / "templates").rglob("*.html"))
OTHERS = sorted(set(LANGUAGES) - {"en"})
PLACE = re.compile(r"%\((\w+)\)s")
# What is called the same in all languages, and what isn't for people
ATTRIBUTES = {"aria-label", "placeholder", "title", "alt"}
SAME = {"Longshore", "CPU", "MiB", "h", "d", "Default"}


def texts():
    """All that are marked."""
    found = set()
    for path in TEMPLATES:
        for _line, _function, text in environment().extract_translations(path.read_text()):
            found |= {text} if isinstance(text, str) else {text[0]}
    for path in WEB.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_", "marked"):
                found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant) and arg.value}
    return found


def catalogue(language):
    path = WEB / "locale" / language / "LC_MESSAGES" / "longshore.po"
    return {m.id: m.string for m in pofile.read_po(StringIO(path.read_text()), language) if m.id}


@pytest.mark.parametrize("language", OTHERS)
def test_every_text_is_in_every_language_with_its_places(language):
    known = catalogue(language)
    assert len(known) > 400
    assert sorted(texts() - {text for text, said in known.items() if said}) == [], "not translated"
    assert sorted(set(known) - texts()) == [], "translated, and not used any more"
    for text, said in known.items():
        assert sorted(PLACE.findall(said)) == sorted(PLACE.findall(text)), text


@pytest.mark.parametrize("language", OTHERS)
def test_what_is_shown_was_made_of_what_is_written(language):
    """Else: .venv/bin/pybabel compile -D longshore -d src/longshore/web/locale"""
    with (WEB / "locale" / language / "LC_MESSAGES" / "longshore.mo").open("rb") as file:
        made = gettext.GNUTranslations(file)
    assert {text: made.gettext(text) for text in catalogue(language)} == catalogue(language)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(WEB / "templates")))
def test_no_text_of_a_template_is_left_unmarked(path):
    source = path.read_text()
    template = environment().parse(source)
    page = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}|&#?\w+;|pf-[\w-]+", " ", source, flags=re.S)
    bare = [re.sub(r"<code>[^<]*</code>|<[^>]*>", " ", page)]
    bare += [said for name, said in re.findall(r'([\w-]+)="([^"]+)"', page) if name in ATTRIBUTES]
    words = {word for text in bare for word in re.findall(r"[A-Za-z]{2,}", text)}
    assert words - SAME == set()
    marked = {id(arg) for call in template.find_all(nodes.Call) if _is_gettext(call) for arg in call.args}
    assert [c.value for c in template.find_all(nodes.Const) if id(c) not in marked and _is_said(c.value)] == []


def _is_gettext(call):
    return isinstance(call.node, nodes.Name) and call.node.name == "_"


def _is_said(value):
    """Whether it is for people: a word with a capital, or several words."""
    if not isinstance(value, str) or value.strip(" ,;.") in SAME:
        return False
    return bool(re.match(r"[A-Z][a-z]+$|[A-Za-z]+ [a-z]+", value)) and "pf-" not in value and "ls-" not in value


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("en-GB,en;q=0.9,de;q=0.8", "en"),
        ("fr,de;q=0.5", "de"),
        ("fr", "en"),
        ("de;q=0", "en"),
        ("de;q=x,;;,\0", "en"),
    ],
)
def test_the_browsers_wish_counts(accepted, wanted):
    assert preferred(accepted) == wanted


def test_a_language_stays_as_it_was_chosen(browser):
    german = {"Accept-Language": "de-DE,de;q=0.9"}
    page = browser.get("/ui/", headers=german)
    assert dict(page.elements)["html"]["lang"] == "de"
    assert "Bisher wurde nichts umgezogen" in page.text
    assert browser.get("/ui/plans", headers={"Accept-Language": "en"}).links["Providers"]
    browser.submit("/ui/language", language="de")
    assert browser.path == "/ui/plans"
    assert "Es gibt noch keinen Plan" in browser.page.text
    assert dict(browser.get("/ui/nowhere").elements)["html"]["lang"] == "de"
    assert "Diese Seite gibt es nicht." in browser.page.text
    browser.get("/ui/")
    browser.submit("/ui/language", language="en")
    assert "Nothing has been moved yet" in browser.get("/ui/", headers=german).text


def test_pages_of_a_day_are_german_too(filled):
    filled.get("/ui/")
    filled.submit("/ui/language", language="de")
    assert "wartet auf Umschaltung" in filled.page.text
    assert "fehlgeschlagen" in filled.page.text
    assert "noch 3 min 59 s" in filled.page.text
    for path in (
        "/ui/plans/shop",
        "/ui/migrations",
        "/ui/replicas",
        "/ui/providers/vc/machines",
        "/ui/plans/shop/cutover",
    ):
        page = filled.get(path)
        assert page.status == 200, page.text
        assert "Übersicht" in page.text


def test_a_log_in_is_refused_in_german(many):
    browser = many.browser()
    german = {"Accept-Language": "de"}
    assert "Anmelden" in browser.get("/ui/login", headers=german).text


# The pseudo-language en-XA: English that nobody has typed, so that whatever isn't taken from a catalogue can be told

ACCENTED = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "åƀçðéƒĝĥîĵķļɱñöþɋŕšţûṽŵẋýžÅƁÇÐÉƑĜĤÎĴĶĻṀÑÖÞɊŔŠŢÛṼŴẊÝŽ"
)
# Units and zones, names of languages, of ourselves, and what is typed into a search as it is
OF_ALL = {
    "ip",
    "os",
    "Prod",
    "Longshore",
    "CPU",
    "MiB",
    "GiB",
    "KiB",
    "min",
    "UTC",
    "English",
    "Deutsch",
    "BIOS",
    "UEFI",
}


class Accented(gettext.NullTranslations):
    def gettext(self, message):
        return "".join(
            part if part.startswith("%(") else part.translate(ACCENTED) for part in re.split(r"(%\(\w+\)s)", message)
        )


def words_of(page):
    said = [
        html.unescape(re.sub(r"<[^>]*>", " ", page.source)),
        *(a[name] for _tag, a in page.elements for name in ATTRIBUTES if name in a),
    ]
    return {word for text in said for word in re.findall(r"[A-Za-z]{2,}", text)}


def test_no_english_is_left_where_all_texts_are_of_another_language(filled, monkeypatch):
    answers = []
    ask = httpx.AsyncClient.request

    async def request(client, *how, **more):
        answer = await ask(client, *how, **more)
        if client.base_url.host == "pages":  # what the API says is data
            answers.append(answer.text)
        return answer

    monkeypatch.setattr(httpx.AsyncClient, "request", request)
    monkeypatch.setattr(texts_of_pages, "_catalogue", lambda _language: Accented())
    ids = {m.machine_name: m.id for m in filled.store.migrations.all()}
    names = names_of_backups(filled.store)
    places = {"provider": "vc", "name": "shop", "migration": ids["app01"], "machine": "vm-1", "replica": ids["mail01"]}
    places |= {"group": "rack", "number": "3", **names}
    left = {}
    for page in [page for subject in SUBJECTS for page in subject.ROUTES if page.method == "GET"]:
        path = "/ui" + page.path.replace(":path", "").format(**places)
        answers.clear()
        shown = filled.get(path)
        if shown.answer.headers["content-type"].startswith("text/html"):
            data = set(re.findall(r"[A-Za-z]{2,}", " ".join(answers))) | set(re.findall(r"[A-Za-z]{2,}", path))
            if words := words_of(shown) - data - OF_ALL:
                left[path] = sorted(words)
    assert not left, left
