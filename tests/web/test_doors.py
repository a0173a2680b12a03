"""Who gets in: by a link that works once, under the right name, and with forms of our own pages alone."""

import pytest
from browser import HOST, Browser, Page

from filled import names_of_backups

pytestmark = pytest.mark.long

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OTHERS = ["evil.example", "evil.example:8443", "localhost:8443", "127.0.0.1:80", "127.0.0.1", ""]
OWN = {**FORM, "Origin": f"http://{HOST}"}


def post(browser, path, headers, content=None):
    token = Page(browser.ask("GET", "/ui/providers/vc/remove")).form("/ui/providers/vc/remove").fields[0][1]
    return browser.ask(
        "POST", path, content=content or f"form_token={token}", headers={**FORM, **headers}, follow=False
    )


def test_a_link_opens_the_pages_once(store):
    first, second = Browser(store), None
    told = []
    first.person._told = told.append
    link = first.person.link
    assert first.get("/ui/").status == 401
    assert "a link that opens these pages once" in first.page.text
    assert "Providers" not in first.page.text
    answer = first.ask("GET", link, follow=False)
    assert answer.status_code == 303
    (cookie,) = answer.headers.get_list("set-cookie")
    assert {"HttpOnly", "SameSite=lax", "Path=/ui"} <= set(cookie.split("; "))
    assert first.get("/ui/").status == 200
    second = Browser(store)
    second.app, second.person = first.app, first.person
    assert second.get(link).status == 403
    assert second.get("/ui/").status == 401
    assert second.get(told[0]).status == 200, "the next link, which was told when the first was used"
    assert first.get("/ui/").status == 200


def test_closed_pages_ask_for_a_link_again(fleet):
    assert fleet.get("/ui/").status == 200
    before = dict(fleet.cookies)
    assert "hasn't opened Longshore" in fleet.submit("/ui/close").text
    fleet.cookies.update(before)
    assert fleet.get("/ui/").status == 401, "the old cookie opens nothing"


@pytest.mark.parametrize("host", OTHERS)
def test_another_name_that_leads_here_gets_nothing(fleet, host):
    answer = fleet.ask("GET", "/ui/providers", headers={"Host": host})
    assert answer.status_code == 421
    assert "vc" not in answer.text
    assert HOST not in answer.text, "the name is the browser's secret"
    assert answer.headers["content-security-policy"]


def test_the_api_isnt_served_beside_the_pages(fleet):
    for path in ("/v1/providers", "/v1/openapi.json", "/healthz", "/ui/../v1/providers"):
        answer = fleet.ask("GET", path)
        assert answer.status_code == 404, path
        assert "vsphere" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"https://{HOST}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": f"http://{HOST}"},
        {"Sec-Fetch-Site": "none"},
        {},
    ],
)
def test_a_form_of_another_site_changes_nothing(fleet, headers):
    answer = post(fleet, "/ui/providers/vc/remove", headers)
    assert answer.status_code == 403
    assert "comes from another site: nothing was changed" in Page(answer).text
    assert {provider.name for provider in fleet.store.providers.all()} == {"vc", "cloud"}


@pytest.mark.parametrize("content", ["form_token=wrong", "form_token=", "other=1", "form_token=%FF"])
def test_a_form_without_the_sessions_mark_changes_nothing(fleet, content):
    answer = post(fleet, "/ui/providers/vc/remove", {"Origin": f"http://{HOST}"}, content)
    assert answer.status_code in (400, 403)
    assert len(fleet.store.providers.all()) == 2
    assert post(fleet, "/ui/providers/vc/remove", {"Origin": f"http://{HOST}"}).status_code == 303
    assert [provider.name for provider in fleet.store.providers.all()] == ["cloud"]


# What is meant stands behind the address, and isn't said here
NAMES_NOTHING = {
    "/channels/change": 404,
    "/administration/limits/remove": 404,
    "/backups/vaults/{vault}/keys/remove": 400,
    "/channels/remove": 404,
    "/plans/{name}/machines/{machine:path}": 404,  # a plan calls machines by their names
    **{f"/chosen-migrations/{verb}": 400 for verb in ("cancel", "cutover", "resume", "retry")},
}


def test_what_changes_something_isnt_done_by_a_link(filled):
    """Every address that a form is sent to: asked for by GET, it asks back or refuses."""
    from longshore.web.app import SUBJECTS

    before = state(filled.store)
    ids = {m.machine_name: m.id for m in filled.store.migrations.all()}
    words = {"provider": "vc", "name": "shop", "migration": ids["app02"], "replica": ids["mail01"], "machine": "vm-1"}
    words |= {"group": "rack", "number": "1", "job": "none"}
    words |= names_of_backups(filled.store)
    posts = {page.path for subject in SUBJECTS for page in subject.ROUTES if page.method == "POST"}
    assert len(posts) > 15
    answers = {path: filled.ask("GET", "/ui" + path.replace(":path", "").format(**words)) for path in posts}
    odd = {path: answer.status_code for path, answer in answers.items() if answer.status_code not in (200, 405)}
    assert odd == NAMES_NOTHING
    assert state(filled.store) == before


def state(store):
    """All that could have been changed."""
    return (
        [(p.name, p.settings) for p in store.providers.all()],
        [(m.id, m.status, m.cancel_requested, m.cutover_requested) for m in store.migrations.all()],
        [(p.name, p.content) for p in store.plans.all()],
        [(r.id, r.stage, r.wish, r.paused) for r in store.replicas.all()],
        store.groups.all(),
        [(p.name, p.retention, p.paused, p.asked) for p in store.backup_policies.all()],
    )


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example/ui/", "/v1/", "/ui/\\evil", "javascript:x"])
def test_nothing_sends_elsewhere(fleet, back):
    fleet.get("/ui/")
    token = dict(fleet.page.form("/ui/theme").fields)["form_token"]
    answer = fleet.ask(
        "POST", "/ui/theme", data={"form_token": token, "theme": "dark", "back": back}, headers=OWN, follow=False
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/")


def test_colours_stay_as_they_were_chosen(fleet):
    fleet.get("/ui/plans")
    assert ("html", {"lang": "en", "class": "", "data-theme": "auto", "data-dark": "pf-v6-theme-dark"}) in (
        fleet.page.elements
    )
    fleet.submit("/ui/theme", theme="dark")
    assert fleet.path == "/ui/plans"
    root = dict(fleet.get("/ui/").elements)["html"]
    assert (root["class"], root["data-theme"]) == ("pf-v6-theme-dark", "dark")
