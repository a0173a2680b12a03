"""Each page as a whole: nothing that its content security policy refuses, and links that lead somewhere."""

from urllib.parse import urlsplit

import pytest
from browser import Browser, Page

from filled import BAD_NAME
from longshore.web.front import CSP

pytestmark = pytest.mark.long

HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cache-control": "no-store",
}
LARGEST = 1 << 20  # bytes of a page
MOST = 5000  # elements


@pytest.fixture(scope="module")
def pages(everything):
    """Every page that links lead to, by its address without a question."""
    filled = Browser(everything[0]).opened()
    seen, todo = {}, ["/ui/"]
    while todo:
        path = todo.pop()
        known = urlsplit(path).path
        if known not in seen:
            page = seen[known] = filled.get(path)
            todo += list(page.links.values())
    for path, page in list(seen.items()):
        if not page.answer.headers["content-type"].startswith("text/html"):  # a guest's file: it is kept, never shown
            assert page.answer.headers["content-disposition"].startswith("attachment;"), path
            del seen[path]
    return seen


def test_no_page_has_what_its_policy_refuses_and_every_link_leads_somewhere(pages):
    assert len(pages) > 30
    kinds = {path.split("/")[2] for path in pages if path.count("/") > 1}
    assert kinds >= {"plans", "migrations", "replicas", "providers"}
    for path, page in pages.items():
        assert page.status == 200, (path, page.text)
        assert {name: page.answer.headers[name] for name in HEADERS} == HEADERS, path
        assert len(page.source) < LARGEST
        assert len(page.elements) < MOST
        for tag, attributes in page.elements:
            told = path, tag, attributes
            assert tag not in ("style", "iframe", "object", "embed", "base"), told
            assert tag != "script" or urlsplit(attributes["src"]).path.startswith("/ui/static/"), told
            assert not [name for name in attributes if name == "style" or name.startswith(("on", "hx-on"))], told
            for name in ("href", "src", "action", "formaction", "hx-get", "hx-post"):
                assert attributes.get(name, "/ui/").startswith(("/ui/", "#")), told
            if tag == "form" and attributes["method"] == "post":
                assert attributes["action"] in {form.action for form in page.forms}


def test_names_of_others_are_text_and_nothing_else(pages):
    page = pages["/ui/migrations"]
    assert BAD_NAME in page.text
    for path, page in pages.items():
        assert not [one for one in page.elements if "onerror" in one[1] or one[1].get("src") == "x"], path


def test_each_form_that_changes_has_the_sessions_mark(pages):
    for path, page in pages.items():
        for form in page.forms:
            marked = [value for name, value in form.fields if name == "form_token"]
            assert bool(marked) is (form.method == "post"), (path, form.action)


def test_files_are_kept_by_the_browser_and_everything_they_name_is_there(browser):
    page = browser.get("/ui/")
    named = {attributes[name] for _tag, attributes in page.elements for name in ("src", "href") if name in attributes}
    files = [path for path in named if path.startswith("/ui/static/")]
    assert len(files) >= 5
    for path in files:
        answer = browser.ask("GET", path)
        assert (answer.status_code, answer.headers["cache-control"]) == (
            200,
            "public, max-age=31536000, immutable",
        ), path
    assert Page(browser.ask("GET", "/ui/static/../app.py")).status == 404


def test_templates_name_no_class_of_a_style_sheet_but_those_in_ui():
    from longshore.web.rendering import STATIC

    templates = STATIC.parent / "templates"
    others = [path for path in templates.rglob("*.html") if path.parent.name != "ui"]
    assert len(others) > 10
    assert [path.name for path in others if "pf-" in path.read_text()] == []
    assert len((STATIC / "longshore.js").read_text().splitlines()) < 310
