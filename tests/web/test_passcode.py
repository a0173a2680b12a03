"""Logging in to a server's pages where Keystone asks for a passcode besides the password."""

from datetime import timedelta

import pytest
from browser import Page
from many import COOKIE, ORIGIN, log_in
from test_log_in import REFUSED, cookies_of, post

from longshore.service import failed_logins
from longshore.store import web_sessions

HALF = f"{COOKIE}-half"


@pytest.fixture
def server(many):
    many.keystone.second_factor["rita"] = "123456"
    return many


def halfway(server, to="/ui/providers?x=1"):
    browser = server.browser()
    page = log_in(browser, "rita", "rita's secret", to=to)
    assert (browser.path, page.status) == ("/ui/login/passcode", 200)
    assert "Your passcode" in page.text
    return browser


def test_the_passcode_follows_the_password_and_then_comes_what_was_wanted(server):
    browser = halfway(server)
    assert COOKIE not in browser.cookies
    browser.get("/ui/plans")
    assert browser.path == "/ui/login", "nobody is logged in yet"
    browser.get("/ui/login/passcode")
    page = browser.submit("/ui/login/passcode", passcode="123456")
    assert page.url == f"{ORIGIN}/ui/providers?x=1"
    assert "red rita" in page.text
    assert HALF not in browser.cookies
    browser.get("/ui/login/passcode")
    assert browser.path == "/ui/login"


def test_a_wrong_passcode_can_be_said_again_but_not_for_ever(server):
    browser = halfway(server)
    page = browser.submit("/ui/login/passcode", passcode="000000")
    assert (page.status, REFUSED in page.text) == (401, True)
    assert browser.submit("/ui/login/passcode", passcode="").status == 400
    statuses = [
        browser.submit("/ui/login/passcode", passcode="1").status for _ in range(failed_logins.OF_ONE_AT_AN_ACCOUNT)
    ]
    assert statuses[-1] == 429
    assert COOKIE not in browser.cookies
    asked = server.keystone.logins
    assert browser.submit("/ui/login/passcode", passcode="123456").status == 429
    assert server.keystone.logins == asked


def test_a_wrong_password_asks_for_no_passcode(server):
    browser = server.browser()
    assert log_in(browser, "rita", "guess").status == 401
    assert (browser.path, HALF in browser.cookies) == ("/ui/login", False)


def test_the_step_is_of_the_browser_that_began_and_of_our_own_page(server):
    browser = halfway(server)
    mark = dict(browser.page.form("/ui/login/passcode").fields)["form_token"]
    for headers, said in (({"Origin": "https://evil.example"}, mark), ({"Origin": ORIGIN}, "x"), ({}, mark)):
        answer = post(browser, "/ui/login/passcode", headers, passcode="123456", form_token=said)
        assert (answer.status_code, COOKIE in cookies_of(answer)) == (403, False)
    other = server.browser()
    other.get("/ui/login")
    mark = dict(other.page.form("/ui/login").fields)["form_token"]
    answer = post(other, "/ui/login/passcode", {"Origin": ORIGIN}, passcode="123456", form_token=mark)
    assert (answer.status_code, COOKIE in cookies_of(answer)) == (303, False)
    # What is halfway opens no page, though its key be called a session's
    browser.cookies.set(COOKIE, browser.cookies[HALF], domain="cloud.example", path="/")
    browser.get("/ui/plans")
    assert browser.path == "/ui/login"


def test_it_waits_for_ten_minutes_and_keeps_nothing_in_clear(server, monkeypatch):
    browser = halfway(server)
    kept = b"".join(path.read_bytes() for path in server.store.state.root.glob("longshore.db*"))
    (receipt,) = server.keystone.receipts
    assert [one for one in (receipt, browser.cookies[HALF], "rita's secret") if one.encode() in kept] == []
    mark = dict(browser.page.form("/ui/login/passcode").fields)["form_token"]
    now = web_sessions.utc_now()
    monkeypatch.setattr(web_sessions, "utc_now", lambda: now + timedelta(minutes=11))
    answer = post(browser, "/ui/login/passcode", {"Origin": ORIGIN}, passcode="123456", form_token=mark)
    assert (answer.status_code, COOKIE in cookies_of(answer)) == (401, False)
    assert REFUSED in Page(answer).text


@pytest.mark.parametrize("beginning", ["half ", "half\0", ""])
def test_the_key_of_half_a_log_in_is_no_sessions(server, beginning):
    browser = halfway(server)
    browser.cookies.set(COOKIE, f"{beginning}{browser.cookies[HALF]}".replace("\0", "%00"))
    browser.get("/ui/")
    assert browser.path == "/ui/login"
