"""Pages of a server: who gets in, for how long, and that nobody else does with what he has left."""

from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from browser import Page
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from many import COOKIE, ORIGIN, Many, choose, log_in

from longshore.errors import Unreachable
from longshore.service import failed_logins, token_cache
from longshore.store import web_sessions

pytestmark = pytest.mark.long

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
REFUSED = "Keystone knows no such user, credential or token, or not with this secret."


def cookies_of(answer):
    """Names, values and attributes."""
    found = {}
    for said in answer.headers.get_list("set-cookie"):
        first, *rest = said.split("; ")
        name, _is, value = first.partition("=")
        found[name] = value, set(rest)
    return found


def post(browser, path, headers, **fields):
    return browser.ask("POST", path, content=urlencode(fields), headers={**FORM, **headers}, follow=False)


def test_without_a_log_in_there_is_a_form_and_after_it_what_was_asked_for(many):
    browser = many.browser()
    page = browser.get("/ui/providers?x=1")
    assert (browser.path, page.status) == ("/ui/login", 200)
    assert "vc" not in page.links
    page = browser.submit("/ui/login", domain="Default", user="rita", password="rita's secret")
    assert (browser.path, page.status) == ("/ui/providers", 200)
    assert "vc" in page.links
    assert "red rita" in page.text


def test_of_several_projects_one_is_chosen_and_another_later(many):
    browser = many.browser()
    page = log_in(browser, "ann", "ann's secret", to="/ui/providers")
    assert browser.path == "/ui/project"
    assert "In which project?" in page.text
    assert "vc" not in page.text
    choose(browser, "red")
    assert set(browser.get("/ui/providers").links) >= {"vc", "cloud"}
    before = browser.cookies[COOKIE]
    page = choose(browser, "blue")
    assert browser.cookies[COOKIE] != before
    assert "blue ann" in page.text
    links = set(browser.get("/ui/providers").links)
    assert "vc-of-blue" in links
    assert not {"vc", "cloud"} & links
    assert browser.get("/ui/providers/vc").status == 404
    browser.cookies.set(COOKIE, before, domain="cloud.example", path="/")
    browser.get("/ui/providers")
    assert browser.path == "/ui/login", "the key from before the switch opens nothing"


WRONG = [
    ("password", {"domain": "Default", "user": "ann", "password": "wrong"}),
    ("password", {"domain": "Default", "user": "nobody", "password": "ann's secret"}),
    ("password", {"domain": "Elsewhere", "user": "ann", "password": "ann's secret"}),
    ("credential", {"credential_id": "cred-1", "credential_secret": "wrong"}),
    ("credential", {"credential_id": "cred-2", "credential_secret": "credential's secret"}),
    ("token", {"token": "never-was-one"}),
    ("token", {"token": "not\na token ü"}),
]


def test_whatever_is_wrong_is_refused_with_the_same_words_and_no_secret_comes_back(many):
    for by, fields in WRONG:
        browser = many.browser()
        browser.get(f"/ui/login?by={by}")
        page = browser.submit("/ui/login", **fields)
        assert page.status == 401, fields
        assert f"{REFUSED} Check what you have typed, and try again." in page.text
        for name, value in fields.items():
            if name in ("password", "credential_secret", "token"):
                assert value not in page.source.replace("&#39;", "'")
        assert COOKIE not in browser.cookies
        browser.get("/ui/")
        assert browser.path == "/ui/login"


def test_an_application_credential_and_a_token_get_in_too(many):
    browser = many.browser()
    browser.get("/ui/login?by=credential")
    page = browser.submit("/ui/login", credential_id="cred-1", credential_secret="credential's secret")
    assert (browser.path, page.status) == ("/ui/", 200)
    assert "red ann" in page.text
    assert "this one project" in browser.get("/ui/project").text
    token = many.keystone.issue("bob", "blue")
    browser.get("/ui/login?by=token")
    assert "blue bob" in browser.submit("/ui/login", token=token).text
    unscoped = many.keystone.issue("ann")
    browser.get("/ui/login?by=token")
    browser.submit("/ui/login", token=unscoped)
    assert "red ann" in choose(browser, "red").text


def test_the_cookie_is_for_this_host_over_tls_and_for_no_script(many):
    browser = many.browser()
    browser.get("/ui/login")
    mark = dict(browser.page.form("/ui/login").fields)["form_token"]
    fields = {"form_token": mark, "by": "password", "domain": "Default", "user": "rita", "password": "rita's secret"}
    answer = post(browser, "/ui/login", {"Origin": ORIGIN}, **fields)
    assert answer.status_code == 303
    made = cookies_of(answer)
    assert made[COOKIE][1] == {"Secure", "HttpOnly", "SameSite=lax", "Path=/"}
    assert len(made[COOKIE][0]) > 40
    assert '""' in made[f"{COOKIE}-entry"][0], "that of the form goes"
    again = many.browser()
    again.cookies.set(COOKIE, made[COOKIE][0], domain="cloud.example", path="/")
    page = again.get("/ui/login")
    first = made[COOKIE][0]
    page = again.submit("/ui/login", domain="Default", user="rita", password="rita's secret")
    assert page.status == 200
    assert again.cookies[COOKIE] != first, "each log-in has its own"
    assert many.sessions.find(first, used=True) is None


def test_without_tls_the_cookie_is_this_ports_alone(many):
    plain = Many(many.store, many.keystone, "http://127.0.0.1:9797").browser()
    log_in(plain, "rita", "rita's secret")
    assert plain.path == "/ui/"
    assert set(plain.cookies) == {"longshore_9797"}
    plain = Many(many.store, many.keystone, "http://cloud.example").browser()
    log_in(plain, "rita", "rita's secret")
    assert set(plain.cookies) == {"longshore_80"}


def test_log_out_ends_it_here_and_at_keystone(many):
    browser = many.logged_in("ann", "red")
    before = browser.cookies[COOKIE]
    assert {user for user, *_ in many.keystone.tokens.values()} == {"ann", "longshore"}
    page = browser.submit("/ui/close")
    assert browser.path == "/ui/login"
    assert "You have logged out." in page.text
    assert COOKIE not in browser.cookies
    assert {user for user, *_ in many.keystone.tokens.values()} == {"longshore"}
    browser.cookies.set(COOKIE, before, domain="cloud.example", path="/")
    browser.get("/ui/plans")
    assert browser.path == "/ui/login", "the old cookie opens nothing"


@pytest.mark.parametrize("project", ["blue", None])
def test_log_out_ends_no_token_that_somebody_has_brought(many, project):
    browser, token = many.browser(), many.keystone.issue("bob", project)
    browser.get("/ui/login?by=token")
    browser.submit("/ui/login", token=token)
    assert browser.path in ("/ui/", "/ui/project")
    browser.submit("/ui/close")
    assert browser.path == "/ui/login"
    assert [t for t, (user, *_) in many.keystone.tokens.items() if user == "bob"] == [token]


def test_a_database_that_is_away_is_said_and_logs_nobody_out(many, monkeypatch):
    browser = many.logged_in("rita")

    def away(*_args, **_more):
        raise Unreachable("The database doesn't answer.")

    with monkeypatch.context() as patch:
        patch.setattr(many.sessions, "find", away)
        page = browser.get("/ui/plans")
        assert (browser.path, page.status) == ("/ui/plans", 502)
        assert "The database doesn't answer." in page.text
    browser.get("/ui/plans")
    assert browser.path == "/ui/plans"


@pytest.mark.parametrize("gone", [timedelta(seconds=3601), timedelta(hours=13)])
def test_a_session_ends_when_nobody_uses_it_and_when_keystones_token_does(many, monkeypatch, gone):
    browser = many.logged_in("rita")
    now = web_sessions.utc_now()
    monkeypatch.setattr(web_sessions, "utc_now", lambda: now + gone)
    page = browser.get("/ui/plans")
    assert browser.path == "/ui/login"
    assert "Your session has ended" in page.text


def test_a_form_that_comes_after_its_session_leads_back_to_its_page(many):
    browser, at = many.browser(), "/ui/providers/new/vsphere"
    for referer, note, to in (
        (f"{many.url}{at}?x=1", "form", f"{at}?x=1"),
        (f"http://elsewhere.example{at}", "", "/ui/"),
        (f"{many.url}/ui/no-such-page", "", "/ui/"),
        (f"{many.url}/ui/providers/vc/check", "", "/ui/"),  # where forms go, but no page is
        ("http://[", "", "/ui/"),
    ):
        answer = browser.ask("POST", at, follow=False, headers={"Referer": referer})
        asked = parse_qs(urlsplit(answer.headers["location"]).query)
        assert (asked.get("note", [""]), asked["to"]) == ([note], [to]), referer
    assert "what you sent has changed nothing" in browser.get("/ui/login?note=form").text


def test_use_keeps_a_session_and_a_page_by_itself_does_not(many, monkeypatch):
    many.keystone.lives = timedelta(hours=8)
    browser = many.logged_in("rita")
    now, gone = web_sessions.utc_now(), [0]
    monkeypatch.setattr(web_sessions, "utc_now", lambda: now + timedelta(minutes=gone[0]))
    for minute in (40, 80, 120):
        gone[0] = minute
        assert browser.get("/ui/plans").status == 200
        assert browser.path == "/ui/plans"
    for minute in (150, 179):
        gone[0] = minute
        assert browser.ask("GET", "/ui/plans", headers={"HX-Request": "true"}).status_code == 200
    gone[0] = 181
    assert browser.ask("GET", "/ui/plans", headers={"HX-Request": "true"}).status_code == 401
    browser.get("/ui/plans")
    assert browser.path == "/ui/login"


def test_a_session_ends_after_its_longest_time_however_much_it_is_used(many, monkeypatch):
    many.keystone.lives = timedelta(hours=48)
    browser = many.logged_in("rita")
    now = web_sessions.utc_now()
    for hours, where in (
        (0.9, "/ui/plans"),
        (1.8, "/ui/plans"),
        *((n * 0.9, None) for n in range(3, 14)),
        (12.1, "/ui/login"),
    ):
        monkeypatch.setattr(web_sessions, "utc_now", lambda hours=hours: now + timedelta(hours=hours))
        if where is None:
            assert many.sessions.find(browser.cookies[COOKIE], used=True)
        else:
            browser.get("/ui/plans")
            assert browser.path == where


def test_a_token_that_keystone_has_revoked_ends_the_session(many, monkeypatch):
    browser = many.logged_in("rita")
    many.keystone.tokens = {t: one for t, one in many.keystone.tokens.items() if one[0] != "rita"}
    gone = token_cache._now() + 301
    monkeypatch.setattr(token_cache, "_now", lambda: gone)
    key = browser.cookies[COOKIE]
    assert "Your session has ended" in browser.get("/ui/plans").text
    assert many.sessions.find(key, used=True) is None


def test_whoever_reads_the_database_gets_in_nowhere(many):
    browser = many.logged_in("ann", "red")
    form_token = dict(browser.page.form("/ui/close").fields)["form_token"]
    secret = [browser.cookies[COOKIE], form_token, "ann's secret"]
    secret += [token for token, (user, *_) in many.keystone.tokens.items() if user == "ann"]
    assert len(secret) == 5
    kept = b"".join(path.read_bytes() for path in many.store.state.root.glob("longshore.db*"))
    assert b"web_sessions" in kept
    assert [one for one in secret if one.encode() in kept] == []


def test_another_server_of_the_database_knows_the_session(many):
    browser = many.logged_in("rita")
    browser.app = Many(many.store, many.keystone).app
    assert browser.get("/ui/plans").status == 200
    assert browser.path == "/ui/plans"


def test_a_new_key_of_the_secrets_logs_everybody_out(many):
    browser = many.logged_in("rita")
    many.store.providers.change_key()
    browser.get("/ui/plans")
    assert browser.path == "/ui/login"


FOREIGN = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://cloud.example:9797"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": ORIGIN},
    {},
]


def test_nobody_is_logged_in_or_out_by_another_site(many):
    browser, rita = many.browser(), many.logged_in("rita")
    mark = dict(browser.get("/ui/login").form("/ui/login").fields)["form_token"]
    fields = {"form_token": mark, "by": "password", "domain": "Default", "user": "rita", "password": "rita's secret"}
    for headers in FOREIGN:
        answer = post(browser, "/ui/login", headers, **fields)
        assert answer.status_code == 403, headers
        assert COOKIE not in cookies_of(answer)
        mark = dict(rita.get("/ui/").form("/ui/close").fields)["form_token"]
        assert post(rita, "/ui/close", headers, form_token=mark).status_code == 403
    assert many.keystone.logins == 1, "rita's own"
    rita.get("/ui/")
    assert rita.path == "/ui/"


def test_a_log_in_form_is_of_the_browser_that_it_was_shown_to(many):
    theirs, mine = many.browser(), many.browser()
    mark = dict(theirs.get("/ui/login").form("/ui/login").fields)["form_token"]
    mine.get("/ui/login")
    fields = {"by": "password", "domain": "Default", "user": "rita", "password": "rita's secret"}
    for said in (mark, "", "x"):
        assert post(mine, "/ui/login", {"Origin": ORIGIN}, form_token=said, **fields).status_code == 403
    fresh = many.browser()
    assert post(fresh, "/ui/login", {"Origin": ORIGIN}, form_token="", **fields).status_code == 403
    assert many.keystone.logins == 0


def test_a_page_of_the_project_before_acts_on_nothing_of_the_one_now(many):
    """Both may have a provider called vc: what a tab still shows is the other project's."""
    many.of("blue").providers.add("vc", "vsphere", {"root": "/"}, {"password": "x"})
    browser = many.logged_in("ann", "red")
    old = dict(browser.get("/ui/providers/vc/remove").form("/ui/providers/vc/remove").fields)["form_token"]
    place = [dict(one[1])["hx-headers"] for one in browser.page.elements if one[0] == "body"]
    assert place == ['{"X-Longshore-Place": "id-red"}']
    choose(browser, "blue")
    answer = post(browser, "/ui/providers/vc/remove", {"Origin": ORIGIN}, form_token=old)
    assert answer.status_code == 403
    assert "of a page that was opened earlier: nothing was changed" in Page(answer).text
    assert many.of("blue").providers.get("vc")
    refreshed = browser.ask("GET", "/ui/plans", headers={"HX-Request": "true", "X-Longshore-Place": "id-red"})
    assert (refreshed.status_code, refreshed.headers["hx-refresh"], refreshed.content) == (204, "true", b"")


def test_a_mark_of_somebody_elses_session_is_none(many):
    ann, rita = many.logged_in("ann", "red"), many.logged_in("rita")
    mark = dict(rita.page.form("/ui/close").fields)["form_token"]
    assert post(ann, "/ui/close", {"Origin": ORIGIN}, form_token=mark).status_code == 403
    ann.get("/ui/")
    assert ann.path == "/ui/"


def test_whoever_guesses_is_stopped_and_the_owner_gets_in_from_elsewhere(many, monkeypatch):
    guesser = many.browser()
    for _ in range(failed_logins.OF_ONE_AT_AN_ACCOUNT):
        assert log_in(guesser, "ann", "guess").status == 401
    page = log_in(guesser, "ANN", "ann's secret")
    assert page.status == 429
    assert "Too many log-ins have failed. Try again in 5 min." in page.text
    assert many.keystone.logins == failed_logins.OF_ONE_AT_AN_ACCOUNT, "it wasn't asked any more"
    assert log_in(guesser, "rita", "rita's secret").status == 200, "others from there get in"
    owner = many.browser()
    owner.address = "192.0.2.7"
    assert log_in(owner, "ann", "ann's secret").status == 200
    later = failed_logins._now() + failed_logins.WITHIN + 1
    monkeypatch.setattr(failed_logins, "_now", lambda: later)
    assert log_in(many.browser(), "ann", "ann's secret").status == 200


def test_many_accounts_are_not_tried_from_one_address(many):
    browser = many.browser()
    statuses = [log_in(browser, f"user{n}", "guess").status for n in range(failed_logins.OF_ONE + 1)]
    assert statuses == [401] * failed_logins.OF_ONE + [429]


def test_nor_from_many_addresses_that_one_subscriber_has(many):
    browser, statuses = many.browser(), []
    for n in range(failed_logins.OF_ONE + 1):
        browser.address = f"2001:db8:1:2::{n:x}"
        statuses.append(log_in(browser, f"user{n}", "guess").status)
    assert statuses == [401] * failed_logins.OF_ONE + [429]
    browser.address = "2001:db8:1:3::1"
    assert log_in(browser, "ann", "ann's secret").status == 200, "the neighbour isn't the guesser"


def test_an_account_is_the_same_however_its_name_is_spelt(many):
    guesser = many.browser()
    for name in ("ann", "ÁNN", "ａｎｎ", "Änn", "ANn\u0301"):
        assert log_in(guesser, name, "guess").status == 401
    assert log_in(guesser, "ann", "ann's secret").status == 429


def test_keystone_away_and_a_second_factor_are_told_apart_from_a_wrong_password(many):
    many.keystone.away = True
    page = log_in(many.browser(), "ann", "ann's secret")
    assert page.status == 503
    assert "Keystone doesn't answer. Try again in a moment." in page.text
    many.keystone.away = False
    many.keystone.second_factor["ann"], many.keystone.required = "123456", [["password", "totp", "another"]]
    page = log_in(many.browser(), "ann", "ann's secret")
    assert page.status == 401
    assert "Use an application credential, or a token." in page.text


ELSEWHERE = ["//evil.example", "https://evil.example/ui/", "/v1/", "/ui/\\evil", "/ui/\r\nx", "//[x"]


def test_a_log_in_sends_nowhere_else(many):
    for to in ELSEWHERE:
        browser = many.browser()
        browser.get("/ui/login")
        mark = dict(browser.page.form("/ui/login").fields)["form_token"]
        fields = {
            "form_token": mark,
            "by": "password",
            "domain": "Default",
            "user": "rita",
            "password": "rita's secret",
        }
        answer = post(browser, "/ui/login", {"Origin": ORIGIN}, to=to, **fields)
        assert (answer.status_code, answer.headers["location"]) == (303, "/ui/")


def test_the_api_is_beside_the_pages_and_takes_no_cookie(many):
    browser = many.logged_in("rita")
    assert browser.ask("GET", "/v1/providers").status_code == 401
    token = many.keystone.issue("rita", "red")
    listed = browser.ask("GET", "/v1/providers", headers={"X-Auth-Token": token})
    assert {one["name"] for one in listed.json()} == {"vc", "cloud"}
    assert browser.ask("GET", "/").json()["versions"]
    assert browser.ask("GET", "/ui", follow=False).headers["location"] == "/ui/"
    assert browser.ask("GET", "/uiv1/providers").status_code == 401
    page = browser.get("/ui/")
    assert page.answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert page.answer.headers["cache-control"] == "no-store"


@given(
    st.dictionaries(
        st.sampled_from(["by", "to", "domain", "user", "password", "credential_id", "credential_secret", "token", "x"]),
        st.text(max_size=40) | st.sampled_from(["password", "credential", "token", "ann", "\0", "Ω" * 5000]),
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_typed_is_answered_with_a_sentence_and_lets_nobody_in(many, fields):
    browser = many.browser()
    browser.address = f"{len(many.keystone.tokens)}.{hash(str(fields))}"
    browser.get("/ui/login")
    mark = dict(browser.page.form("/ui/login").fields)["form_token"]
    answer = post(browser, "/ui/login", {"Origin": ORIGIN}, **{**fields, "form_token": mark})
    assert answer.status_code in (400, 401), Page(answer).text
    assert COOKIE not in cookies_of(answer)
    assert Page(answer).form("/ui/login")
