"""Providers are changed, lent, and taken from clouds.yaml; machines in files, inspections and conversions."""

import html
import re
from dataclasses import replace

import pytest
from small_fleet import FleetSource

from longshore.errors import AccessDenied
from longshore.providers.registry import connect as really_connect

pytestmark = pytest.mark.long


def test_an_account_is_changed_and_its_password_comes_back_in_no_page(fleet):
    fleet.get("/ui/providers/vc")
    fleet.click("Change …")
    at = "/ui/providers/vc/edit"
    page = fleet.submit(at, username="somebody", password=" new secret ")
    assert fleet.path == "/ui/providers/vc", page.text
    record = fleet.store.providers.get("vc")
    assert record.settings["username"] == "somebody"
    assert fleet.store.providers.secrets(record.id)["password"] == " new secret "
    page = fleet.get(at)
    assert "new secret" not in page.source
    page = fleet.submit(at)
    assert (page.status, "Nothing of the provider is to be changed" in page.text) == (400, True)


def test_where_it_is_isnt_changed_without_its_password(fleet):
    fleet.get("/ui/providers/vc/edit")
    page = fleet.submit("/ui/providers/vc/edit", host="elsewhere.example")
    assert (page.status, "has to be given again" in page.text) == (400, True)
    assert "host" not in fleet.store.providers.get("vc").settings


def test_a_new_certificate_counts_once_it_was_compared(fleet, monkeypatch):
    monkeypatch.setattr(
        "longshore.providers.vsphere.certificate.fetch_fingerprint", lambda _host, _port, _limits: "AA:BB:CC"
    )
    at = "/ui/providers/vc/edit"
    fleet.get(at)
    page = fleet.submit(at, button=("do", "look"), host="vc.example", port="443")
    assert "AA:BB:CC" in page.text
    fleet.submit(at, password="x")
    assert "fingerprint" not in fleet.store.providers.get("vc").settings, "nobody has compared it"
    fleet.get(at)
    fleet.submit(at, button=("do", "look"), host="vc.example", port="443")
    fleet.submit(at, password="x", also=[("compared", "yes")])
    assert fleet.store.providers.get("vc").settings["fingerprint"] == "AA:BB:CC"


def test_an_administrator_lends_a_provider_and_takes_it_back(many):
    vc = many.of("red").providers.get("vc").id
    ann, root = many.logged_in("ann", "red"), many.logged_in("root")
    assert "Share …" not in ann.get("/ui/providers/vc").links
    root.get("/ui/project")
    root.submit("/ui/project", everything="yes")
    root.get(f"/ui/providers/{vc}")
    root.click("Share …")
    at = f"/ui/providers/{vc}/shares"
    page = root.submit(at)
    assert (page.status, "Name a project." in page.text) == (400, True)
    root.submit(at, who="all")
    assert "every project" in root.page.text
    assert many.of("red").providers.shares(vc) == ["*"]
    assert "vc" in many.logged_in("bob").get("/ui/providers").links
    root.get(at)
    root.submit(f"/ui/providers/{vc}/unshare")
    assert many.of("red").providers.shares(vc) == []


def wrong(page):
    """What is said at fields that are marked as wrong, by their ids."""
    marked = [one["id"] for _tag, one in page.elements if one.get("aria-invalid") == "true"]
    texts = {id_: re.search(rf'id="{id_}-help"[^>]*>(.*?)</div>', page.source, re.DOTALL)[1] for id_ in marked}
    return {id_: html.unescape(" ".join(re.sub("<[^>]+>", " ", text).split())) for id_, text in texts.items()}


def test_what_a_way_to_log_in_lacks_is_said_at_its_fields(browser):
    at = "/ui/providers/new/openstack"
    browser.get(at)
    page = browser.submit(at, name="cloud", by="credential", auth_url="https://cloud:5000/v3")
    assert wrong(page) == dict.fromkeys(("f-credential_id", "f-credential_secret"), "This is needed to log in so.")
    assert page.status == 400


def test_a_cloud_that_doesnt_answer_is_said_at_its_address(browser, really):
    at = "/ui/providers/new/openstack"
    browser.get(at)
    said = {"auth_url": "http://127.0.0.1:9/v3", "credential_id": "x", "credential_secret": "y"}
    page = browser.submit(at, name="cloud", by="credential", **said)
    (told,) = wrong(page).items()
    assert (told[0], "didn't answer" in told[1]) == ("f-auth_url", True)


CLOUDS = """
clouds:
  here:
    auth: {auth_url: "https://cloud:5000/v3/", username: u, project_name: p, password: "from the file"}
"""


def test_an_entry_of_clouds_yaml_is_read_with_its_password(browser, tmp_path, monkeypatch):
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    at = "/ui/providers/new/openstack"
    browser.get(at)
    page = browser.submit(at, name="cloud", by="entry", login="")
    assert wrong(page) == {"f-login": "This is needed to log in so."}
    page = browser.submit(at, name="cloud", by="entry", login="nowhere")
    assert (page.status, "There is no cloud nowhere in clouds.yaml" in wrong(page)["f-login"]) == (400, True)
    page = browser.submit(at, name="cloud", by="entry", login="here")
    assert browser.path == "/ui/providers/cloud", page.text
    record = browser.store.providers.get("cloud")
    assert record.settings["auth"]["username"] == "u"
    assert "from the file" not in str(record.settings)
    assert browser.store.providers.secrets(record.id) == {"password": "from the file"}


def test_a_server_reads_no_clouds_yaml(many):
    ann = many.logged_in("ann", "red")
    at = "/ui/providers/new/openstack"
    assert "login" not in ann.get(at).form(at).names
    body = {"name": "x", "kind": "openstack", "settings": {}, "secrets": {}, "login": "here"}
    token = many.keystone.issue("ann", "red")
    answer = ann.ask("POST", "/v1/providers", json=body, headers={"X-Auth-Token": token})
    assert (answer.status_code, answer.json()["field"]) == (400, "login")


def test_a_clouds_yaml_from_elsewhere_is_sent_and_comes_back_in_no_page(browser):
    at = "/ui/providers/new/openstack"
    browser.get(at)
    page = browser.submit(at, name="a b", by="given", given=CLOUDS)
    assert list(wrong(page)) == ["f-name"]
    assert "from the file" not in page.source
    browser.submit(at, name="cloud", by="given", given=CLOUDS)
    assert browser.path == "/ui/providers/cloud", browser.page.text
    record = browser.store.providers.get("cloud")
    assert (record.settings["auth"]["username"], "from the file" in str(record.settings)) == ("u", False)
    assert browser.store.providers.secrets(record.id) == {"password": "from the file"}


@pytest.fixture
def really(monkeypatch):
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", really_connect)


def offered_for(browser, source):
    """The types of migration that a plan of machines of this provider can have."""
    browser.store.providers.add("cloud", "openstack", {}, {})
    page = browser.get(f"/ui/new-plan?source={source}&machine=old")
    return [of["value"] for _tag, of in page.elements if of.get("name") == "type"]


def test_machines_in_files_are_added_and_seen(browser, really, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "old.raw").write_bytes(bytes(1 << 20))
    browser.get("/ui/providers")
    browser.click("Add machines in files")
    at = "/ui/providers/new/files"
    for said, told in (
        ({"url": "gopher://x"}, ("f-url", "Machines in files can't be taken from there.")),
        ({"url": f"{tmp_path}/nowhere"}, ("f-url", f"There is no {tmp_path}/nowhere.")),
        ({"url": f"{tmp_path}/images", "cpus": "two"}, ("f-cpus", "Write a whole number.")),
        ({"url": f"{tmp_path}/images", "cpus": "0"}, ("f-cpus", "A machine has 1 to 4096 CPUs")),
    ):
        page = browser.submit(at, name="shelf", **said)
        ((field, sentence),) = wrong(page).items()
        assert (page.status, field, sentence[: len(told[1])]) == (400, *told)
    page = browser.submit(at, name="shelf", url=f"{tmp_path}/images", cpus="2")
    assert browser.path == "/ui/providers/shelf", page.text
    assert "old" in browser.get("/ui/providers/shelf/machines").text
    assert offered_for(browser, "shelf") == ["dry-run", "cold"], "nothing changes in a file that could be copied later"
    browser.get(at)
    page = browser.submit(at, name="shelf", url=f"{tmp_path}/images")
    assert wrong(page) == {"f-name": "A provider named shelf is there already. Choose another name or delete it."}
    browser.get("/ui/providers/shelf/edit")
    page = browser.submit("/ui/providers/shelf/edit", cpus="two")
    assert (page.status, wrong(page)) == (400, {"f-cpus": "Write a whole number."})


def test_a_machines_disks_are_looked_into(fleet):
    fleet.get("/ui/providers/vc/machines/vm-1")
    fleet.submit("/ui/providers/vc/inspect")
    (made,) = fleet.store.migrations.all()
    assert (fleet.path, made.request["type"]) == (f"/ui/migrations/{made.id}", "inspection")
    concern = {"severity": "blocker", "text": "It hibernates.", "code": "guest-hibernated"}
    found = {"concerns": {"convert": [concern], "as-is": []}}
    fleet.store.migrations.update(made.id, status="done", phase="done", result=found)
    text = fleet.get(f"/ui/migrations/{made.id}").text
    assert "If it lands: convert" in text
    assert "It hibernates. guest-hibernated" in text
    assert "stands against that." in text


@pytest.mark.parametrize("how", ["streamed", "no_way"])
def test_disks_that_nobody_can_look_into_are_not_offered_for_that(fleet, monkeypatch, how):
    page = fleet.get("/ui/providers/vc/machines/vm-1")
    assert "Look into its disks" in page.text
    machine = FleetSource.machine
    monkeypatch.setattr(FleetSource, "machine", lambda *one: replace(machine(*one), **{how: True}))
    page = fleet.get("/ui/providers/vc/machines/vm-1")
    assert "Plan it" in page.text
    assert "Look into its disks" not in page.text


def test_what_stands_against_a_machines_move_is_on_its_page(fleet, monkeypatch):
    machine = FleetSource.machine
    monkeypatch.setattr(FleetSource, "machine", lambda *one: replace(machine(*one), snapshots=("old",), streamed=True))
    text = fleet.get("/ui/providers/vc/machines/vm-1").text
    cold, _, warm = text.partition("Against a warm move alone:")
    assert "machine-has-snapshots" in cold
    assert "export-copies-whole-disks" not in cold
    assert "export-copies-whole-disks" in warm


def test_what_landed_as_it_was_is_converted_later(filled):
    id_ = {m.machine_name: m.id for m in filled.store.migrations.all()}["web01"]
    at = f"/ui/migrations/{id_}/convert"
    assert "Convert …" not in filled.get(f"/ui/migrations/{id_}").links
    filled.store.migrations.update(id_, result={"conversion": {"landed": "as-is"}})
    filled.get(f"/ui/migrations/{id_}")
    filled.click("Convert …")
    page = filled.submit(at, guest_keys="a secret key")
    assert (page.status, "landed as it was" in page.text) == (400, True), page.text
    assert "a secret key" not in page.source


def test_the_last_check_of_a_provider_is_shown_with_its_age(fleet):
    assert "none yet" in fleet.get("/ui/providers").text
    fleet.get("/ui/providers/vc")
    fleet.submit("/ui/providers/vc/check")
    page = fleet.get("/ui/providers")
    assert ("answers" in page.text, " s ago" in page.text) == (True, True)
    record = fleet.store.providers.get("vc")
    fleet.store.providers.note_check(record.id, {}, AccessDenied("The vCenter refuses this password."))
    assert "refused or away" in fleet.get("/ui/providers").text
    assert "The vCenter refuses this password." in fleet.get("/ui/providers/vc").text
