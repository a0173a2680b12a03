"""Vaults are made, opened by further keys, copied, forgotten by forms alone. What opens them comes back in no page."""

import re
import secrets

import pytest
from many import Many

from faulty_identity import faulty_identity
from filled import names_of_backups
from longshore.client.calls import part
from s3_server import SECRET

pytestmark = pytest.mark.long

NEW = "/ui/backups/new-vault"
PHRASE = " correct horse battery "


def make(fleet, tmp_path, name="safe", **said):
    fleet.get(NEW)
    fields = {"name": name, "directory": str(tmp_path / name), "pass_phrase": PHRASE, "again": PHRASE}
    return fleet.submit(NEW, **fields | said)


def test_an_encrypted_vault_is_made_and_opened_by_its_phrase(fleet, tmp_path):
    fleet.get("/ui/backups")
    fleet.click("New vault …")
    page = make(fleet, tmp_path)
    assert (fleet.path, page.status) == ("/ui/backups/vaults/safe", 200), page.text
    assert "encrypted" in page.text
    assert (tmp_path / "safe" / "keys").is_dir()
    record = fleet.store.providers.get("safe")
    assert fleet.store.providers.secrets(record.id)["pass_phrase"] == PHRASE
    fleet.submit("/ui/backups/vaults/safe/check")
    assert "It can be opened" in fleet.page.text
    assert PHRASE.strip() not in fleet.page.source


def test_a_vault_alone_has_no_machines_to_begin_with(browser, tmp_path):
    make(browser, tmp_path)
    page = browser.get("/ui/")
    assert ("Add a vCenter" in page.links, "Machines of safe" in page.links) == (True, False)


def test_what_is_refused_is_said_where_it_stands_and_no_phrase_comes_back(fleet, tmp_path):
    for said, words in (
        ({"again": "another"}, "That isn't the same pass phrase again."),
        ({"pass_phrase": "", "again": ""}, "Give a pass phrase"),
        ({"name": "no name"}, "A name has a to z"),
        ({"where": "bucket", "url": "ftp://x"}, "s3://"),
    ):
        page = make(fleet, tmp_path, **said)
        assert (page.status, words in page.text) == (400, True), page.text
        assert PHRASE.strip() not in page.source
        assert not (tmp_path / "safe").exists()
    assert [one.name for one in fleet.store.providers.all()] == ["cloud", "vc"]


def test_one_that_is_there_is_added_with_what_opens_it(fleet, tmp_path):
    make(fleet, tmp_path)
    fleet.click("Forget …")
    assert "is that kept somewhere else?" in fleet.page.text
    fleet.submit("/ui/backups/vaults/safe/forget")
    assert fleet.path == "/ui/backups"
    page = make(fleet, tmp_path, what="there", pass_phrase="guess", again="")
    assert page.status == 400
    page = make(fleet, tmp_path, what="there", again="")
    assert fleet.path == "/ui/backups/vaults/safe", page.text


def test_a_recovery_key_is_shown_once_and_opens_it(fleet, tmp_path):
    make(fleet, tmp_path)
    fleet.click("Keys")
    at = "/ui/backups/vaults/safe/keys"
    page = fleet.submit(at, name="emergency")
    (key,) = re.findall(r"(?:[A-Z2-7]{4}-){7}[A-Z2-7]{4}", page.text)
    assert page.answer.headers["cache-control"] == "no-store"
    assert key not in fleet.get(at).source, "once"
    assert "emergency" in fleet.page.text
    fleet.get("/ui/backups/vaults/safe")
    fleet.click("Forget …")
    fleet.submit("/ui/backups/vaults/safe/forget")
    make(fleet, tmp_path, what="there", pass_phrase=key, again="")
    assert fleet.path == "/ui/backups/vaults/safe"


def test_keys_are_added_and_removed_and_the_one_in_use_stays(fleet, tmp_path):
    make(fleet, tmp_path)
    at = "/ui/backups/vaults/safe/keys"
    fleet.get(at)
    page = fleet.submit(at, name="second", which="phrase", pass_phrase="one thing", again="another")
    assert (page.status, "isn't the same" in page.text) == (400, True)
    fleet.submit(at, name="second", which="phrase", pass_phrase="one thing", again="one thing")
    assert fleet.page.text.count("opens it here") == 1
    fleet.click("Remove …")
    assert "Remove the key for second?" in fleet.page.text
    fleet.submit(f"{at}/remove")
    assert "second" not in fleet.page.text
    assert "Remove …" not in fleet.page.links
    assert fleet.get(f"{at}/remove?key=gone").status == 404


def test_a_secret_in_barbican_opens_it_and_goes_with_its_key(fleet, tmp_path):
    with faulty_identity() as identity:
        auth = {"auth_url": f"{identity.url}/v3", "username": "backup", "project_name": "backups"}
        settings = {"auth": auth, "region": "R", "interface": "internal"}
        fleet.store.providers.add("keeper", "openstack", settings, {"password": "x"})
        identity.faults["POST secrets"] = 403
        page = make(fleet, tmp_path, encrypted="barbican", barbican="keeper", pass_phrase="", again="")
        assert (page.status, "may not keep a secret in Barbican" in page.text) == (400, True)
        identity.faults.clear()
        make(fleet, tmp_path, encrypted="barbican", barbican="keeper", pass_phrase="", again="")
        assert fleet.path == "/ui/backups/vaults/safe", fleet.page.text
        fleet.click("Keys")
        at = "/ui/backups/vaults/safe/keys"
        fleet.submit(at, name="second", which="barbican", barbican="keeper")
        assert fleet.page.text.count("A secret in Barbican: 0000") == len(identity.secrets) == 2
        assert not [id_ for id_ in identity.secrets if identity.opened(id_) in fleet.page.source]
        fleet.click("Remove …")
        assert "is removed there" in fleet.page.text
        fleet.submit(f"{at}/remove")
        assert ("second" in fleet.page.text, len(identity.secrets)) == (False, 1), fleet.page.text
        fleet.get("/ui/backups/vaults/safe")
        fleet.click("Forget …")
        fleet.submit("/ui/backups/vaults/safe/forget")
        make(fleet, tmp_path, what="there", encrypted="barbican", barbican="keeper", pass_phrase="", again="")
        assert fleet.path == "/ui/backups/vaults/safe", fleet.page.text


def test_points_are_copied_into_another_vault(filled, tmp_path):
    filled.get("/ui/backups/vaults/offsite")
    filled.click("Copy …")
    assert "There is no other vault" in filled.page.text
    filled.get(NEW)
    filled.submit(NEW, name="second", directory=str(tmp_path / "second"), encrypted="no")
    filled.get("/ui/backups/vaults/offsite/copy")
    filled.submit("/ui/backups/vaults/offsite/copy", to="second")
    (copy,) = [m for m in filled.store.migrations.all() if m.request["type"] == "vault-copy"]
    assert filled.path == f"/ui/migrations/{copy.id}"


def test_policies_come_back_from_a_vault(filled):
    filled.get("/ui/backups/vaults/offsite")
    filled.click("Import policies …")
    page = filled.submit("/ui/backups/vaults/offsite/import")
    assert "there already" in page.text


def test_a_server_offers_no_directory_of_its_own_but_the_places_that_its_operator_names(many):
    page = many.logged_in("ann", "red").get(NEW)
    assert "This server keeps no vaults for its callers" in page.text
    assert NEW not in {form.action for form in page.forms}
    ann = Many(many.store, many.keystone, vault_endpoints=["https://s3.example:9000"]).logged_in("ann", "red")
    page = ann.get(NEW)
    assert "https://s3.example:9000" in page.text
    assert "directory" not in page.form(NEW).names
    page = ann.submit(NEW, name="safe", url="s3://bucket/red", encrypted="no")
    assert page.status == 400
    assert "safe" not in [one.name for one in many.of("red").providers.all()]


@pytest.fixture
def restore_at(filled):
    return f"/ui/backups/vaults/offsite/restore/{part(names_of_backups(filled.store)['point'])}"


def test_a_restore_takes_volume_types_and_more(filled, restore_at):
    filled.get(restore_at)
    filled.submit(
        restore_at, button=("do", "check"), **{"n-to": "private", "s-to": "gold", "landing": "as-is", "type": "dry-run"}
    )
    fields = dict(filled.page.form(restore_at).fields)
    assert (fields["s-to"], fields["landing"]) == ("gold", "as-is")
    filled.submit(restore_at, button=("do", "start"))
    (made,) = [m for m in filled.store.migrations.all() if m.request["type"] == "dry-run"]
    assert (made.request["storage"], made.request["landing"]) == ({"ds": "gold"}, "as-is")


def test_a_restore_goes_where_it_is_said_where_there_are_several(filled, restore_at):
    there = filled.store.providers.get("cloud")
    filled.store.providers.add("other", "openstack", there.settings, {"password": "x"})
    filled.get(restore_at)
    assert restore_at not in {form.action for form in filled.page.forms if form.method == "post"}
    page = filled.submit(restore_at, target="other")
    assert dict(page.forms[-1].fields)["target"] == "other"


def test_a_vault_that_locks_is_made_checked_and_brought_back(fleet, tmp_path, s3):
    bucket = f"locked-{secrets.token_hex(4)}"
    where = {"where": "bucket", "url": f"s3://{bucket}/v", "endpoint": s3.endpoint}
    where |= {"access_key": "AKIATEST", "secret_key": SECRET, "lock": "30"}
    s3.make_bucket(bucket, versions=True)
    page = make(fleet, tmp_path, **where)
    assert (page.status, "was made without object lock" in page.text) == (400, True), page.text
    s3.remove_bucket(bucket)
    s3.make_bucket(bucket, locks=True)
    page = make(fleet, tmp_path, **where, directory="")
    assert (fleet.path, page.status) == ("/ui/backups/vaults/safe", 200), page.text
    fleet.submit("/ui/backups/vaults/safe/check")
    assert "Locked for days 30" in " ".join(fleet.page.text.split())
    store = s3.store(where["url"])
    store.delete("restore.py")
    fleet.get("/ui/backups/vaults/safe")
    fleet.submit("/ui/backups/vaults/safe/check")
    assert "restore.py was deleted by somebody" in fleet.page.text
    fleet.click("Bring back what was deleted …")
    fleet.submit("/ui/backups/vaults/safe/recover")
    assert fleet.path == "/ui/backups/vaults/safe"
    assert store.has("restore.py")
    s3.remove_bucket(bucket)


def test_how_full_a_vault_is_is_shown_with_its_points_by_machine(filled):
    filled.get("/ui/backups")
    vault = next(name for name, at in filled.page.links.items() if at == f"/ui/backups/vaults/{name}")
    filled.click(vault)
    filled.click("Usage")
    text = filled.page.text
    assert re.search(r"Stored [\d.]+ [KM]iB Room left [\d.]+ [GTP]iB Growth not known in the first day", text)
    assert "Last verified never" in text
    assert "Points by machine" in text
    assert re.search(r"UTC ?app01 3 20", text)
    filled.click("What would a prune remove? …")
    assert re.search(r"Now it would remove 0 of \d+ packs, 0 B", filled.page.text)


def test_a_plan_is_kept_in_a_vault_and_another_is_made_of_it(filled):
    filled.get("/ui/plans/shop")
    filled.click("Keep it in a vault …")
    filled.submit("/ui/plans/shop/keep-in")
    assert filled.path.endswith("/plans"), filled.page.text
    assert "shop" in filled.page.text
    at = filled.path
    page = filled.submit(at, name="a b")
    assert (page.status, "A name has a to z" in page.text) == (400, True)
    page = filled.submit(at, name="weekend", with_moved="yes")
    assert "Plan weekend is made. Nothing is started." in page.text
    assert "These were on their way then" in page.text
    filled.click("To the plan")
    assert filled.path == "/ui/plans/weekend"
    made, before = (filled.store.plans.get(name).content["machines"] for name in ("weekend", "shop"))
    assert [one["machine"] for one in made] == [one["machine"] for one in before]
