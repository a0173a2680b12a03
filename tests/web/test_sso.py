"""Logging in to a server's pages by an identity provider, by way of Keystone's federation."""

from datetime import timedelta
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from browser import Page
from many import COOKIE, ORIGIN, Many
from test_log_in import REFUSED, cookies_of, post

from longshore.configuration import SingleSignOnSettings
from longshore.store import web_sessions

BACK = f"{ORIGIN}/ui/login/sso"
WAYS = [
    SingleSignOnSettings(name="Company account", protocol="openid"),
    SingleSignOnSettings(name="Partner", protocol="saml2", identity_provider="corp"),
]
WAITING = f"{COOKIE}-waiting"


@pytest.fixture
def server(many):
    many.keystone.trusted.add(BACK)
    return Many(many.store, many.keystone, sso=WAYS)


def sent(server, browser, name="Company account", to=""):
    """The token that Keystone has a browser post, once it has gone there."""
    page = browser.get(f"/ui/login?{urlencode({'to': to})}")
    address = browser.ask("GET", page.links[f"Log in with {name}"], follow=False).headers["location"]
    assert address.startswith(f"{server.keystone.url}/v3/auth/OS-FEDERATION/")
    form = Page(httpx.get(address)).form(BACK)
    assert form.method == "post"
    return dict(form.fields)["token"]


def brought(server, browser, token, origin=None):
    headers = {"Origin": origin or server.keystone.url, "Sec-Fetch-Site": "cross-site"}
    return post(browser, "/ui/login/sso", headers, token=token)


@pytest.mark.parametrize(("name", "user"), [("Company account", "ann"), ("Partner", "rita")])
def test_whoever_comes_from_keystone_is_asked_and_then_gets_what_was_wanted(server, name, user):
    browser = server.browser()
    answer = brought(server, browser, token := sent(server, browser, name, to="/ui/providers?x=1"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/login/continue")
    assert COOKIE not in browser.cookies
    assert browser.get("/ui/providers").answer.history, "nobody is logged in yet"
    page = browser.get("/ui/login/continue")
    assert f"Continue as {user}?" in page.text
    assert token not in page.source
    page = browser.submit("/ui/login/continue", button=("do", "continue"))
    if user == "ann":  # who has two projects
        assert browser.path == "/ui/project"
        assert "to=%2Fui%2Fproviders%3Fx%3D1" in page.url
    else:
        assert (browser.path, urlsplit(page.url).query) == ("/ui/providers", "x=1")
    assert WAITING not in browser.cookies
    browser.get("/ui/project")
    browser.submit("/ui/close")
    assert [t for t, (who, *_) in server.keystone.tokens.items() if who == user] == [], "log-out ends what was sent"


FOREIGN = ["https://evil.example", "null", ORIGIN]


@pytest.mark.parametrize("origin", FOREIGN)
def test_what_another_site_sends_logs_nobody_in(server, origin):
    browser, token = server.browser(), server.keystone.issue("bob", "blue")
    answer = brought(server, browser, token, origin)
    assert answer.status_code == 403
    assert "doesn't come from Keystone: nobody was logged in" in Page(answer).text
    assert not {COOKIE, WAITING} & set(cookies_of(answer))
    without = post(browser, "/ui/login/sso", {}, token=token)
    assert (without.status_code, set(cookies_of(without)) & {COOKIE, WAITING}) == (403, set())
    assert browser.get("/ui/login/continue").url.endswith("/ui/login")
    assert token in server.keystone.tokens, "it isn't ours to end"


def test_a_log_in_that_somebody_else_has_sent_is_declined_and_the_session_before_stays(server):
    """Whoever is at Keystone in a window of his own can have another's browser bring his token."""
    browser = server.browser()
    browser.get("/ui/login")
    browser.submit("/ui/login", domain="Default", user="rita", password="rita's secret")
    before = browser.cookies[COOKIE]
    token = server.keystone.issue("bob", "blue")
    brought(server, browser, token)
    browser.get("/ui/plans")
    assert "red rita" in browser.page.text
    assert "Continue as bob?" in browser.get("/ui/login/continue").text
    browser.submit("/ui/login/continue", button=("do", "back"))
    assert browser.path == "/ui/login"
    assert (browser.cookies[COOKIE], token in server.keystone.tokens) == (before, False)
    browser.get("/ui/login/continue")
    assert browser.path == "/ui/login"


def test_the_question_is_answered_on_our_own_page_alone(server):
    browser = server.browser()
    brought(server, browser, sent(server, browser))
    page = browser.get("/ui/login/continue")
    mark = dict(page.form("/ui/login/continue").fields)["form_token"]
    for headers, said in (({"Origin": server.keystone.url}, mark), ({"Origin": ORIGIN}, "x"), ({}, mark)):
        answer = post(browser, "/ui/login/continue", headers, do="continue", form_token=said)
        assert (answer.status_code, COOKIE in cookies_of(answer)) == (403, False)
    # What waits opens no page, though its key be called a session's
    browser.cookies.set(COOKIE, browser.cookies[WAITING], domain="cloud.example", path="/")
    browser.get("/ui/plans")
    assert browser.path == "/ui/login"


def test_a_question_that_nobody_answers_is_gone_after_ten_minutes(server, monkeypatch):
    browser = server.browser()
    brought(server, browser, sent(server, browser))
    mark = dict(browser.get("/ui/login/continue").form("/ui/login/continue").fields)["form_token"]
    now = web_sessions.utc_now()
    monkeypatch.setattr(web_sessions, "utc_now", lambda: now + timedelta(minutes=11))
    answer = post(browser, "/ui/login/continue", {"Origin": ORIGIN}, do="continue", form_token=mark)
    assert (answer.status_code, COOKIE in cookies_of(answer)) == (401, False)
    browser.get("/ui/login/continue")
    assert browser.path == "/ui/login"


@pytest.mark.parametrize("token", ["never-was-one", "", "a b", "Ω"])
def test_what_keystone_doesnt_know_is_refused_in_a_sentence(server, token):
    answer = brought(server, server.browser(), token)
    assert answer.status_code in (400, 401)
    assert not {COOKIE, WAITING} & set(cookies_of(answer))
    assert Page(answer).form("/ui/login")
    assert answer.status_code == 400 or REFUSED in Page(answer).text


def test_nothing_that_waits_is_in_the_database_in_clear(server):
    browser = server.browser()
    token = sent(server, browser)
    brought(server, browser, token)
    kept = b"".join(path.read_bytes() for path in server.store.state.root.glob("longshore.db*"))
    assert [one for one in (token, browser.cookies[WAITING]) if one.encode() in kept] == []


def test_where_nothing_is_set_nothing_is_offered_or_taken(many):
    browser = many.browser()
    assert not [one for one in browser.get("/ui/login").links if one.startswith("Log in with")]
    assert post(browser, "/ui/login/sso", {"Origin": many.keystone.url}, token="x").status_code == 404
    assert browser.ask("GET", "/ui/login/sso/0", follow=False).status_code == 404


def test_a_way_that_isnt_there_leads_to_the_form_and_none_leads_elsewhere(server):
    browser = server.browser()
    browser.get("/ui/login/sso/7?to=//evil.example")
    assert browser.path == "/ui/login"
    brought(server, browser, sent(server, browser, "Partner", to="//evil.example/"))
    browser.get("/ui/login/continue")
    browser.submit("/ui/login/continue", button=("do", "continue"))
    assert browser.path == "/ui/"


def test_browsers_are_sent_to_keystones_public_address(many):
    server = Many(many.store, many.keystone, sso=WAYS, public_url="https://cloud.example/identity")
    browser = server.browser()
    way = browser.get("/ui/login").links["Log in with Company account"]
    address = browser.ask("GET", way, follow=False).headers["location"]
    back = urlencode({"origin": BACK})
    assert address == f"https://cloud.example/identity/v3/auth/OS-FEDERATION/websso/openid?{back}"
    token = many.keystone.issue("rita")
    assert brought(server, browser, token).status_code == 403
    assert brought(server, browser, token, "https://cloud.example").status_code == 303
