"""Longshore's pages in Horizon, with a server of Longshore's, and with Horizon's own log-in."""

import logging
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from conftest import Person, Seen

PROJECT, ADMIN = "/project/migration_", "/admin/migration_"
PANELS = ("overview", "plans", "migrations", "replicas", "backups", "providers", "jobs")


@pytest.fixture
def ann(person):
    return person.logged_in("ann", "red")


def panels_in(seen, of=PROJECT):
    """Return the panels in the menu."""
    return {panel for panel in PANELS if f"{of}{panel}/" in seen.links}


def test_every_page_of_the_project_stands_in_horizons(ann):
    pages, todo = {}, [f"{PROJECT}{panel}/" for panel in PANELS]
    while todo:
        address = todo.pop()
        path = urlsplit(address).path
        if path not in pages:
            pages[path] = seen = ann.get(address)
            assert seen.status == 200, (address, seen.text)
            todo += [link for link in seen.links if link.startswith(PROJECT)]
    assert len(pages) > 30
    assert {path.split("/")[2] for path in pages} == {f"migration_{panel}" for panel in PANELS}
    for path, seen in pages.items():
        (ours,) = [of for _tag, of in seen.elements if of.get("id") == "longshore"]
        assert "ng-non-bindable" in ours and ours["data-theme"] == "default", path
        assert len([one for one in seen.elements if one[1].get("id") == "page"]) == 1
        assert panels_in(seen) == set(PANELS)
        inside = seen.source[seen.source.index('<div id="page"') :]
        assert 'href="/ui/' not in inside and 'action="/ui/' not in inside, path
        assert ann.token not in seen.source, path
        assert "onerror=alert" not in [name for _tag, of in seen.elements for name in of]
        for form in seen.forms:
            if form["method"] == "post" and PROJECT in (form["action"] or ""):
                assert form["fields"]["csrfmiddlewaretoken"][0], path
    assert "Waits for you" in pages[f"{PROJECT}overview/"].text
    for name in ("app01", "app02", "db01", "web01", '"><img src=x onerror=alert(1)>'):
        assert name in pages[f"{PROJECT}migrations/"].text


def test_what_a_form_says_is_done_if_it_is_of_horizons_page(ann, longshore):
    path = f"{PROJECT}migrations/{longshore['ids']['app02']}"
    asked = ann.get(f"{path}/cancel")
    foreign = ann.client.post(f"{path}/cancel", {"csrfmiddlewaretoken": "x" * 64})
    assert "csrf_failure" in foreign["Location"]
    assert "It is being cancelled." not in ann.get(path).text
    answer = ann.submit(asked, f"{path}/cancel")
    assert (answer.status_code, answer["Location"]) == (302, path)
    assert "It is being cancelled." in ann.get(path).text


def test_machines_become_a_plan(ann):
    machines = ann.get(f"{PROJECT}providers/vc/machines")
    ticks = [of["value"] for tag, of in machines.elements if tag == "input" and of.get("name") == "machine"]
    assert len(ticks) == 3
    wizard = f"{PROJECT}overview/new-plan"
    assert wizard in [form["action"] for form in machines.forms]
    named = ann.get(wizard, data={"source": "vc", "which": "chosen", "machine": ticks[:2], "q": ""})
    made = ann.submit(named, wizard, name="two", target="cloud")
    assert made["Location"] == f"{PROJECT}plans/two/mappings"
    mappings = ann.get(made["Location"])
    networks = [name for name, values in mappings.form(made["Location"])["fields"].items() if name == "n-to"]
    assert networks, mappings.text
    checked = ann.submit(mappings, made["Location"])
    assert checked["Location"] == f"{PROJECT}plans/two/concerns"
    assert "two" in ann.get(f"{PROJECT}plans/").text
    # The same name again is refused by the server, in a sentence
    named = ann.get(wizard, data={"source": "vc", "which": "chosen", "machine": ticks[:2], "q": ""})
    again = ann.submit(named, wizard, name="two", target="cloud")
    assert again.status_code == 400 and "two" in again.content.decode()


def test_a_password_in_a_form_is_in_no_page_log_or_address(ann, caplog):
    caplog.set_level(logging.DEBUG)
    path = f"{PROJECT}providers/new/openstack"
    said = {"by": "password", "username": "u", "password": "open sesame", "project_name": "p"}
    refused = ann.submit(ann.get(path), path, name="not a name", auth_url="https://other.example:5000/v3", **said)
    assert refused.status_code == 400
    assert "open sesame" not in refused.content.decode()
    ann.get(f"{PROJECT}overview/")
    assert caplog.records
    for word in ("open sesame", "open+sesame", ann.token):
        assert word not in caplog.text


def test_a_reader_has_no_buttons_and_a_forged_form_changes_nothing(person, longshore):
    rita = person.logged_in("rita", "red")
    path = f"{PROJECT}migrations/{longshore['ids']['app01']}"
    seen = rita.get(path)
    assert seen.status == 200 and f"{path}/cutover" not in seen.links
    mark = rita.client.cookies["csrftoken"].value
    forged = Seen(rita.client.post(f"{path}/cutover", {"csrfmiddlewaretoken": mark}))
    assert (forged.status, "Your roles don't allow this." in forged.text) == (403, True)
    assert "waits for cutover" in rita.get(path).text


@pytest.mark.parametrize(("user", "project"), [("olga", "red"), ("wanda", "without")])
def test_who_may_not_and_who_has_no_such_service_sees_no_panel(person, user, project):
    person.logged_in(user, project)
    home = person.get("/project/api_access/")
    assert home.status == 200 and panels_in(home) == set()
    for panel in PANELS:
        assert person.get(f"{PROJECT}{panel}/").status == 403


def test_a_project_sees_its_own(person, longshore):
    bob = person.logged_in("bob", "blue")
    assert "vc-of-blue" in bob.get(f"{PROJECT}providers/").text
    assert "app01" not in bob.get(f"{PROJECT}migrations/").text
    assert bob.get(f"{PROJECT}migrations/{longshore['ids']['app01']}").status == 404


def test_administrators_see_all_projects_and_nobody_else_does(ann, longshore):
    root = Person().logged_in("root", "ops")
    listed = root.get(f"{ADMIN}migrations/")
    assert listed.status == 200 and "app01" in listed.text
    assert panels_in(listed, ADMIN) == set(PANELS)
    one = f"migrations/{longshore['ids']['app01']}"
    assert ADMIN + one in listed.links and PROJECT + one not in listed.links
    assert "vc-of-blue" in root.get(f"{ADMIN}providers/").text
    assert "app01" not in root.get(f"{PROJECT}migrations/").text
    for panel in PANELS:
        assert ann.get(f"{ADMIN}{panel}/").status == 403
    assert panels_in(ann.get(f"{PROJECT}overview/"), ADMIN) == set()


def test_who_isnt_logged_in_or_whose_token_has_ended_logs_in_and_comes_back(person, longshore):
    path = f"{PROJECT}overview/"
    for_nobody = person.client.get(path)
    assert for_nobody["Location"].endswith(f"/auth/login/?next={path}")
    person.logged_in("ann", "red")
    token = person.token
    revoked = Request(
        f"{longshore['keystone']}/v3/auth/tokens",
        method="DELETE",
        headers={"X-Auth-Token": token, "X-Subject-Token": token},
    )
    assert urlopen(revoked).status == 204
    ended = person.client.get(path)
    assert (ended.status_code, ended["Location"].endswith(f"/auth/login/?next={path}")) == (302, True)
    # A page that keeps itself up to date is told so, and shows no form to log in in its middle
    by_itself = person.client.get(path, HTTP_X_REQUESTED_WITH="XMLHttpRequest")
    assert by_itself.status_code == 401


def test_who_logs_in_after_sending_a_form_comes_to_what_it_was_about(ann):
    """The log-in leads to the form's own address, where no page is."""
    for form, page in (
        ("plans/shop/start", "plans/shop"),
        ("backups/vaults/offsite/verify", "backups/vaults/offsite"),
    ):
        answer = ann.client.get(f"{PROJECT}{form}")
        assert (answer.status_code, answer["Location"]) == (302, f"{PROJECT}{page}")


def test_a_service_that_is_away_is_said_to_be(person):
    abel = person.logged_in("abel", "away")
    seen = abel.get(f"{PROJECT}overview/")
    assert seen.status == 503
    assert "The migration service doesn't answer." in seen.text
    mark = abel.client.cookies["csrftoken"].value
    sent = abel.client.post(f"{PROJECT}migrations/x/cancel", {"csrfmiddlewaretoken": mark})
    assert sent.status_code == 503 and "look before you send it again" in sent.content.decode()


@pytest.mark.parametrize("path", ["../../v1/me", "..%2f..%2fv1/me", "a/%2e%2e/%2e%2e/%2e%2e/v1/me", "./x"])
def test_no_path_leads_out_of_the_pages(ann, path):
    assert ann.get(f"{PROJECT}migrations/{path}").status == 404


def test_an_address_that_is_none_is_said_by_the_server(ann):
    assert ann.get(f"{PROJECT}overview/login").status == 404
    seen = ann.get(f"{PROJECT}plans/none")
    assert seen.status == 404 and any(of.get("id") == "page" for _tag, of in seen.elements)


def test_pages_speak_the_language_of_horizon(ann):
    ann.client.cookies["horizon_language"] = "de"
    ann.client.cookies["django_language"] = "de"
    seen = ann.get(f"{PROJECT}overview/").text
    for said in ("Wartet auf", "Pläne", "Replikate", "Anbieter", "Es geht von selbst weiter, sobald er antwortet"):
        assert said in seen


def test_that_no_service_answers_is_said_in_the_language_of_horizon(person):
    abel = person.logged_in("abel", "away")
    abel.client.cookies["horizon_language"] = "de"
    abel.client.cookies["django_language"] = "de"
    assert "Der Migrationsdienst antwortet nicht." in abel.get(f"{PROJECT}overview/").text


def test_its_files_are_found_by_collectstatic(horizon_):
    from django.contrib.staticfiles import finders

    for name in ("longshore.css", "longshore.js"):
        assert finders.find(f"longshore_dashboard/{name}")
