"""What those see who operate an installation, and limits that are set while work goes on."""

import pytest
from many import Many

from filled import nodes, workers_and_left_overs
from longshore.engine.version import FLOW_VERSION

pytestmark = pytest.mark.long

AT = "/ui/administration"
LIMITS = f"{AT}/limits"


@pytest.fixture
def at_work(filled):
    workers_and_left_overs(filled.store)
    return filled


def test_workers_their_leases_and_what_they_have_are_shown(at_work):
    at_work.get("/ui/")
    page = at_work.click("Administration")
    assert "Workers that are alive 1" in page.text
    for words in (
        "w-alive",
        "1 of 4",
        "gives no sign of life",
        "north",
        "ends in",
        "has run out",
        f"Flow version {FLOW_VERSION}",
    ):
        assert words in page.text, words
    page = at_work.click("1")
    assert at_work.page.url.endswith("/queue?worker=w-alive")
    assert "app02" in page.text
    assert "app01" not in page.text
    assert at_work.click("app02").status == 200
    assert "app01" in at_work.get(f"{AT}/queue").text


def test_machines_that_serve_together_are_shown_with_what_takes_redundancy_away(at_work):
    assert "Nodes" not in at_work.get(AT).text
    nodes(at_work.store)
    page = at_work.get(AT)
    for words in (
        "Node node3 gives no sign of life.",
        "A certificate ends soon: of patroni on node1.",
        "node1192.0.2.11",
        "primary",
        "standby",
    ):
        assert words in page.text, words


def test_what_is_left_outside_is_said_and_can_be_removed(at_work, monkeypatch):
    at_work.get(AT)
    page = at_work.click("What is left outside")
    assert "couldn't be removed Cinder says it is in use." in page.text
    assert "vol-77" in page.text
    asked = []

    def undone(_store, _clouds, migration_id, _which):
        asked.append(migration_id)
        return ["The volume vol-77 is still in use."]

    monkeypatch.setattr("longshore.service.migrations.undo", undone)
    page = at_work.submit(f"{AT}/left-overs")
    ids = {m.machine_name: m.id for m in at_work.store.migrations.all()}
    assert asked == [ids["db01"]]
    assert "The volume vol-77 is still in use." in page.text


def test_limits_are_set_changed_and_taken_away(filled):
    filled.get("/ui/providers")
    page = filled.click("Limits")
    assert "Nothing is limited" in page.text
    vc = filled.store.providers.get("vc").id
    page = filled.submit(LIMITS, of="host", provider=vc, name="esx1", at_once="2", bytes_per_second="50M")
    assert "Host vc/esx1 all 2 50.0 MiB/s" in page.text
    filled.click("Change …")
    assert dict(filled.page.form(LIMITS).fields)["bytes_per_second"] == "50M"
    page = filled.submit(LIMITS, at_once="3", bytes_per_second="")
    (record,) = filled.store.limits.all()
    assert (record.limit.at_once, record.limit.bytes_per_second) == (3, None)
    filled.click("Take away …")
    assert "Host: vc/esx1" in filled.page.text
    filled.submit(f"{LIMITS}/remove")
    assert filled.store.limits.all() == []
    assert filled.get(f"{LIMITS}?limit=gone").status == 404


NO_LIMITS = [
    ({"at_once": "many"}, "That isn't a number of jobs"),
    ({"at_once": "0"}, "That isn't a number of jobs"),
    ({"bytes_per_second": "fast"}, "That isn't a rate"),
    ({"bytes_per_second": "1"}, "That is too slow"),
    ({}, "That would limit nothing"),
    ({"of": "plan", "at_once": "1"}, "A limit of a plan is said with plan"),
    ({"of": "host", "at_once": "1"}, "A limit of a host is said with provider and name"),
]


def test_what_is_no_limit_is_said_where_it_stands_and_sets_nothing(fleet):
    for fields, said in NO_LIMITS:
        fleet.get(LIMITS)
        page = fleet.submit(LIMITS, provider=fleet.store.providers.get("vc").id, **fields)
        assert (page.status, said in page.text) == (400, True), (fields, page.text)
        assert fleet.store.limits.all() == []


def test_a_member_limits_his_own_project_and_an_administrator_all(many_filled):
    ann, vc = many_filled.logged_in("ann", "red"), many_filled.of("red").providers.get("vc").id
    assert AT not in ann.get("/ui/").links.values()
    assert "of all projects" not in ann.get(LIMITS).text
    ann.submit(LIMITS, of="source", provider=vc, at_once="2")
    assert "id-red" in ann.page.text
    root = many_filled.logged_in("root")
    page = root.get(AT)
    assert "app02" not in page.links, "it is of a project whose things aren't shown"
    assert "app02" in root.get(f"{AT}/queue").text
    root.get("/ui/project")
    root.submit("/ui/project", everything="yes")
    root.get(LIMITS)
    root.submit(LIMITS, of="source", provider=vc, at_once="9", everybodys="yes")
    assert "of all projects 9" in root.page.text
    assert "of all projects 9" in ann.get(LIMITS).text
    assert len([link for link in ann.page.links.values() if "/remove?" in link]) == 1, "his own"
    assert "app02" in root.get(f"{AT}/queue").links


def test_whoever_sees_all_projects_is_offered_the_openstacks_that_can_keep_a_vaults_secret(many_filled):
    root = Many(many_filled.store, many_filled.keystone, vault_endpoints=("https://s3.example",)).logged_in("root")
    root.get("/ui/project")
    root.submit("/ui/project", everything="yes")
    page = root.get("/ui/backups/new-vault")
    assert page.status == 200, page.text
    assert "barbican" in page.form("/ui/backups/new-vault").names
