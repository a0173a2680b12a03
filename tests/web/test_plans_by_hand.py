"""From machines to a plan that is under way, by links and forms alone."""

import html
import re
import time
from datetime import UTC, datetime, timedelta
from threading import Event
from urllib.parse import urlencode, urlsplit

import pytest
from small_fleet import Fleet, FleetSource

from filled import SEEN_UP, fill
from longshore.api.plan_checks import PlanCheck
from longshore.api.schemas import PlanConcern
from longshore.model.as_built import BuiltServer
from longshore.model.machine import Disk
from longshore.model.request import MigrationRequest
from longshore.planning import planfile
from longshore.store import NewMigration

pytestmark = pytest.mark.long

NEW, MAPPINGS = "/ui/new-plan", "/ui/plans/shop/mappings"


def moves_of(browser):
    """Return the migrations that there are, and no checks of plans."""
    return [one for one in browser.store.migrations.all() if one.type.moves]


def name_it(fleet, **said):
    fleet.get("/ui/providers/vc/machines")
    fleet.submit("/ui/new-plan", also=[("machine", "vm-1"), ("machine", "vm-3")], button=("which", "chosen"))
    assert "A plan for 2 machines of vc" in fleet.page.text
    assert "app01, db01." in fleet.page.text
    return fleet.submit(NEW, **{"name": "shop", "type": "cold", **said})


def test_chosen_machines_become_a_plan_whose_mappings_are_proposed(fleet):
    name_it(fleet)
    assert fleet.path == MAPPINGS
    assert dict(fleet.page.form(MAPPINGS).fields) | {"form_token": "", "version": ""} == {
        "form_token": "",
        "version": "",
        "n-name": "VM Network",
        "n-to": "private",
        "s-name": "ds",
        "s-to": "",
        "f-name": "1x256",
        "f-to": "small",
        "type": "cold",
        "landing": "auto",
        "boot_proof": "",
        "boot_mark": "",
        "boot_port": "",
        "power": "as-before",
    }
    content = fleet.store.plans.get("shop").content
    assert [machine["ref"] for machine in content["machines"]] == ["vm-1", "vm-3"]


def test_a_machine_that_is_off_is_said_to_leave_its_server_off_and_that_can_be_changed(fleet, tmp_path):
    with Fleet(tmp_path / "fleet").world("db01").change() as machine:
        machine["power"] = "off"
    page = name_it(fleet)
    assert "Off now: db01. Left as it was at the source, such a server is off again afterwards." in page.text
    fleet.submit(MAPPINGS, power="on")
    assert fleet.store.plans.get("shop").content["defaults"]["power"] == "on"
    assert dict(fleet.get(MAPPINGS).form(MAPPINGS).fields)["power"] == "on"


def test_what_is_decided_is_kept_and_its_blockers_come_and_go(fleet):
    name_it(fleet)
    page = fleet.submit(MAPPINGS, **{"n-to": "", "s-to": "gold", "f-to": "large"})
    assert fleet.path == "/ui/plans/shop/concerns"
    assert "2 blocker" in page.text
    assert "network-unmapped" in page.text
    assert "/ui/plans/shop/start" not in {form.action for form in page.forms}, "what can't be started has no button"
    fleet.click("To the mappings")
    assert dict(fleet.page.form(MAPPINGS).fields)["f-to"] == "large"
    page = fleet.submit(MAPPINGS, **{"n-to": "other"})
    assert "blocker" not in page.text
    mappings = fleet.store.plans.get("shop").content["mappings"]
    assert mappings["networks"] == {"VM Network": "other"}
    assert mappings["storage"] == {"ds": "gold"}
    assert mappings["flavors"] == [{"flavor": "large", "cpus": 1, "memory_mib": 256}]


def test_what_shows_that_a_guest_is_up_is_chosen(fleet):
    name_it(fleet)
    page = fleet.submit(MAPPINGS, boot_port="22, 3389")
    assert "boot-proof-unsure" not in page.text
    assert fleet.store.plans.get("shop").content["defaults"]["boot_port"] == [22, 3389]
    fleet.click("Change mappings")
    assert dict(fleet.page.form(MAPPINGS).fields)["boot_port"] == "22, 3389"
    page = fleet.submit(MAPPINGS, boot_port="ssh")
    assert (page.status, "ssh isn't the number of a port." in page.text) == (400, True)
    page = fleet.submit(MAPPINGS, boot_port="", boot_proof="none")
    assert "boot-unproven" in page.text
    assert "boot_port" not in fleet.store.plans.get("shop").content["defaults"]
    content = fleet.store.plans.get("shop").content
    fleet.store.plans.replace("shop", {**content, "defaults": {"boot_proof": "agent", "boot_port": 22}})
    shown = dict(fleet.get(MAPPINGS).form(MAPPINGS).fields)
    assert (shown["boot_proof"], shown["boot_port"]) == ("agent", "22"), "what a command has chosen stays"


def test_only_the_concerns_come_back_where_nothing_else_is_wanted(fleet):
    name_it(fleet)
    fields = dict(fleet.page.form(MAPPINGS).fields) | {"n-to": ""}
    answer = fleet.ask("POST", MAPPINGS, data=fields, headers={"HX-Request": "true", "Sec-Fetch-Site": "same-origin"})
    assert answer.status_code == 200
    assert "network-unmapped" in answer.text
    assert "networks" not in fleet.store.plans.get("shop").content["mappings"]


def test_whoever_goes_on_before_the_clouds_have_answered_has_lost_nothing(fleet):
    """Each choice is kept as it is made, and what stands against it may take long: the page doesn't know that yet."""
    name_it(fleet)
    page = fleet.page
    fields = dict(page.form(MAPPINGS).fields) | {"n-to": "other", "boot_mark": "ready"}
    fleet.ask("POST", MAPPINGS, data=fields, headers={"HX-Request": "true", "Sec-Fetch-Site": "same-origin"})
    fleet.page = page
    shown = fleet.submit(MAPPINGS, **{"n-to": "other", "boot_mark": "ready"})
    assert (shown.status, fleet.path) == (200, "/ui/plans/shop/concerns"), shown.text
    content = fleet.store.plans.get("shop").content
    assert content["mappings"]["networks"] == {"VM Network": "other"}
    assert content["defaults"]["boot_mark"] == "ready"


def test_a_plan_that_was_changed_meanwhile_isnt_overwritten(fleet):
    name_it(fleet)
    content = fleet.store.plans.get("shop").content
    fleet.store.plans.replace("shop", {**content, "description": "by a command"})
    page = fleet.submit(MAPPINGS, **{"n-to": "other"})
    assert (page.status, "changed meanwhile" in page.text) == (400, True)
    assert fleet.store.plans.get("shop").content["mappings"]["networks"] == {"VM Network": "private"}


def test_what_the_page_doesnt_show_of_a_plan_stays(fleet):
    name_it(fleet)
    content = fleet.store.plans.get("shop").content
    rule = {"flavor": "large", "machine": "db*"}
    more = {"networks": {"VM Network": "private", "elsewhere": "other"}, "flavors": [rule]}
    fleet.store.plans.replace("shop", {**content, "mappings": more, "limits": {"at_once": 2}})
    fleet.get(MAPPINGS)
    fleet.submit(MAPPINGS, **{"f-to": "small"})
    kept = fleet.store.plans.get("shop").content
    assert kept["mappings"]["networks"] == {"VM Network": "private", "elsewhere": "other"}
    assert kept["mappings"]["flavors"] == [rule, {"flavor": "small", "cpus": 1, "memory_mib": 256}]
    assert kept["limits"] == {"at_once": 2}


def test_a_plan_is_checked_started_and_cancelled(fleet):
    name_it(fleet, type="warm", description="The shop")
    fleet.click("To the plan")
    assert "2 planned" in fleet.page.text
    fleet.click("Check and start …")
    fleet.submit("/ui/plans/shop/start")
    assert fleet.path == "/ui/plans/shop"
    assert "2 queued" in fleet.page.text
    assert {m.request["type"] for m in moves_of(fleet)} == {"warm"}
    fleet.click("Cut over …")
    assert "Nothing waits for its cutover." in fleet.page.text
    assert "Not meant, since they are queued or still copied: app01, db01." in fleet.page.text
    waiting = next(m for m in moves_of(fleet) if m.machine_name == "db01")
    fleet.store.migrations.update(waiting.id, status="running", phase="waiting")
    fleet.get("/ui/plans/shop")
    fleet.click("Cut over …")
    assert "started at the target: db01." in fleet.page.text
    assert "Not meant, since they are queued or still copied: app01." in fleet.page.text
    fleet.submit("/ui/plans/shop/cutover")
    assert [m.machine_name for m in moves_of(fleet) if m.cutover_requested] == ["db01"]
    fleet.click("Cut over …")
    fleet.submit("/ui/plans/shop/cutover")
    assert all(m.cutover_requested for m in moves_of(fleet))
    fleet.click("Cancel …")
    assert "2 that are under way or wait are stopped, and what they made at the target is removed: app01, db01." in (
        fleet.page.text
    )
    assert not any(m.cancel_requested for m in moves_of(fleet))
    fleet.submit("/ui/plans/shop/cancel")
    assert all(m.cancel_requested for m in moves_of(fleet))
    page = fleet.get("/ui/plans/shop/delete")
    page = fleet.submit("/ui/plans/shop/delete")
    assert page.status == 409
    assert len(fleet.store.plans.all()) == 1


@pytest.mark.parametrize("verb", ["concerns", "cutover", "cancel", "retry"])
def test_none_ticked_of_a_plan_means_none_not_all(fleet, verb):
    name_it(fleet, type="warm")
    fleet.get("/ui/plans/shop/concerns")
    fleet.submit("/ui/plans/shop/start")
    page = fleet.get(f"/ui/plans/shop/{verb}?of=chosen")
    assert (page.status, "No machine is chosen" in page.text) == (400, True)
    assert fleet.get(f"/ui/plans/shop/{verb}?of=chosen&machine=db01").status == 200


def test_a_guest_that_may_be_none_to_convert_is_said_beforehand_and_let_land_unchanged_there(fleet, tmp_path):
    with Fleet(tmp_path / "fleet").world("db01").change() as machine:
        machine |= {"guest_id": "other5xLinux64Guest", "guest_name": "Other 5.x or later Linux (64-bit)"}
    name_it(fleet)
    page = fleet.submit(MAPPINGS)
    assert 'The source knows the guest of db01 only as "Other 5.x or later Linux (64-bit)".' in page.text
    assert "let it land unchanged" in page.text
    assert "Let it land: Unchanged, on the target's own hardware" in page.text
    page = fleet.submit("/ui/plans/shop/land-unchanged")
    assert (page.status, fleet.path) == (200, "/ui/plans/shop/concerns")
    assert "guest-os-unknown" not in page.text
    entries = fleet.store.plans.get("shop").content["machines"]
    assert [(one["machine"], one.get("landing")) for one in entries] == [("app01", None), ("db01", "unchanged")]
    fleet.submit("/ui/plans/shop/start")
    landings = {m.machine_name: m.request.get("landing", "auto") for m in moves_of(fleet)}
    assert landings == {"app01": "auto", "db01": "unchanged"}


def test_a_machine_tells_of_its_last_migration(filled):
    ids = {m.machine_ref: m.id for m in filled.store.migrations.all() if m.plan_id}
    page = filled.get("/ui/providers/vc/machines")
    assert "Choose app01" not in page.text
    for name, state in (("app01", "running warm"), ("app02", "running warm"), ("db01", "failed warm")):
        assert f"{name} on {state}" in page.text
    filled.store.migrations.update(ids["vm-3"], request={"type": "dry-run"}, status="done")
    page = filled.get("/ui/providers/vc/machines")
    assert "db01 on done dry-run" in page.text
    assert page.links["dry-run"] == f"/ui/migrations/{ids['vm-3']}"
    page = filled.get("/ui/providers/vc/machines/vm-3")
    assert "Last migration: done dry-run" in page.text
    assert page.links["dry-run"] == f"/ui/migrations/{ids['vm-3']}"
    assert "Last migration:" not in filled.get("/ui/providers/cloud/machines/vm-3").text, "it is another cloud's"


def test_a_console_of_a_server_that_is_off_says_so_and_when_it_was_seen_up(fleet, tmp_path):
    ids = fill(fleet.store)
    world = Fleet(tmp_path / "fleet").world("app01")
    with world.change() as state:
        state["servers"]["s-1"] = {"status": "SHUTOFF"}
    (world.root / "silent").touch()
    fleet.store.migrations.update(ids["web01"], server_id="s-1")
    page = fleet.get(f"/ui/migrations/{ids['web01']}/console")
    seen = f"{fleet.store.migrations.get(ids['web01']).target_up_at:%Y-%m-%d %H:%M:%S} UTC"
    assert f"The server is off. It was last seen up: {seen}" in page.text
    assert "Nothing yet" not in page.text
    with world.change() as state:
        state["servers"]["s-1"] = {"status": "ACTIVE"}
    page = fleet.get(f"/ui/migrations/{ids['web01']}/console")
    assert "The server is off" not in page.text
    assert "Nothing yet." in page.text


def test_all_that_fit_are_planned_and_not_only_those_of_the_page(fleet):
    fleet.get("/ui/providers/vc/machines?q=app")
    fleet.submit("/ui/new-plan", button=("which", "all"))
    assert "A plan for 2 machines of vc" in fleet.page.text
    assert "app01, app02." in fleet.page.text
    fleet.submit(NEW, name="apps")
    assert [m["ref"] for m in fleet.store.plans.get("apps").content["machines"]] == ["vm-1", "vm-2"]


def test_a_plan_of_nothing_or_of_a_name_that_is_taken_is_refused(fleet):
    fleet.get("/ui/providers/vc/machines")
    fleet.submit("/ui/new-plan", button=("which", "chosen"))
    assert "No machine is chosen" in fleet.page.text
    name_it(fleet)
    page = name_it(fleet, description="again")
    assert (page.status, "A plan named shop is there already" in page.text) == (400, True)
    assert dict(page.form(NEW).fields)["description"] == "again"
    assert [value for name, value in page.form(NEW).fields if name == "machine"] == ["vm-1", "vm-3"]


def test_what_waits_for_a_person_comes_first(filled):
    text = filled.get("/ui/").text
    order = ["Waits for you", "waits for cutover warm app01", "rpo-breached replica mail01"]
    order += ["Failed", "warm db01", "Under way", "warm app02"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "12.0 GiB of 40.0 GiB, 120.0 MiB/s, 3 min 59 s left" in text
    assert "files01" not in text


def test_a_migration_says_where_it_is_what_failed_and_what_to_do(filled):
    filled.get("/ui/migrations")
    filled.click("app01")
    filled.click("Cut over …")
    told = "Expected to be off for about 50 s: 10 s for the last changes, then 40 s as web01 took."
    assert told in filled.page.text
    ids = {m.machine_name: m.id for m in filled.store.migrations.all()}
    filled.submit(f"/ui/migrations/{ids['app01']}/cutover")
    assert filled.path == f"/ui/migrations/{ids['app01']}"
    assert "Its cutover was asked for" in filled.page.text
    text = filled.get(f"/ui/migrations/{ids['db01']}").text
    assert 'The quota of project "small" has no room for 41 GiB of volumes. Ask for more, or remove some.' in text
    assert "quota-exceeded" in text
    assert "Phases" in text
    filled.click("Start it again from its plan")
    assert filled.path == "/ui/plans/shop"
    assert SEEN_UP in filled.get(f"/ui/migrations/{ids['web01']}").text
    assert "1 min 35 s" in filled.page.text
    assert "Read 2.0 GiB Written 1.0 GiB Verified 2.0 GiB Copied 10 s, 204.8 MiB/s" in filled.page.text
    assert "Of the downtime" in filled.page.text
    page = filled.get("/ui/migrations?status=failed")
    assert "db01" in page.text
    assert "app02" not in page.text
    assert filled.get("/ui/migrations/nothing").status == 404


def test_a_replica_is_tested_failed_over_and_undone(filled):
    ids = {m.machine_name: m.id for m in filled.store.migrations.all()}
    at = f"/ui/replicas/{ids['mail01']}"
    filled.get("/ui/replicas")
    filled.click("mail01")
    text = filled.page.text
    assert "The newest usable point is 1 h 15 min old, and 1 h were asked for." in text
    assert "1 h asked for" in text, "the line in the chart"
    chart = [attributes for tag, attributes in filled.page.elements if tag == "svg" and attributes.get("role") == "img"]
    assert [one["aria-label"] for one in chart] == ["Age of the newest point"]
    filled.get(f"{at}?days=7")
    filled.submit(f"{at}/test")
    (test,) = [m for m in filled.store.migrations.all() if m.request["type"] == "test-failover"]
    assert (filled.path, test.request["point"], test.request["isolated"]) == (f"/ui/migrations/{test.id}", 5, True)
    filled.store.disks.keep(test.id, (Disk("2000", "Hard disk 1", 0, 1 << 20, "", "ds"),))
    disks = filled.get(filled.path).text.partition("Root digest")[2]
    assert "Hard disk 1" in disks
    assert "waiting" not in disks, "nothing of them is copied"
    filled.get(at)
    filled.click("Fail over to 3 …")
    assert "From point 3: the source isn't asked" in filled.page.text
    filled.submit(f"{at}/failover")
    (failover,) = [m for m in filled.store.migrations.all() if m.request["type"] == "failover"]
    assert failover.request["point"] == 3
    assert "failing-over" in filled.page.text
    filled.click("Undo …")
    filled.submit(f"{at}/undo")
    assert filled.store.migrations.get(failover.id).cancel_requested
    other = f"/ui/replicas/{ids['files01']}"
    filled.get(f"{other}/failover")
    filled.submit(f"{other}/failover", how="planned")
    assert filled.store.replicas.get(ids["files01"]).wish == "failover"


def test_the_empty_pages_name_the_next_step(browser):
    for path, words in {
        "/ui/": "Add a vCenter",
        "/ui/plans": "Choose machines",
        "/ui/migrations": "Providers",
        "/ui/providers": "Add an OpenStack",
    }.items():
        assert words in browser.get(path).links, path
    assert "Protect machines …" in browser.get("/ui/replicas").links


def test_a_plan_of_which_nothing_is_said_is_shown_all_the_same(fleet):
    said = {"name": "bare", "source": "vc", "target": "cloud", "machines": [{"machine": "app01", "ref": "vm-1"}]}
    fleet.store.plans.add("bare", planfile.plain(planfile.from_plain(said)))
    for path in ("/ui/plans", "/ui/plans/bare", "/ui/plans/bare/mappings", "/ui/plans/bare/concerns"):
        assert fleet.get(path).status == 200, path


def test_some_machines_of_a_plan_are_started_cut_over_and_cancelled(fleet):
    name_it(fleet, type="warm")
    at = "/ui/plans/shop"
    fleet.get(at)
    fleet.submit(f"{at}/concerns", also=[("machine", "db01")])
    assert "Only of these: db01." in fleet.page.text
    fleet.submit(f"{at}/start")
    (started,) = moves_of(fleet)
    assert started.machine_name == "db01"
    assert "1 planned" in fleet.page.text
    fleet.click("Check and start …")
    fleet.submit(f"{at}/start")
    for verb, asked in (("cutover", "cutover_requested"), ("cancel", "cancel_requested")):
        page = fleet.get(f"{at}/{verb}?machine=app01")
        assert "Only of these: app01." in page.text
        fleet.submit(f"{at}/{verb}")
        assert {m.machine_name: getattr(m, asked) for m in moves_of(fleet)} == {
            "app01": True,
            "db01": False,
        }
    page = fleet.get(f"{at}/cancel?machine=nobody")
    page = fleet.submit(f"{at}/cancel")
    assert (page.status, "has no machine nobody" in page.text) == (400, True)


def test_failed_ones_that_are_chosen_are_started_again(filled):
    at = "/ui/plans/shop"
    page = filled.get(f"{at}/retry?machine=db01&machine=app01")
    assert "Started again, as before: db01." in page.text
    before = len(filled.store.migrations.all())
    page = filled.submit(f"{at}/retry")
    assert len(filled.store.migrations.all()) == before + 1, page.text


def bomb(levels):
    """Some lines that stand for ten to the power of `levels` texts."""
    lines = [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    head = "name: shop\nsource: vc\ntarget: cloud\nmachines: [{machine: web}]\ndescription: x\na0: &a0 lol\n"
    return head + "\n".join(lines)


def test_a_plan_is_edited_as_yaml_and_what_cant_be_read_changes_nothing(fleet):
    name_it(fleet)
    at = "/ui/plans/shop/yaml"
    fleet.click("To the plan")
    fleet.click("All of it as YAML")
    text = dict(fleet.page.form(at).fields)["plan"]
    assert "- machine: app01" in text
    for wrong, said in (
        ("name: [", "This can't be read as YAML. Line 2, column 1: "),
        (bomb(30), "This can't be read as YAML. Line 6, column 5: &a0 is a reference"),
        ("just words", "That is no plan"),
        (text.replace("name: shop", "name: other"), "The plan is called other, not shop."),
        (text.replace("ref: vm-1", "ref: vm-1\n  colour: blue"), "colour"),
    ):
        page = fleet.submit(at, plan=wrong)
        assert (page.status, said in page.text) == (400, True), page.text
        assert "wave" not in str(fleet.store.plans.get("shop").content)
    fleet.get(at)
    fleet.submit(at, plan=text.replace("ref: vm-1", "ref: vm-1\n  wave: 2"))
    assert fleet.store.plans.get("shop").content["machines"][0]["wave"] == 2
    page = fleet.get(at)
    content = fleet.store.plans.get("shop").content
    fleet.store.plans.replace("shop", {**content, "description": "by a command"})
    page = fleet.submit(at, plan=text)
    assert (page.status, "changed meanwhile" in page.text) == (400, True)
    answer = fleet.ask("GET", f"{at}/file")
    assert answer.headers["content-disposition"].endswith("shop.yaml")
    assert "by a command" in answer.text


def test_what_has_landed_is_taken_as_code(fleet, monkeypatch):
    name_it(fleet)
    at = "/ui/plans/shop"
    assert "/iac/" not in fleet.ask("GET", at).text, "nothing has landed"
    refused = fleet.get(f"{at}/iac/tofu")
    assert (refused.status, "No machine of the plan has landed" in refused.text) == (409, True)
    record, (vc, cloud) = (
        fleet.store.plans.get("shop"),
        (fleet.store.providers.get(name).id for name in ("vc", "cloud")),
    )
    new = NewMigration("app01", "vm-1", vc, cloud, MigrationRequest().to_json(), plan_id=record.id)
    (moved,) = fleet.store.migrations.add_together([new])
    fleet.store.migrations.update(moved.id, status="done", server_id="server-1")
    built = BuiltServer("server-1", "app01", "ACTIVE", "small", None, None)
    monkeypatch.setattr("small_fleet.FleetTarget.as_built", lambda _self, _ids: [built], raising=False)
    page = fleet.ask("GET", at).text
    for form, said in (
        ("tofu", "to = openstack_compute_instance_v2.app01"),
        ("heat", "external_id: server-1"),
        ("heat-adopt", "retain"),
        ("ansible", "openstack.cloud.server"),
    ):
        assert f'href="{at}/iac/{form}"' in page
        answer = fleet.ask("GET", f"{at}/iac/{form}")
        assert (said in answer.text, "shop." in answer.headers["content-disposition"]) == (True, True)


def test_whoever_goes_back_in_the_middle_of_a_plan_loses_nothing(fleet):
    name_it(fleet, description="The shop", type="warm")
    fleet.submit(MAPPINGS, **{"n-to": "other", "boot_mark": "ready"})
    assert "Draft" in fleet.get("/ui/plans").text
    fleet.get("/ui/plans/shop")
    assert "This is a draft yet" in fleet.page.text
    fleet.click("Go on with it")
    fields = dict(fleet.page.form(NEW).fields)
    assert (fields["name"], fields["description"], fields["target"], fields["type"]) == (
        "shop",
        "The shop",
        "cloud",
        "warm",
    )
    assert "A plan for 2 machines of vc" in fleet.page.text
    fleet.submit(NEW, name="market")
    assert fleet.path == "/ui/plans/market/mappings"
    (record,) = fleet.store.plans.all()
    assert record.content["mappings"]["networks"] == {"VM Network": "other"}
    assert record.content["defaults"] == {
        "type": "warm",
        "landing": "auto",
        "boot_mark": "ready",
        "power": "as-before",
    }
    fleet.click("Back to machines and name")
    fleet.get("/ui/plans/market/concerns")
    fleet.submit("/ui/plans/market/keep")
    assert fleet.path == "/ui/plans/market"
    assert "This is a draft yet" not in fleet.page.text
    assert "Draft" not in fleet.get("/ui/plans").text


def test_what_was_typed_of_a_plan_stands_in_the_pages_address(fleet):
    fleet.get("/ui/providers/vc/machines")
    fleet.submit("/ui/new-plan", also=[("machine", "vm-1")], button=("which", "chosen"))
    typed = {name: value for name, value in fleet.page.form(NEW).fields if name != "form_token"}
    typed |= {"name": "shop", "description": "The shop", "type": "dry-run"}
    page = fleet.get(f"{NEW}?{urlencode(typed)}")
    assert dict(page.form(NEW).fields) | {"form_token": ""} == typed | {"form_token": ""}
    assert fleet.store.plans.all() == []
    fleet.submit(NEW)
    fleet.get(f"{NEW}?{urlencode(typed)}")
    fleet.submit(NEW, description="typed after going back")
    (record,) = fleet.store.plans.all()
    assert record.content["description"] == "typed after going back"


def test_a_plan_is_duplicated(fleet):
    name_it(fleet, description="The shop")
    fleet.click("To the plan")
    fleet.click("Duplicate …")
    at = "/ui/plans/shop/duplicate"
    page = fleet.submit(at, name="shop")
    assert (page.status, "is there already" in page.text) == (400, True)
    fleet.submit(at, name="shop-again")
    assert fleet.path == "/ui/plans/shop-again"
    first, second = (fleet.store.plans.get(name).content for name in ("shop", "shop-again"))
    assert second == first | {"name": "shop-again"}


def test_a_machine_of_a_plan_has_its_own_wave_and_options(fleet):
    name_it(fleet)
    content = fleet.store.plans.get("shop").content
    content["machines"][0]["tags"] = ["kept"]
    fleet.store.plans.replace("shop", content)
    at = "/ui/plans/shop/machines/app01"
    fleet.get("/ui/plans/shop")
    fleet.get(at)
    page = fleet.submit(at, wave="soon")
    assert (page.status, "A wave is a number" in page.text) == (400, True)
    fleet.submit(at, wave="3", flavor="large", server_name="app-one", type="dry-run")
    app, db = fleet.store.plans.get("shop").content["machines"]
    wanted = {"wave": 3, "flavor": "large", "server_name": "app-one", "type": "dry-run", "tags": ["kept"]}
    assert app == {"machine": "app01", "ref": "vm-1", **wanted}
    assert "wave" not in db
    fleet.get(at)
    fleet.submit(at, wave="1", flavor="", type="")
    app, _db = fleet.store.plans.get("shop").content["machines"]
    assert app == {"machine": "app01", "ref": "vm-1", "server_name": "app-one", "tags": ["kept"]}
    assert fleet.get("/ui/plans/shop/machines/nobody").status == 404


def test_volumes_that_no_server_has_are_planned(fleet):
    there = fleet.store.providers.get("cloud")
    fleet.store.providers.add("other", "openstack", there.settings, {"password": "x"})
    fleet.get("/ui/providers/cloud")
    fleet.click("Volumes")
    assert "archive" in fleet.page.text
    (tick,) = [of["value"] for tag, of in fleet.page.elements if tag == "input" and of.get("name") == "volume"]
    fleet.submit("/ui/new-plan", also=[("volume", tick)], button=("which", "chosen"))
    fleet.submit(NEW, name="archives", target="other")
    assert fleet.path == "/ui/plans/archives/mappings", fleet.page.text
    assert [one["volume"] for one in fleet.store.plans.get("archives").content["volumes"]] == ["archive"]
    assert "0 CPU" not in fleet.page.text, "a volume needs no flavor"
    assert fleet.get("/ui/plans/archives").status == 200
    at = "/ui/plans/archives/machines/volume%3Aarchive"
    assert "flavor" not in fleet.get(at).form(at).names
    fleet.submit(at, wave="2")
    assert fleet.store.plans.get("archives").content["volumes"][0]["wave"] == 2


@pytest.fixture
def slow(fleet, monkeypatch):
    """Machines are looked at one by one, the second one when that is said; nobody waits long for them."""
    monkeypatch.setattr("longshore.flows.plans.check.AT_ONCE", 1)
    monkeypatch.setattr("longshore.web.pages.checks._WAITED_FOR", 0.3)
    may_go_on, describe = Event(), FleetSource.describe

    def one_by_one(self, refs):
        assert refs == ["vm-1"] or may_go_on.wait(60)
        return describe(self, refs)

    monkeypatch.setattr(FleetSource, "describe", one_by_one)
    machines = [{"machine": "app01", "ref": "vm-1"}, {"machine": "db01", "ref": "vm-3"}]
    plan = {"name": "shop", "source": "vc", "target": "cloud", "machines": machines}
    fleet.store.plans.add("shop", planfile.plain(planfile.from_plain(plan)))
    yield may_go_on
    may_go_on.set()


def address(fleet):
    said = urlsplit(fleet.page.url)
    return f"{said.path}?{said.query}"


def look_until(fleet, text):
    end = time.monotonic() + 60
    while text not in fleet.get(address(fleet)).text and time.monotonic() < end:
        pass
    assert text in fleet.page.text


def test_what_is_known_of_some_machines_stands_there_while_others_are_looked_at(fleet, slow):
    fleet.get("/ui/plans/shop/concerns")
    assert "check=" in address(fleet), "whoever loads it again goes on with the same check"
    look_until(fleet, "1 of 2 looked at")
    assert "data-refresh" in fleet.page.source
    assert "app01" in fleet.page.text
    assert "network-unmapped" in fleet.page.text
    assert "/ui/plans/shop/start" not in {form.action for form in fleet.page.forms}
    slow.set()
    look_until(fleet, "To the mappings")
    assert "db01" in fleet.page.text
    assert "of 2 looked at" not in fleet.page.text
    assert "data-refresh" not in fleet.page.source


def test_the_part_about_concerns_goes_on_asking_for_itself(fleet, slow):
    headers = {"HX-Request": "true", "HX-Target": "concerns"}
    part = fleet.ask("GET", "/ui/plans/shop/concerns", headers=headers).text
    again = html.unescape(re.search(r'id="concerns"[^>]* hx-get="([^"]+)"', part)[1])
    slow.set()
    end = time.monotonic() + 60
    while "hx-get" in (part := fleet.ask("GET", again, headers=headers).text) and time.monotonic() < end:
        pass
    assert "hx-get" not in part
    assert "db01" in part


def test_a_check_that_nobody_goes_on_with_is_begun_anew(fleet, slow):
    fleet.get("/ui/plans/shop/concerns")
    begun = address(fleet)
    content = fleet.store.plans.get("shop").content
    fleet.store.plans.replace("shop", {**content, "description": "another"})
    slow.set()
    fleet.get(begun)
    look_until(fleet, "db01")
    assert "changed meanwhile" not in fleet.page.text


def test_a_concern_of_a_thousand_machines_is_one_row_with_all_of_them_behind_it(crowded, monkeypatch):
    names = [f"srv-{n:04d}" for n in range(1, 1001)]
    found = [
        PlanConcern(
            machine=name, code="guest-address-unknown", severity="warning", subject="Network adapter 1",
            text=f"{name} doesn't tell which addresses Network adapter 1 has.", advice="", acceptable=False,
        )
        for name in names
    ]  # fmt: skip

    async def all_found(*_asked):
        body = {"id": "c", "plan": "p", "version": "1", "done": 1000, "total": 1000, "until": 1000, "error": None}
        moments = {"created_at": "2026-11-25T08:00:00Z", "ended_at": "2026-11-25T08:00:09Z"}
        return PlanCheck(**body, **moments, state="done", concerns=found)

    monkeypatch.setattr("longshore.web.pages.plans.follow", all_found)
    page = crowded.get("/ui/plans/datacentre/concerns")
    assert "warning 1000 machines For example: srv-0001 doesn't tell which addresses" in page.text
    assert page.text.count("doesn't tell") == 1
    assert [name for name in names if name not in page.text] == []
    assert len(page.source) < 60_000


def in_three_days():
    return (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT22:00")


def submit_timed(browser, action, at):
    browser.page.forms = [form for form in browser.page.forms if "at" in form.names]
    return browser.submit(action, at=at)


def cutovers(browser):
    return {m.machine_name: m.request.get("cutover", {}).get("mode") for m in browser.store.migrations.all()}


def test_what_waits_is_cut_over_at_a_time_and_that_is_taken_back(filled):
    shop = "/ui/plans/shop"
    filled.get(f"{shop}/cutover")
    submit_timed(filled, f"{shop}/cutover", at=in_three_days())
    assert (cutovers(filled)["app01"], cutovers(filled)["app02"]) == ("scheduled", None)
    assert filled.page.links["Take the cutover back …"] == f"{shop}/take-back"
    app01 = next(m.id for m in filled.store.migrations.all() if m.machine_name == "app01" and not m.status.ended)
    assert "It is cut over by itself at a time." in filled.get(f"/ui/migrations/{app01}").text
    filled.get(f"{shop}/take-back")
    assert "until somebody asks for it again: app01." in filled.page.text
    filled.submit(f"{shop}/take-back")
    assert cutovers(filled)["app01"] == "manual"
    assert "Take the cutover back …" not in filled.page.links


def test_a_cutover_that_was_asked_for_is_taken_back_on_its_page(filled):
    app01 = next(m.id for m in filled.store.migrations.all() if m.machine_name == "app01" and not m.status.ended)
    at = f"/ui/migrations/{app01}"
    filled.get(f"{at}/cutover")
    filled.submit(f"{at}/cutover")
    assert "Its cutover was asked for. Take that back" in filled.page.text
    filled.submit(f"{at}/take-back")
    assert "waits for cutover" in filled.page.text
    filled.get(f"{at}/cutover")
    submit_timed(filled, f"{at}/cutover", at="2020-01-01T22:00Z")
    assert "that is past" in filled.page.text


def test_a_check_is_seen_among_the_jobs(fleet, slow):
    fleet.get("/ui/plans/shop/concerns")
    (check,) = fleet.store.migrations.all()
    fleet.get("/ui/jobs")
    assert "plan-check" in fleet.page.text
    fleet.get(f"/ui/migrations/{check.id}")
    assert "shop" in fleet.page.text
    fleet.get(f"/ui/migrations/{check.id}/cancel")
    fleet.submit(f"/ui/migrations/{check.id}/cancel")
    slow.set()
    until_status(fleet, check.id, "cancelled")


def until_status(browser, id_, wanted):
    end = time.monotonic() + 60
    while (found := browser.store.migrations.get(id_).status.value) != wanted:
        assert time.monotonic() < end, found
        time.sleep(0.02)
