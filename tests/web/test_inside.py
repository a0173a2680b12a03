"""Pages for another program, which asks for them with its user's token: Horizon, whose plugin lets through what it
knows."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
import yaml
from browser import VOID, Page
from hypothesis import given
from hypothesis import strategies as st

from filled import BAD_NAME
from longshore.service.policy import defaults

sys.path.insert(0, str(Path(__file__).parents[2] / "horizon"))

from longshore_dashboard import markup
from longshore_dashboard.markup import fit

pytestmark = pytest.mark.long

DASHBOARD = Path(markup.__file__).parent
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Program:
    """What asks for a user."""

    def __init__(self, many, user, project, everything=False):
        self.headers = {"X-Auth-Token": many.keystone.issue(user, project)}
        if everything:
            self.headers["X-Longshore-All-Projects"] = "true"
        self.browser = many.browser()

    def get(self, path):
        """Where the server leads to, too: the program's user goes there."""
        return Page(self.browser.ask("GET", path, headers=self.headers))

    def post(self, path, **fields):
        return self.browser.ask("POST", path, headers={**self.headers, **FORM}, content=urlencode(fields), follow=False)


def every_page(program):
    seen, todo = {}, ["/ui/", "/ui/plans", "/ui/migrations", "/ui/replicas", "/ui/providers"]
    while todo:
        path = todo.pop()
        known = urlsplit(path).path
        if known not in seen:
            seen[known] = program.get(path)
            todo += list(seen[known].links.values())
    return seen


def test_the_plugin_lets_through_whatever_pages_have_but_what_its_own_script_does(many_filled):
    pages = every_page(Program(many_filled, "ann", "red"))
    assert len(pages) > 30
    for path, page in pages.items():
        assert page.status == 200, (path, page.text)
        shown = fit(page.source, lambda address: address, "django's mark")
        there, had = Page(_answer(page, shown.body)), [one for one in page.elements if one[0] != "title"]
        assert there.text == page.text, path
        assert _plain(had) == _plain([one for one in there.elements if one[1].get("name") != "csrfmiddlewaretoken"])
        marks = [one for one in there.elements if one[1].get("name") == "csrfmiddlewaretoken"]
        assert len(marks) == len([form for form in page.forms if form.method == "post"]), path
        assert not [one for one in page.elements if one[0] in ("script", "style", "link", "html", "body", "header")]
        assert "form_token" not in page.source
        # Horizon disables the others of a form that is sent, and what the pressed one means isn't sent then
        buttons = [of for tag, of in page.elements if tag == "button"]
        assert [of for of in buttons if "always-enabled" not in of["class"]] == [], path
        # Of these its script asks once more, and then sends the form to its own address, whatever the button says
        assert [of for of in buttons if "btn-danger" in of["class"]] == [], path
        assert "pf-" not in page.source
        assert shown.title
    assert BAD_NAME in pages["/ui/migrations"].text


def _answer(page, text):
    class Answer:
        status_code, url = page.status, page.url

    Answer.text = text
    return Answer


def _plain(elements):
    """Without what htmx is told, which isn't there; titles of drawings are as they were."""
    return [
        (tag, {name: value for name, value in of.items() if not name.startswith("hx-")})
        for tag, of in elements
        if tag != "title"
    ]


def test_a_form_needs_no_mark_where_a_token_is_brought_and_a_cookie_is_none(many_filled):
    ann, rita = Program(many_filled, "ann", "red"), Program(many_filled, "rita", "red")
    listed = ann.get("/ui/migrations")
    path = listed.links["app02"]
    refused = rita.post(f"{path}/cancel")
    assert refused.status_code == 403
    assert "It is being cancelled." not in ann.get(path).text
    done = ann.post(f"{path}/cancel")
    assert (done.status_code, done.headers["location"]) == (303, path)
    assert "It is being cancelled." in ann.get(path).text
    assert "set-cookie" not in done.headers
    # The same form without a token is nobody's
    alone = ann.browser.ask("POST", f"{path}/cancel", headers=FORM, follow=False)
    assert alone.headers["location"].startswith("/ui/login")


def test_tokens_that_nobody_knows_and_projects_of_others(many_filled):
    ann = Program(many_filled, "ann", "red")
    path = ann.get("/ui/migrations").links["app02"]
    assert Program(many_filled, "bob", "blue").get(path).status == 404
    ann.headers["X-Auth-Token"] = "made-up"
    assert ann.get("/ui/").status == 401
    for closed in ("/ui/login", "/ui/project", "/ui/theme"):
        assert Program(many_filled, "ann", "red").get(closed).status == 404


def test_who_administers_has_things_of_all_projects_shown(many_filled):
    assert "app01" in Program(many_filled, "root", "ops", everything=True).get("/ui/migrations").text
    assert "app01" not in Program(many_filled, "root", "ops").get("/ui/migrations").text
    assert Program(many_filled, "ann", "red", everything=True).get("/ui/migrations").status == 403


def test_panels_are_shown_by_the_servers_own_rules():
    shipped = yaml.safe_load((DASHBOARD / "policy" / "migration.yaml").read_text())
    said = {rule["name"]: rule["check_str"] for rule in shipped}
    own = {rule.name: rule.check_str for rule in defaults()}
    assert said == {name: own[name] for name in said}
    assert {"migration:me:get", "migration:all_projects"} < set(said)


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '<a href="javascript:alert(1)" onclick="x()" style="x">go</a>',
    "<svg onload=alert(1)><script>x</script></svg>",
    "</div></div></div></body>",
    '<form method="post" action="https://elsewhere.example/">',
    "<iframe srcdoc='<b>'></iframe>",
    "<style>*{}</style>",
    "<!-- --><![CDATA[x]]><?php ?>",
    '<div ng-app="" data-ng-init="x" class="a">',
    "{$ constructor $}",
    "<input name=a value='{$1$}' formaction=//elsewhere.example>",
    "<textarea><title>",
    '<p title="{$1$}">&lt;script&gt;',
]


@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), max_size=8))
def test_nothing_unknown_comes_through_and_what_is_around_stays_closed(pieces):
    shown = fit(f'<title>t</title><div id="page">{"".join(pieces)}</div>', own_address, "mark")
    page = Page(_answer(_Nothing, shown.body))
    for tag, attributes in page.elements:
        assert tag in markup._ELEMENTS
        for name, value in attributes.items():
            assert name in markup._ATTRIBUTES | markup._ADDRESSES
            assert name not in markup._ADDRESSES or value.startswith("/ui/")
            assert name == "value" or "{$" not in value
    assert "{$" not in page.text
    nesting = Nesting()
    nesting.feed(shown.body)
    nesting.close()
    assert (nesting.wrong, nesting.open) == ([], [])


class _Nothing:
    status, url = 200, "http://x/"


class Nesting(HTMLParser):
    """`wrong`: what is closed and wasn't opened last."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


def own_address(address):
    return address if address.startswith("/ui/") else None


@pytest.mark.parametrize("text", ["", "<p>x</p>", "Bad gateway", "<html><body><h1>nginx</h1></body></html>"])
def test_what_is_no_page_of_ours_is_said_to_be_none(text):
    with pytest.raises(markup.Foreign):
        fit(text, own_address, "mark")


def test_an_expression_of_angulars_is_defused_but_a_field_keeps_what_is_in_it():
    page = '<div id="page"><b title="{$x$}">{$ x $}</b><input name="n" value="{$x$}"></div>'
    shown = '<div id="page"><b title="{%x%}">{% x %}</b><input name="n" value="{$x$}"></div>'
    assert fit(page, own_address, "m").body == shown
