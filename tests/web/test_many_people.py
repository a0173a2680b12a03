"""Pages of a server: each sees his project's things, and is offered what his roles allow and nothing else."""

from urllib.parse import urlencode

import pytest
from browser import Page
from many import ORIGIN, choose, log_in
from test_doors import state

from filled import names_of_backups
from longshore.web.app import SUBJECTS

pytestmark = pytest.mark.long

OWN = {"Content-Type": "application/x-www-form-urlencoded", "Origin": ORIGIN}
OF_THE_FRAME = {"/ui/theme", "/ui/language", "/ui/close", "/ui/project"}
ACTING = [page for subject in SUBJECTS for page in subject.ROUTES if page.rule]


def words(many):
    """What stands for the parts of addresses: things of project red."""
    store = many.of("red")
    ids = {m.machine_name: m.id for m in store.migrations.all()}
    of_plan = {"provider": "vc", "name": "shop", "migration": ids["app01"], "machine": "vm-1"}
    return {
        **of_plan,
        "replica": ids["mail01"],
        "number": "3",
        "group": "rack",
        "job": "none",
        "format": "tofu",
        **names_of_backups(store),
    }


def all_pages(browser):
    """Every page that links lead to."""
    seen, todo = {}, ["/ui/"]
    while todo:
        path = todo.pop()
        known = path.partition("?")[0]
        if known not in seen:
            seen[known] = browser.get(path)
            todo += list(seen[known].links.values())
    return seen


def act(browser, many, page, mark):
    path = "/ui" + page.path.replace(":path", "").format(**words(many))
    if page.method == "GET":
        return browser.ask("GET", path)
    return browser.ask("POST", path, content=urlencode({"form_token": mark}), headers=OWN, follow=False)


def test_a_reader_sees_everything_of_his_project_and_no_button(many_filled):
    pages = all_pages(many_filled.logged_in("rita"))
    assert len(pages) > 20
    for path, page in pages.items():
        assert page.status == 200, (path, page.text)
        acting = {form.action for form in page.forms if form.method == "post"} - OF_THE_FRAME
        # To log in to a cloud is a reader's right, too
        assert {one for one in acting if not one.endswith("/check")} == set(), path
        assert not [
            link for link in page.links.values() if link.endswith(("/cutover", "/cancel", "/mappings", "/remove"))
        ]
        assert not [link for link in page.links.values() if link.startswith(("/ui/new-plan", "/ui/providers/new"))]


def test_a_member_has_the_buttons(many_filled):
    ann, at = many_filled.logged_in("ann", "red"), words(many_filled)
    plan, migration, replica = "/ui/plans/shop", f"/ui/migrations/{at['migration']}", f"/ui/replicas/{at['replica']}"
    paths = [plan, f"{plan}/mappings", f"{plan}/cancel", migration, f"{migration}/cutover", replica]
    paths += [f"{replica}/failover", "/ui/providers/vc", "/ui/providers/vc/remove", "/ui/providers/new/vsphere"]
    pages = [ann.get(path) for path in paths]
    assert all(page.status == 200 for page in pages)
    acting = {form.action for page in pages for form in page.forms if form.method == "post"} - OF_THE_FRAME
    ends = {action.rpartition("/")[2] for action in acting}
    assert ends >= {"cutover", "cancel", "test", "failover", "sync", "pause", "check", "remove", "mappings", "vsphere"}
    assert {"Cut over …", "Cancel …", "Mappings"} <= set(pages[0].links)
    assert "Choose machines" in ann.get("/ui/plans").links


@pytest.mark.parametrize("user", ["rita", "olga"])
def test_what_roles_dont_allow_is_refused_by_page_and_form(many_filled, user):
    browser = many_filled.browser()
    log_in(browser, user, many_filled.keystone.users[user][0])
    mark = dict(browser.page.form("/ui/close").fields)["form_token"]
    before = state(many_filled.store)
    allowed = [f"/backups/vaults/{{vault}}/{read}" for read in ("check", "usage")] if user == "rita" else []
    allowed += ["/providers/{provider}/check"] if user == "rita" else []
    refused = [page for page in ACTING if page.path not in allowed]
    assert len(refused) > 25
    for page in refused:
        answer = act(browser, many_filled, page, mark)
        assert answer.status_code == 403, page
        assert "Your roles don't allow this" in Page(answer).text
    assert state(many_filled.store) == before


def test_every_page_that_changes_something_stands_under_a_rule_that_there_is(many):
    from longshore.service.rules import RULES

    known = {rule.name for rule in RULES}
    assert {page.rule for page in ACTING} <= known
    bare = [page.path for subject in SUBJECTS for page in subject.ROUTES if page.method == "POST" and not page.rule]
    assert bare == []


def test_somebody_of_another_project_finds_nothing_there(many_filled):
    bob = many_filled.logged_in("bob")
    mark = dict(bob.page.form("/ui/close").fields)["form_token"]
    before = state(many_filled.store)
    pages = [page for subject in SUBJECTS for page in subject.ROUTES if "{" in page.path]
    pages = [page for page in pages if page.rule != "migration:provider:share"]  # for administrators alone
    assert len(pages) > 30
    for page in pages:
        answer = act(bob, many_filled, page, mark)
        assert answer.status_code == 404, (page, Page(answer).text)
        assert "Hard disk" not in answer.text
    assert state(many_filled.store) == before
    for page in all_pages(bob).values():
        assert "mail01" not in page.source
        assert "/shop" not in page.source


def test_two_at_once_each_see_their_own(many):
    ann, bob = many.logged_in("ann", "red"), many.logged_in("bob")
    for _ in range(2):
        assert "vc-of-blue" not in ann.get("/ui/providers").links
        assert "red ann" in ann.page.text
        assert "vc-of-blue" in bob.get("/ui/providers").links
        assert "blue bob" in bob.page.text
    ann.submit("/ui/close")
    assert bob.get("/ui/providers").status == 200
    assert bob.path == "/ui/providers"


def test_an_administrator_sees_all_projects_things_when_he_asks_for_it(many_filled):
    many_filled.of("blue").providers.add("vc", "vsphere", {"root": "/"}, {"password": "x"})
    root = many_filled.logged_in("root")
    assert "vc-of-blue" not in root.get("/ui/providers").links
    assert root.get("/ui/providers/vc").status == 404
    root.get("/ui/project")
    page = root.submit("/ui/project", everything="yes")
    assert "All projects root" in page.text
    page = root.get("/ui/providers")
    assert {"vc", "cloud", "vc-of-blue"} <= set(page.links)
    assert "id-red" in page.text
    assert "id-blue" in page.text
    assert page.source.count(">vc</a>") == 2
    assert root.click("cloud").status == 200, "by its id: others may be called so, too"
    assert "id-" not in root.path
    root.get("/ui/plans")
    assert root.click("shop").status == 200
    assert "app01" in root.page.text
    root.get("/ui/project")
    root.submit("/ui/project", everything="no")
    assert "vc-of-blue" not in root.get("/ui/providers").links


def test_nobody_else_sees_all_projects(many):
    ann = many.logged_in("ann", "red")
    page = ann.get("/ui/project")
    assert "administrator" not in page.text
    mark = dict(page.form("/ui/close").fields)["form_token"]
    fields = urlencode({"form_token": mark, "everything": "yes"})
    answer = ann.ask("POST", "/ui/project", content=fields, headers=OWN, follow=False)
    assert "Your roles don't allow this" in Page(answer).text
    assert "vc-of-blue" not in ann.get("/ui/providers").links


def test_a_project_of_others_isnt_entered(many):
    bob = many.logged_in("bob")
    mark = dict(bob.page.form("/ui/close").fields)["form_token"]
    for project in ("id-red", "id-nowhere", "\0", "x" * 5000):
        fields = urlencode({"form_token": mark, "project": project})
        answer = bob.ask("POST", "/ui/project", content=fields, headers=OWN, follow=False)
        assert answer.status_code == 400, project
        assert "let you into that project" in Page(answer).text
    bob.get("/ui/")
    assert "blue bob" in bob.page.text


def test_whoever_has_no_role_is_told_so_and_can_leave(many):
    nina = many.browser()
    page = log_in(nina, "nina", "nina's secret")
    assert "You have a role in no project" in page.text
    nina.get("/ui/plans")
    assert nina.path == "/ui/project"
    nina.submit("/ui/close")
    assert "You have logged out." in nina.page.text
    olga = many.browser()
    page = log_in(olga, "olga", "olga's secret")
    assert page.status == 403
    assert "Your roles don't allow this" in page.text
    olga.submit("/ui/close")
    assert "You have logged out." in olga.page.text


def test_a_token_of_one_project_stays_in_it(many):
    browser = many.browser()
    browser.get("/ui/login?by=credential")
    browser.submit("/ui/login", credential_id="cred-1", credential_secret="credential's secret")
    page = browser.get("/ui/project")
    assert "id-blue" not in page.text
    mark = dict(page.form("/ui/close").fields)["form_token"]
    fields = urlencode({"form_token": mark, "project": "id-blue"})
    answer = browser.ask("POST", "/ui/project", content=fields, headers=OWN, follow=False)
    assert answer.status_code == 400
    assert "You have logged in to one project" in Page(answer).text


def test_own_project_is_added_without_giving_a_password_away(many):
    ann = many.logged_in("ann", "red")
    choose(ann, "blue")
    page = ann.get("/ui/providers/new/openstack")
    assert "ceph_conf" not in page.form("/ui/providers/new/openstack").names, "a server refuses it"
    assert "vddk_libdir" not in ann.get("/ui/providers/new/vsphere").source
    ann.get("/ui/providers/new/openstack")
    page = ann.submit("/ui/providers/new/openstack", name="here", transport="brick")
    assert (ann.path, page.status) == ("/ui/providers/here", 200), page.text
    assert many.keystone.credentials["made"][1:] == ("ann", "blue")
    assert many.of("blue").providers.get("here").settings["auth"]["application_credential_id"] == "made"
    assert "here" not in [one.name for one in many.of("red").providers.all()]


def test_the_audit_names_who_acted_and_from_where(many):
    from structlog.testing import capture_logs

    ann = many.browser()
    ann.address = "192.0.2.9"
    log_in(ann, "ann", "ann's secret")
    choose(ann, "blue")
    ann.get("/ui/providers/vc-of-blue/remove")
    with capture_logs() as logs:
        ann.submit("/ui/providers/vc-of-blue/remove")
    (said,) = [one for one in logs if one["event"] == "audit"]
    wanted = {"action": "migration:provider:delete", "user_id": "id-ann", "project_id": "id-blue"}
    assert {name: said[name] for name in (*wanted, "address", "outcome")} == {
        **wanted,
        "address": "192.0.2.9",
        "outcome": "done",
    }
    with capture_logs() as logs:
        log_in(many.browser(), "ann", "guess")
        ann.submit("/ui/close")
    said = [(one["action"], one["outcome"], one["user_id"]) for one in logs if one["event"] == "audit"]
    assert said == [("log-in", "refused", None), ("log-out", "done", "id-ann")]
