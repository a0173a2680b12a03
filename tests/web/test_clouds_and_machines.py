"""Providers and the machines in them, as somebody uses them who has links and forms and nothing else."""

import pytest
from browser import Browser

from filled import BAD_NAME
from longshore.providers.vsphere.certificate import fetch_fingerprint

SECRET = "  s3cret & <b>  "


@pytest.fixture
def person(store):
    """A browser whose clouds are whatever it names."""
    return Browser(store).opened()


def test_a_vcenter_is_added_when_its_fingerprint_was_compared(person, paper):
    person.get("/ui/")
    assert "Add where machines are" in person.page.text
    person.click("Add a vCenter")
    page = person.submit("/ui/providers/new/vsphere", host=paper.host, port=str(paper.port))
    shown = fetch_fingerprint(paper.host, paper.port)
    assert shown in page.text
    account = {"name": "vc", "username": paper.user, "password": "wrong"}
    page = person.submit("/ui/providers/new/vsphere", **account)
    assert (page.status, "has to be compared first" in page.text) == (400, True)
    ticked = [("compared", "yes")]
    page = person.submit("/ui/providers/new/vsphere", also=ticked, **account)
    assert page.status == 400
    assert "wrong" not in page.source, "a password never comes back"
    assert person.store.providers.all() == []
    person.submit("/ui/providers/new/vsphere", also=ticked, **(account | {"password": paper.password}))
    assert person.path == "/ui/providers/vc"
    assert paper.password not in person.page.source
    assert "It answers." in person.submit("/ui/providers/vc/check").text
    machines_of_the_paper_vcenter(person, paper)


def machines_of_the_paper_vcenter(person, paper):
    paper.sidedoor.add_paper_machines(120, prefix="sheet")
    person.get("/ui/providers/vc/machines?q=sheet")
    assert "1–50 of 120" in person.page.text
    assert person.page.text.count("Choose sheet") == 0, "a label is no text"
    assert "51–100 of 120" in person.click("Next page").text
    assert "1–50 of 120" in person.click("Previous page").text
    page = person.submit("/ui/providers/vc/machines", q="sheet00042 power:off")
    assert "1–1 of 1" in page.text
    person.click("sheet00042")
    assert "Where it is" in person.page.text
    assert "Hard disk 1" in person.page.text
    page = person.get("/ui/providers/vc/machines?q=colour:red")
    assert (page.status, 'Machines have no field "colour"' in page.text) == (400, True)
    assert "There are: name, folder" in page.text
    page = person.get("/ui/providers/vc/machines?q=nobody")
    assert "No machine fits" in page.text
    paper.sidedoor.add_paper_machines(1, prefix="late")
    assert "No machine fits" in person.get("/ui/providers/vc/machines?q=late").text, "as it was read before"
    assert "1–1 of 1" in person.click("Refresh").text, "what was looked for is looked for still"
    page = person.get("/ui/providers/vc/machines/nothing-of-the-kind")
    assert page.status == 404


def test_an_openstack_is_added_by_application_credential_or_password(browser):
    browser.get("/ui/providers/new/openstack")
    said = {"name": "cloud", "auth_url": "https://cloud:5000/v3", "region": "one"}
    page = browser.submit(
        "/ui/providers/new/openstack", **said, by="password", username="u", project_name="p", password="wrong"
    )
    assert (page.status, "refuses this password" in page.text) == (400, True)
    assert dict(page.form("/ui/providers/new/openstack").fields)["username"] == "u", "what was typed is still there"
    assert "wrong" not in [value for form in page.forms for _name, value in form.fields]
    browser.submit("/ui/providers/new/openstack", by="credential", credential_id="abc", credential_secret=SECRET)
    assert browser.path == "/ui/providers/cloud"
    (kept,) = browser.store.providers.all()
    assert kept.settings["auth"] == {"auth_url": "https://cloud:5000/v3", "application_credential_id": "abc"}
    assert (kept.settings["auth_type"], kept.settings["region"]) == ("v3applicationcredential", "one")
    assert browser.store.providers.secrets(kept.id) == {"application_credential_secret": SECRET}
    assert "s3cret" not in browser.page.source
    browser.get("/ui/providers")
    browser.click("cloud")
    browser.click("Remove …")
    browser.submit("/ui/providers/cloud/remove")
    assert "No cloud is known yet" in browser.page.text


LOGIN = {"auth_url": "x", "credential_id": "y", "credential_secret": "z"}


def test_a_name_that_is_taken_or_none_is_refused_in_a_sentence(browser):
    browser.get("/ui/providers/new/openstack")
    for name in ("a b", BAD_NAME):
        page = browser.submit("/ui/providers/new/openstack", name=name, **LOGIN)
        assert page.status == 400
        assert "A name has a to z" in page.text
        (field,) = [of for tag, of in page.elements if tag == "input" and of.get("name") == "name"]
        assert field["aria-invalid"] == "true" and "autofocus" in field
        assert page.source.split("<title>")[1].startswith("Not accepted: Add an OpenStack")
    assert browser.store.providers.all() == []


def test_machines_without_protection_are_found_from_backups_and_from_the_machines(filled):
    page = filled.get("/ui/backups")
    assert page.links["vc"].endswith("/providers/vc/unprotected")
    page = filled.get("/ui/providers/vc/machines")
    page = filled.click("Machines without protection")
    assert page.status == 200, page.text
    assert "2 of 3" in page.text
    assert "app02 on 2, 5.0 MiB nevernightly hasn't backed it up yet" in page.text
    assert "db01" in page.text
    assert "app01" not in page.text, "the policy has backed it up"
    form = page.form("/ui/replicas/new")
    assert ("source", "vc") in form.fields
