"""Texts of pages: each marked, each in every language, and shown in the one that the viewer wants."""

import ast
import gettext
import html
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path

import pytest
from babel.messages import pofile
from browser import Browser
from every_address import DOOR, EMPTY, addresses
from jinja2 import nodes
from many import choose, log_in

from filled import encrypted_vault, fill, limit, workers_and_left_overs
from longshore.client.in_process import ask
from longshore.model.concern import Severity
from longshore.model.job import JobKind
from longshore.model.machine import PowerState, ToolsState
from longshore.model.phases import MEANINGS
from longshore.model.point import Consistency
from longshore.model.replica import PointState
from longshore.model.request import LandingMode, MigrationType
from longshore.planning.catalogue import catalogue as kinds_of_concern
from longshore.planning.kinds import accept_blockers, blocker
from longshore.store.ledger import EntryState, ThingKind
from longshore.web.accepted_language import preferred
from longshore.web.advices import in_english, meaning_on_page, on_page
from longshore.web.rendering import STATIC, environment
from longshore.wording import texts as texts_of_pages
from longshore.wording.events import event_in_words
from longshore.wording.language import answer_in
from longshore.wording.meanings import has_particulars
from longshore.wording.texts import LANGUAGES

WEB = STATIC.parent
WORDING = WEB.parent / "wording"
PLUGIN = Path(__file__).parents[2] / "horizon" / "longshore_dashboard"
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
    return found | marked_in(WEB) | marked_in(WORDING)


def texts_of_the_plugin():
    """Of Horizon's: what isn't on the server's pages."""
    templates = [path.read_text() for path in PLUGIN.rglob("*.html")]
    return {text for source in templates for text in re.findall(r'{% trans "([^"]+)" %}', source)} | marked_in(PLUGIN)


def marked_in(directory):
    """In its programs."""
    found = set()
    for path in directory.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("_", "marked"):
                found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant) and arg.value}
    return found


def kinds():
    return [kind for found in kinds_of_concern().values() for kind in found]


def words_of_concerns():
    """Each kind's code, which the catalogue has a meaning for, and what it advises."""
    accepted = [*(_accept(kinds_with(acceptable)) for acceptable in (True, False))]
    said = {advice for kind in kinds() for advice in (kind.code, kind.advice) if advice}
    return said | {advice.removeprefix("Advice.").strip() for advice in accepted}


def kinds_with(acceptable):
    return blocker("any", "Meaning.", "Advice.", acceptable=acceptable)("subject", "Text.")


def _accept(concern):
    (said,) = accept_blockers([concern], [concern.code])
    return said.advice


# What has catalogues of its own: where, what they are called, and the texts that are to be in them
CATALOGUES = {
    "pages": (WORDING, "longshore", texts),
    "concerns": (WORDING, "concerns", words_of_concerns),
    "plugin": (PLUGIN, "django", texts_of_the_plugin),
}


def written(language, of):
    directory, name, _texts = CATALOGUES[of]
    return directory / "locale" / language / "LC_MESSAGES" / f"{name}.po"


def catalogue(language, of):
    source = StringIO(written(language, of).read_text())
    return {m.id: m.string for m in pofile.read_po(source, language) if m.id}


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("of", CATALOGUES)
def test_every_text_is_in_every_language_with_its_places(language, of):
    known, (_directory, _name, wanted) = catalogue(language, of), CATALOGUES[of]
    assert len(wanted()) > {"pages": 400, "concerns": 400, "plugin": 10}[of]
    assert sorted(wanted() - {text for text, said in known.items() if said}) == [], "not translated"
    assert sorted(set(known) - wanted()) == [], "translated, and not used any more"
    for text, said in known.items():
        assert sorted(PLACE.findall(said)) == sorted(PLACE.findall(text)), text


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("of", CATALOGUES)
def test_what_is_shown_was_made_of_what_is_written(language, of):
    """Else: .venv/bin/pybabel compile -D longshore -d src/longshore/wording/locale, as well with -D concerns,
    or: .venv/bin/pybabel compile -D django -d horizon/longshore_dashboard/locale"""
    with written(language, of).with_suffix(".mo").open("rb") as file:
        made = gettext.GNUTranslations(file)
    assert {text: made.gettext(text) for text in catalogue(language, of)} == catalogue(language, of)


@pytest.mark.parametrize("language", OTHERS)
def test_what_a_concern_means_was_translated_from_what_it_means_now(language):
    """A catalogue has a kind's meaning by its code, and says above it of which English it was made."""
    source = StringIO(written(language, "concerns").read_text())
    made_of = {m.id: " ".join(m.auto_comments) for m in pofile.read_po(source, language) if m.auto_comments}
    assert made_of == {kind.code: kind.meaning for kind in kinds()}


@pytest.fixture
def german():
    answer_in("de")
    yield
    answer_in("en")


def test_an_advice_is_on_a_german_page_if_it_is_on_an_english_one(german):
    for kind in kinds():
        shown = on_page(kind.advice, kind.code)
        assert not (kind.advice and in_english(kind.advice, kind.code)), kind
        assert meaning_on_page(kind.code), kind
        answer_in("en")
        english = on_page(kind.advice, kind.code)
        assert (bool(shown), meaning_on_page(kind.code)) == (bool(english), ""), kind
        answer_in("de")


def test_a_sentence_of_the_service_stays_where_it_has_particulars(german):
    assert not has_particulars("web01 is suspended.", "dc/web01", "web01")
    assert not has_particulars("web01's fast startup is on.", "web01", "web01")
    assert has_particulars("Datastore slow isn't accessible.", "", "slow")
    assert has_particulars("disk one is a raw device mapping.", "web01", "disk one")
    assert has_particulars("The host has taken 512 MiB of memory away from web01.", "web01", "web01")
    assert has_particulars("Volumes of web01 are encrypted: data.", "web01", "web01")
    assert has_particulars("The guest of web01 is on Solaris.", "web01", "web01")


def test_what_was_added_to_an_advice_is_german_too(german):
    (refused,) = accept_blockers([kinds_with(False)], ["any"])
    assert on_page(refused.advice).endswith("Das kann nicht in Kauf genommen werden: So lässt sich nichts umziehen.")
    (accepted,) = accept_blockers([kinds_with(True)], ["any"])
    assert on_page(accepted.advice) == "Das wurde in Kauf genommen."
    assert on_page("It has: one, two.") == "Vorhanden: one, two."
    assert not in_english("It has: one, two.")
    assert in_english("Do something that nobody has translated.")


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
    assert "12,0 GiB von 40,0 GiB" in filled.page.text, "a German figure has a comma"
    replica = next(m.id for m in filled.store.migrations.all() if m.machine_name == "mail01")
    shown = filled.get(f"/ui/replicas/{replica}").text
    assert re.search(r"\d,\d%", shown)
    assert not re.search(r"\d[.]\d%", shown)
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
    assert "wartet auf Umschaltung: 1 fehlgeschlagen: 1 läuft: 1" in filled.get("/ui/plans/shop").text, (
        "a state is said of one machine: 2 läuft is no German"
    )
    filled.submit("/ui/language", language="en")
    assert "12.0 GiB of 40.0 GiB" in filled.get("/ui/").text


def test_a_log_in_is_refused_in_german(many):
    browser = many.browser()
    german = {"Accept-Language": "de"}
    assert "Anmelden" in browser.get("/ui/login", headers=german).text


# The pseudo-language en-XA: English that nobody has typed, so that whatever isn't taken from a catalogue can be told

ACCENTED = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "åƀçðéƒĝĥîĵķļɱñöþɋŕšţûṽŵẋýžÅƁÇÐÉƑĜĤÎĴĶĻṀÑÖÞɊŔŠŢÛṼŴẊÝŽ"
)
# Units and zones, names of languages and of ourselves
OF_ALL = {
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
        html.unescape(re.sub(r"<code>[^<]*</code>|<[^>]*>", " ", page.source)),  # what is typed is so in all
        *(a[name] for _tag, a in page.elements for name in ATTRIBUTES if name in a),
    ]
    return {word for text in said for word in re.findall(r"[A-Za-z]{2,}", text)}


@pytest.fixture
def answers(monkeypatch):
    """What the API has said since it was emptied: that is data. All texts are of another language."""
    said = []

    async def asked(*how, **more):
        status, content = await ask(*how, **more)
        said.append(content.decode())
        return status, content

    monkeypatch.setattr("longshore.web.asking.ask", asked)
    monkeypatch.setattr(texts_of_pages, "_catalogue", lambda _language, _name: Accented())
    return said


def english_in(page, answers, path):
    """Words that are in no catalogue and no data."""
    data = set(re.findall(r"[A-Za-z]{2,}", " ".join(answers))) | set(re.findall(r"[A-Za-z]{2,}", path))
    return sorted(words_of(page) - data - OF_ALL)


def english_at(browser, answers, paths):
    left = {}
    for path in paths:
        answers.clear()
        page = browser.get(path)
        assert page.status == 200, (path, page.text)
        left[path] = english_in(page, answers, path)
    return {path: words for path, words in left.items() if words}


@pytest.mark.long
def test_no_english_is_left_where_all_texts_are_of_another_language(three_machines, answers):
    ids = fill(three_machines)
    workers_and_left_overs(three_machines)
    ids |= {"limit": limit(three_machines), "key": encrypted_vault(three_machines)}
    paths = [path for of in addresses(ids).values() for path in of.values()]
    left = english_at(Browser(three_machines).opened(), answers, paths)
    assert left == {}


def test_nor_on_pages_that_are_empty_or_refuse(browser, answers):
    assert english_at(browser, answers, EMPTY.values()) == {}
    answers.clear()
    assert english_in(browser.get("/ui/nowhere"), answers, "/ui/nowhere") == []


def test_nor_at_the_door(many_filled, answers):
    browser = many_filled.browser()
    assert english_at(browser, answers, DOOR.values()) == {}
    log_in(browser, "ann", "ann's secret", to="/ui/project")
    people = "ann id-red id-blue"
    assert english_in(browser.page, [*answers, people], browser.path) == []
    choose(browser, "red")
    assert english_in(browser.get("/ui/"), [*answers, people], "/ui/") == []
    browser.submit("/ui/close")
    assert english_in(browser.page, [], browser.path) == []


# And the other way round: whatever of the catalogues' English stands on a page that is shown in German


class _Pieces(HTMLParser):
    """Texts of a page between its elements, each by itself; not what is typed, or is a name."""

    def __init__(self, source):
        super().__init__()
        self.found, self._left_out = set(), 0
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self._left_out += tag in ("script", "style", "pre", "code", "textarea")

    def handle_endtag(self, tag):
        self._left_out -= tag in ("script", "style", "pre", "code", "textarea")

    def handle_data(self, data):
        if not self._left_out:
            self.found |= {part.strip(" :.,;\n") for part in data.split("\n")}


@pytest.mark.long
def test_no_english_of_the_catalogues_is_left_in_german(three_machines, german):
    """Such as a phase or the state of a disk, which come from the API as words, an advice, or what a job tells."""
    ids = fill(three_machines)
    workers_and_left_overs(three_machines)
    ids |= {"limit": limit(three_machines), "key": encrypted_vault(three_machines)}
    english = {text for of in ("pages", "concerns") for text, said in catalogue("de", of).items() if said != text}
    english = {text.strip(" :.,;\n") for text in english | {kind.meaning for kind in kinds()}}
    known = set(catalogue("de", "pages").values())
    browser = Browser(three_machines).opened()
    left = {}
    for path in (path for of in addresses(ids).values() for path in of.values()):
        page = browser.get(path, headers={"Accept-Language": "de"})
        assert page.status == 200, (path, page.text)
        pieces = _Pieces(page.source).found
        events = {piece for piece in pieces if event_in_words(f"{piece}.") != f"{piece}."}
        if found := ((pieces & english) - known) | events:
            left[path] = sorted(found)
    assert left == {}


VOCABULARIES = (
    *(MEANINGS, ThingKind, EntryState, PointState, Consistency, PowerState, ToolsState),
    *(JobKind, MigrationType, Severity, LandingMode),
)


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("words", VOCABULARIES, ids=lambda words: getattr(words, "__name__", "phases"))
def test_every_word_of_the_api_that_is_shown_is_known(language, words):
    known = catalogue(language, "pages")
    assert [word for word in map(str, words) if not known.get(word)] == []
