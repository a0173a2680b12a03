"""Backups as somebody uses them who has links and forms and nothing else."""

import io
import tarfile
from datetime import timedelta

import pytest

from filled import backups
from longshore.model.job import JobKind
from longshore.store.jobs import NEVER
from longshore.store.tables import utc_now
from longshore.vault.directory import Directory
from longshore.vault.points import point_names
from longshore.vault.vault import Vault
from queued import queue_migration

pytestmark = pytest.mark.long

AT = "/ui/backups"


@pytest.fixture
def idle(fleet):
    """Nothing is done with any machine but backups."""
    backups(fleet.store, fleet.store.providers.get("vc"))
    return fleet


def points_of(browser):
    return browser.get(f"{AT}/vaults/offsite").text.count("Restore …")


def test_what_is_protected_and_what_came_of_it_is_seen_at_once(filled):
    page = filled.get("/ui/")
    page = filled.click("Backups")
    assert "app09: The host doesn't answer." in page.text
    page = filled.click("nightly")
    assert "Names like app*" in page.text
    assert "nothing: it goes after the next backup" in page.text
    for said in ("The second vault is full.", "The quota is short.", "console 1 min 2 s"):
        assert said in page.text, said
    page = filled.click("offsite")
    assert "1–4 of 4" in page.text
    assert "not encrypted" in page.text
    page = filled.submit(f"{AT}/vaults/offsite", q="APP")
    assert "1–3 of 3" in page.text
    assert "No point fits" in filled.submit(f"{AT}/vaults/offsite", q="nobody").text


def test_a_vault_that_is_away_hides_nothing_else(filled):
    root = filled.store.state.root.parent
    (root / "vault").rename(root / "away")
    page = filled.get(AT)
    assert (page.status, "can't be read" in page.text, "nightly" in page.text) == (200, True, True)
    page = filled.get(f"{AT}/policies/nightly")
    assert "Names like app*" in page.text
    assert "Restore …" not in filled.get(f"{AT}/vaults/offsite").text


def test_chosen_machines_are_backed_up_and_what_cannot_be_is_said(idle):
    idle.get("/ui/providers/vc/machines")
    assert "Back up the chosen ones …" in idle.page.text
    page = idle.get(f"{AT}/new?source=vc&machine=vm-1&machine=vm-2&machine=vm-7")
    assert "app01app02vm-7" in page.text
    page = idle.submit(f"{AT}/new", vault="offsite")
    assert page.status == 400
    assert "2 have begun." in page.text
    begun = [one for one in idle.store.migrations.all() if one.request["type"] == "backup" and not one.status.ended]
    assert sorted(one.machine_name for one in begun) == ["app01", "app02"]
    assert [value for name, value in page.form(f"{AT}/new").fields if name == "machine"] == ["vm-7"]
    idle.get(f"{AT}/new?source=vc&machine=vm-3&vault=offsite")
    idle.submit(f"{AT}/new", also=[("quiesce", "yes")])
    (made,) = [one for one in idle.store.migrations.all() if one.request.get("quiesce")]
    assert (made.machine_name, made.request["type"]) == ("db01", "backup")
    assert idle.path == f"/ui/migrations/{made.id}"


def test_machines_of_a_large_cloud_are_called_by_their_names(idle, monkeypatch):
    monkeypatch.setattr("longshore.web.choices.AT_ONCE", 1)  # as if there were thousands
    assert "app02db01" in idle.get(f"{AT}/new?source=vc&machine=vm-2&machine=vm-3").text


def test_playbooks_around_a_snapshot_are_the_viewers_own(idle, tmp_path):
    playbook = tmp_path / "freeze.yaml"
    idle.get(f"{AT}/new?source=vc&machine=vm-1")
    page = idle.submit(f"{AT}/new", vault="offsite", before=str(playbook))
    assert (page.status, f"The playbook {playbook} can't be read." in page.text) == (400, True)
    playbook.write_text("- hosts: localhost\n")
    idle.submit(f"{AT}/new", after=str(playbook))
    (made,) = [one for one in idle.store.migrations.all() if one.request.get("before")]
    assert (made.request["before"], made.request["after"]) == (str(playbook), str(playbook))
    at = f"{AT}/policies/nightly/edit"
    idle.get(at)
    idle.submit(at, before=str(playbook), after=str(playbook))
    assert f"Playbook before the snapshot {playbook}" in idle.page.text
    idle.get(at)
    idle.submit(at, before="")
    policy = idle.store.backup_policies.get("nightly")
    assert (policy.before, policy.after) == (None, str(playbook))


def test_a_server_asks_nobody_for_playbooks_and_those_of_a_policy_stay(many_filled):
    store = many_filled.of("red")
    store.backup_policies.change(store.backup_policies.get("nightly").id, before="/srv/freeze.yaml")
    ann, at = many_filled.logged_in("ann", "red"), f"{AT}/policies/nightly/edit"
    ann.get(at)
    assert "before" not in ann.page.form(at).names
    ann.submit(at, retention="last 3")
    assert ann.path == f"{AT}/policies/nightly", ann.page.text
    policy = store.backup_policies.get("nightly")
    assert (policy.before, policy.retention) == ("/srv/freeze.yaml", "last 3, zone UTC")


def test_whoever_chose_no_machine_is_told_where_they_are(filled):
    filled.get(f"{AT}/new")
    assert "Choose" in filled.click("Machines of vc").text


def test_a_point_is_deleted_when_that_was_confirmed(filled):
    assert points_of(filled) == 4
    filled.click("app01")
    assert "VM Network" in filled.page.text
    page = filled.click("Delete …")
    whole = next(form.action for form in page.forms if "/delete/" in (form.action or ""))
    page = filled.get(f"{AT}/vaults/offsite/delete/app01")
    assert whole in [form.action for form in page.forms], "the one it asks about"
    action = next(form.action for form in page.forms if "/delete/" in (form.action or ""))
    filled.submit(action)
    assert filled.path == f"{AT}/vaults/offsite"
    assert points_of(filled) == 3


def test_a_single_disk_becomes_a_volume(filled):
    filled.get(f"{AT}/vaults/offsite?q=app01")
    filled.click("Restore …")
    at = filled.path
    page = filled.submit(at, button=("do", "check"), disk="1")
    assert "network-unmapped" not in page.text, "a volume has none"
    filled.submit(at, button=("do", "start"))
    record = filled.store.migrations.all()[-1]
    assert (filled.path, record.request["type"]) == (f"/ui/migrations/{record.id}", "volume")
    assert record.machine_ref.endswith("/2000")


def test_a_file_of_a_point_is_found_and_fetched(filled):
    filled.get(f"{AT}/vaults/offsite")
    filled.click("app01")
    page = filled.click("Files")
    at = filled.path
    assert ("etc/" in page.links, "lost+found/" in page.links, "1.0" in page.text) == (True, True, True)
    page = filled.click("etc/")
    assert "hostname" in page.text
    assert "<img" not in page.source
    assert "onerror=alert(1)>\\x0a.conf" in page.text
    page = filled.submit(at, find="HOST*")
    assert "/etc/hostname" in page.text
    assert "fstab" not in page.text
    answer = filled.ask("GET", page.links["Fetch"])
    assert (answer.status_code, answer.content) == (200, b"app01\n")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''hostname"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Nothing is called so" in filled.submit(at, find="nobody").text
    page = filled.get(f"{at}?path=/etc")
    whole = filled.ask("GET", page.links["Fetch all of it"])
    with tarfile.open(fileobj=io.BytesIO(whole.content)) as archive:
        assert {"hostname", "fstab"} <= set(archive.getnames())
    page = filled.get(f"{at}?path=/nowhere")
    assert (page.status, "/nowhere" in page.text) == (400, True)
    assert filled.ask("GET", at.replace("/files/", "/file/") + "?path=/nowhere").status_code == 404


def test_a_point_is_held_and_released(filled):
    filled.get(f"{AT}/vaults/offsite?q=app01")
    filled.click("app01")
    filled.click("Hold …")
    at = filled.path
    for wrong in ({"name": "two words"}, {"until": "2020-01-01T00:00"}, {"name": "audit", "until": "soon"}):
        page = filled.submit(at, **wrong)
        assert page.status == 400
        assert "aria-describedby" in page.source
    assert "begins with a letter" in filled.submit(at, name="two words").text
    assert "isn't a moment" in filled.submit(at, name="audit", until="soon").text
    assert "is over" in filled.submit(at, name="audit", until="2020-01-01T00:00").text
    page = filled.submit(at, name="audit", until="2199-01-01T00:00")
    assert ("It is held" in page.text, "2199-01-01 00:00:00 UTC" in page.text) == (True, True)
    assert "held" in filled.get(f"{AT}/vaults/offsite").text
    page = filled.get(at)
    refused = filled.submit(at, name="other")
    assert (refused.status, "held" in refused.text) == (400, True)
    filled.get(at.replace("/hold/", "/points/"))
    page = filled.click("Release …")
    by_its_machine = filled.get(f"{AT}/vaults/offsite/release/app01")
    assert [form.action for form in by_its_machine.forms] == [form.action for form in page.forms], (
        "the one it asks about"
    )
    page = filled.submit(at.replace("/hold/", "/release/"))
    assert "It is held" not in page.text
    assert "Hold …" in page.links


def test_what_is_read_of_a_disk_without_a_file_system_is_said(filled):
    filled.get(f"{AT}/vaults/offsite")
    root = filled.store.state.root.parent
    oldest = point_names(Vault.open(Directory(root / "vault"), "read", None))[0]
    page = filled.get(f"{AT}/vaults/offsite/files/{oldest}")
    assert ("Nothing is here" in page.text, "not known" in page.text) == (True, True)


@pytest.mark.parametrize(("verb", "kind"), [("verify", "verification"), ("prune", "prune")])
def test_a_vault_is_verified_and_pruned(filled, verb, kind):
    filled.get(f"{AT}/vaults/offsite" + ("/prune" if verb == "prune" else ""))
    page = filled.submit(f"{AT}/vaults/offsite/{verb}")
    assert kind in page.text
    (record,) = [one for one in filled.store.migrations.all() if one.request["type"] == kind]
    assert filled.path == f"/ui/migrations/{record.id}"


def test_a_point_is_restored_once_its_concerns_were_seen(filled):
    filled.get(f"{AT}/vaults/offsite?q=app01")
    page = filled.click("Restore …")
    at = filled.path
    assert "Restore now" not in page.text
    page = filled.submit(at, button=("do", "check"))
    assert "network-unmapped" in page.text
    assert ("do", "start") not in page.form(at).buttons
    refused = filled.submit(at, button=("do", "start"))
    assert (refused.status, "can't be migrated" in refused.text or "VM Network" in refused.text) == (400, True)
    page = filled.submit(at, button=("do", "check"), **{"n-to": "private"}, server_name="app01-again", type="dry-run")
    assert "network-unmapped" not in page.text, page.text
    assert ("do", "start") in page.form(at).buttons, page.text
    page = filled.submit(at, button=("do", "start"), also=[("isolated", "yes")], boot_mark="^ready")
    record = filled.store.migrations.all()[-1]
    assert filled.path == f"/ui/migrations/{record.id}", page.text
    asked = {
        name: record.request[name] for name in ("type", "networks", "server_name", "isolated", "power", "boot_mark")
    }
    assert asked == {
        "type": "dry-run",
        "networks": {"VM Network": "private"},
        "server_name": "app01-again",
        "isolated": True,
        "power": "on",
        "boot_mark": "^ready",
    }


@pytest.mark.parametrize(
    ("link", "told", "asked"), [("Keep it …", "commit", "cutover"), ("Go back …", "undo", "cancel")]
)
def test_what_was_restored_in_place_waits_for_a_word(idle, link, told, asked):
    store = idle.store
    cloud = store.providers.get("cloud")
    wanted = {"type": "in-place", "replaces": "s-1"}
    record = queue_migration(
        store.migrations,
        machine_name="app01",
        machine_ref="app01/p",
        source_id=cloud.id,
        target_id=cloud.id,
        request=wanted,
    )
    store.migrations.end_job(record.id, record.job.id, next_kind=JobKind.DECISION, due_at=NEVER, phase="up")
    page = idle.get("/ui/")
    assert "Commit it, or undo it." in page.text
    page = idle.get(f"/ui/migrations/{record.id}")
    assert "stays as the way back until you decide" in page.text
    assert "Cancel …" not in page.text
    idle.click(link)
    idle.submit(f"/ui/migrations/{record.id}/{told}")
    assert idle.path == f"/ui/migrations/{record.id}"
    record = store.migrations.get(record.id)
    assert (record.cutover_requested, record.cancel_requested) == (asked == "cutover", asked == "cancel")
    assert link not in idle.get(f"/ui/migrations/{record.id}").text


def test_a_restore_in_place_is_asked_for(filled):
    """And refused for what never was a server of an OpenStack."""
    filled.get(f"{AT}/vaults/offsite?q=app01")
    filled.click("Restore …")
    refused = filled.submit(filled.path, button=("do", "check"), type="in-place", **{"n-to": "private"})
    assert (refused.status, "wasn't backed up from an OpenStack" in refused.text) == (400, True)


def test_a_policy_is_made_changed_run_paused_and_deleted(filled):
    filled.get(AT)
    filled.click("New policy …")
    wrong = filled.submit(f"{AT}/new-policy", name="weekly", source="vc", vault="offsite", schedule="now and then")
    assert wrong.status == 400
    (field,) = [of for tag, of in wrong.elements if tag == "input" and of.get("name") == "schedule"]
    assert (field["value"], field["aria-describedby"]) == ("now and then", "f-schedule-help")
    assert "alert" not in [of.get("role") for _tag, of in wrong.elements], "it is said at its field, and there alone"
    page = filled.submit(
        f"{AT}/new-policy", schedule="weekly sunday 03:00 UTC", which="machines", machines="app01\napp01"
    )
    assert "A machine is named twice." in page.text
    filled.submit(f"{AT}/new-policy", machines="app01\ndb01\n")
    assert filled.path == f"{AT}/policies/weekly", filled.page.text
    assert "app01, db01" in filled.page.text
    assert "not run yet" in filled.page.text
    filled.click("Change …")
    assert [v for n, v in filled.page.form(f"{AT}/policies/weekly/edit").fields if n == "retention"] == [
        "last 7, weekly 8, monthly 12, zone UTC"
    ]
    filled.submit(f"{AT}/policies/weekly/edit", retention="last 1", verify="")
    policy = filled.store.backup_policies.get("weekly")
    assert (policy.machines, policy.retention, policy.verify) == (("app01", "db01"), "last 1, zone UTC", None)
    Vault.create(Directory(filled.store.state.root.parent / "away"), None)
    filled.store.providers.add("away", "vault", {"directory": str(filled.store.state.root.parent / "away")}, {})
    filled.click("Change …")
    page = filled.submit(f"{AT}/policies/weekly/edit", prove="every 7d", prove_on="")
    assert (page.status, "Where the points are proved isn't said." in page.text) == (400, True)
    clock = {"prove": "every 7d", "prove_on": "cloud", "copy_to": "away"}
    filled.submit(f"{AT}/policies/weekly/edit", **clock, **{"n-name": "VM Network", "n-to": "private"})
    policy = filled.store.backup_policies.get("weekly")
    told = filled.store.providers.get(policy.prove_on).name, filled.store.providers.get(policy.copy_to).name
    assert (told, policy.prove, policy.prove_networks) == (("cloud", "away"), "every 7d", {"VM Network": "private"})
    filled.click("Change …")
    filled.submit(f"{AT}/policies/weekly/edit", copy_to="", prove="")
    policy = filled.store.backup_policies.get("weekly")
    assert (policy.copy_to, policy.prove, policy.prove_on) == (None, None, None)
    due = utc_now() - timedelta(days=1)
    filled.store.backup_policies.change(policy.id, due_at=due)
    filled.click("Change …")
    filled.submit(f"{AT}/policies/weekly/edit")
    assert filled.store.backup_policies.get("weekly").due_at == due, "a run that is due isn't forgotten"
    filled.submit(f"{AT}/policies/weekly/run")
    assert filled.store.backup_policies.get("weekly").asked
    assert "paused" in filled.submit(f"{AT}/policies/weekly/pause").text
    filled.submit(f"{AT}/policies/weekly/resume")
    assert not filled.store.backup_policies.get("weekly").paused
    filled.click("Delete …")
    filled.submit(f"{AT}/policies/weekly/delete")
    assert filled.path == AT
    assert "weekly" not in filled.page.text


def test_without_a_vault_the_next_step_is_told(fleet):
    assert "New vault …" in fleet.get(AT).links
    assert "There is no vault yet" in fleet.get(f"{AT}/new-policy").text


def test_a_reader_is_offered_nothing_that_acts(many_filled):
    reader = many_filled.logged_in("rita")
    assert "nightly" in reader.get(AT).text
    said = [reader.get(f"{AT}{path}").text for path in ("", "/vaults/offsite", "/policies/nightly")]
    for action in ("New policy", "Back up", "Restore …", "Delete …", "Run now", "Prune", "Change …"):
        assert not [text for text in said if action in text], action
    assert reader.get(f"{AT}/new-policy").status == 403


def test_a_schedule_and_rules_are_previewed_and_nothing_that_was_typed_is_lost(filled):
    at = f"{AT}/policies/nightly/edit"
    filled.get(at)
    said = {"retention": "last 1", "schedule": "weekly sunday 02:00 Europe/Berlin", "verify": "every 9d"}
    page = filled.submit(at, sent_to=f"{at}/preview", **said)
    assert page.status == 200, page.text
    assert "1 would stay, and 2 would go." in page.text
    assert "Next runs" in page.text
    assert dict(page.form(at).fields).items() >= said.items()
    assert filled.store.backup_policies.get("nightly").retention == "last 2, zone UTC", "nothing was changed"
    page = filled.submit(at, sent_to=f"{at}/preview", schedule="whenever")
    assert page.status == 400
    assert "is no schedule" in page.text
    filled.get(f"{AT}/new-policy")
    page = filled.submit(f"{AT}/new-policy", sent_to=f"{AT}/new-policy/preview", name="weekly", schedule="every 6h")
    assert "(an example: each record has its own times, in the same intervals)" in page.text
    assert "points would stay" in page.text
    assert "Next runs" in filled.get(f"{AT}/policies/nightly").text


def test_a_replicas_rules_are_previewed_on_its_points(filled):
    records = filled.store.migrations.all()
    at = f"/ui/replicas/{next(one.id for one in records if one.machine_name == 'mail01')}/edit"
    filled.get(at)
    page = filled.submit(at, sent_to=f"{at}/preview", retention="last 2")
    assert page.status == 200, page.text
    assert "2 would stay, and 3 would go." in page.text


def test_all_that_was_done_for_a_policy_is_on_record_with_what_failed(filled):
    filled.get(f"{AT}/policies/nightly")
    page = filled.click("All runs")
    assert page.status == 200, page.text
    assert "1 done" in page.text
    assert "1 failed" in page.text
    assert "app09" in page.text
    assert "The host doesn't answer." in page.text
    assert "web01" not in page.text, "it was moved, and not for the policy"
    page = filled.get(f"{AT}/policies/nightly/runs?status=failed&type=backup")
    assert "app09" in page.text
    assert "app01" not in page.text
    assert "None fits" in filled.get(f"{AT}/policies/nightly/runs?type=verification").text


def test_a_replicas_syncs_are_shown_the_last_ones_first(filled):
    at = next(one.id for one in filled.store.migrations.all() if one.machine_name == "mail01")
    text = filled.get(f"/ui/replicas/{at}").text
    assert "5 syncs are on record, the last ones first." in text
    assert text.index("10.0 MiB") < text.rindex("everything")
