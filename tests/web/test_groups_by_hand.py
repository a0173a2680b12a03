"""Groups of replicas as somebody uses them who has links and forms and nothing else."""

import pytest

from longshore.model.replica import Stage

pytestmark = pytest.mark.long

AT = "/ui/replicas/groups"
RACK = f"{AT}/rack"


def ids_of(store):
    return {one.machine_name: one.id for one in store.replicas.all()}


def rack(store):
    return store.groups.get("rack")


def members_of(store, name="rack"):
    return {one.machine_name: one.tier for one in store.groups.get(name).members}


def test_how_ready_a_group_is_is_seen_at_once(filled):
    filled.get("/ui/replicas")
    page = filled.click("Groups")
    assert "ready, with faults" in page.text
    assert "mail01: The newest usable point is 1 h 15 min old, and 1 h were asked for." in page.text
    page = filled.click("rack")
    assert "a pause of 2 min" in page.text
    assert "nothing but its machines being up is waited for" in page.text
    assert page.text.index("mail01") < page.text.index("files01"), "in the order of their tiers"
    assert "1 h 15 min" in page.text
    filled.store.replicas.update(ids_of(filled.store)["mail01"], stage=Stage.SEEDING.value)
    page = filled.get(RACK)
    assert "not ready" in page.text
    assert "It can't fail over now. The replica of mail01 is seeding: it can't fail over now." in page.text


def test_a_group_is_made_changed_and_deleted(filled):
    store, ids = filled.store, ids_of(filled.store)
    filled.get(RACK)
    filled.click("Delete …")
    page = filled.submit(f"{RACK}/delete")
    assert (filled.path, "There is no group yet" in page.text) == (AT, True)
    assert set(ids_of(store)) == set(ids), "its replicas stay"
    filled.click("New group …")
    mail, files = f"tier-{ids['mail01']}", f"tier-{ids['files01']}"
    fields = {"name": "shop", mail: "1", files: "2", "pauses": "1=2m", "commands": "2=/bin/check 'a b'"}
    filled.submit("/ui/replicas/new-group", **fields)
    assert filled.path == f"{AT}/shop", filled.page.text
    assert members_of(store, "shop") == {"mail01": 1, "files01": 2}
    gates = store.groups.get("shop").gates
    assert (gates[1].pause, gates[2].command) == (120.0, ("/bin/check", "a b"))
    filled.click("Change …")
    form = dict(filled.page.form(f"{AT}/shop/edit").fields)
    assert (form[mail], form[files], form["pauses"], form["commands"]) == ("1", "2", "1=120s", "2=/bin/check 'a b'")
    filled.submit(f"{AT}/shop/edit", **{files: "", mail: "3", "pauses": "3=30s", "commands": ""})
    assert filled.path == f"{AT}/shop", filled.page.text
    assert members_of(store, "shop") == {"mail01": 3}
    assert {tier: gate.pause for tier, gate in store.groups.get("shop").gates.items()} == {3: 30.0}


@pytest.mark.parametrize(
    ("fields", "sentence", "at"),
    [
        ({"name": "a b"}, "A name has a to z", "name"),
        ({"name": "rack"}, "A group named rack is there already.", "name"),
        ({}, "A group needs a machine: give one the number of its tier.", None),
        ({"tier": "first"}, '"first" isn\'t the number of a tier: it is 0 to 1000.', None),
        ({"tier": "1001"}, '"1001" isn\'t the number of a tier: it is 0 to 1000.', None),
        ({"tier": "1", "pauses": "2m"}, '"2m" isn\'t the number of a tier, =, and what is after it', "pauses"),
        ({"tier": "1", "pauses": "1=1m\n01=2m"}, '"01=2m" isn\'t the number of a tier', "pauses"),
        ({"tier": "1", "pauses": "1001=2m"}, '"1001=2m" isn\'t the number of a tier', "pauses"),
        ({"tier": "1", "pauses": "1=soon"}, "'soon' isn't a length of time.", "pauses"),
        ({"tier": "1", "pauses": "7=1m"}, "There is a gate after tier 7, and no replica in that.", "pauses"),
        ({"tier": "1", "commands": "1=check 'it"}, "A quotation mark of a command isn't closed.", "commands"),
    ],
)
def test_what_cant_be_is_said_at_its_field_and_makes_nothing(filled, fields, sentence, at):
    spare = _spare(filled.store)
    filled.get("/ui/replicas/new-group")
    fields = {"name": "other", **fields}
    if "tier" in fields:
        fields[f"tier-{spare}"] = fields.pop("tier")
    elif fields["name"] != "other":
        fields[f"tier-{spare}"] = "1"
    page = filled.submit("/ui/replicas/new-group", **fields)
    assert (page.status, sentence in page.text) == (400, True), page.text
    if at:
        assert "alert" not in [of.get("role") for _tag, of in page.elements], "it is said at its field, and there alone"
        (field,) = [of for _tag, of in page.elements if of.get("name") == at]
        assert field["aria-describedby"] == f"f-{at}-help"
    kept = dict(page.form("/ui/replicas/new-group").fields)
    assert {name: kept[name] for name in fields} == fields, "nothing is lost"
    assert [one.name for one in filled.store.groups.all()] == ["rack"]


def _spare(store):
    """A replica that is in no group."""
    files = ids_of(store)["files01"]
    store.groups.leave(files)
    return files


# What it is told to do


def run_of(store):
    return store.migrations.get(rack(store).run_id)


def landings_of(store):
    return store.migrations.several([one.landing_id for one in rack(store).members])


def test_a_test_says_what_it_does_begins_and_is_stopped(filled):
    store = filled.store
    filled.get(RACK)
    page = filled.click("Test …")
    assert "Machines are made of points of all 2 replicas, tier after tier" in page.text
    assert "Its replicas say: private" in page.text
    for fields, name, sentence in (
        ({"clean_up_after": "soon"}, "clean_up_after", "'soon' isn't a length of time."),
        ({"at": "yesterday"}, "at", "That isn't a moment: write it as"),
    ):
        page = filled.submit(f"{RACK}/test", **{"clean_up_after": "", "at": "", **fields})
        assert (page.status, sentence in page.text) == (400, True), page.text
        (field,) = [of for tag, of in page.elements if tag == "input" and of.get("name") == name]
        assert (field["value"], field["aria-describedby"]) == (fields[name], f"f-{name}-help")
        assert "alert" not in [of.get("role") for _tag, of in page.elements]
    page = filled.submit(f"{RACK}/test", at="2020-01-01T00:00", clean_up_after="")
    assert "has no usable point of 2020-01-01 00:00 UTC or before." in page.text
    assert rack(store).run_id is None
    page = filled.submit(f"{RACK}/test", at="", clean_up_after="30m")
    assert (filled.path, run_of(store).request["type"]) == (RACK, "group-test"), page.text
    assert [(one.request["type"], one.request["isolated"]) for one in landings_of(store)] == [
        ("test-failover", True)
    ] * 2
    assert "Run under way" in page.text
    for action in ("Test …", "Fail over …", "Change …", "Delete …"):
        assert action not in page.links, action
    page = filled.click("Stop and undo …")
    assert "The run that is under way is stopped: no further tier begins." in page.text
    filled.submit(f"{RACK}/undo")
    assert store.migrations.cancel_requested(run_of(store).id)


def test_a_test_on_named_networks_has_its_machines_together(filled):
    filled.get(f"{RACK}/test")
    filled.submit(f"{RACK}/test", **{"becomes-1": "rehearsal"})
    asked = [(one.request["networks"], one.request["isolated"]) for one in landings_of(filled.store)]
    assert asked == [({"VM Network": "rehearsal"}, False)] * 2


def test_a_planned_failover_begins_with_the_last_tier(filled):
    filled.get(RACK)
    page = filled.click("Fail over …")
    assert "Servers take the place of these, tier after tier: mail01, files01." in page.text
    page = filled.submit(f"{RACK}/failover", at="2026-01-01T00:00")
    assert (page.status, "A planned failover makes its own points." in page.text) == (400, True)
    page = filled.submit(f"{RACK}/failover", at="")
    run = run_of(filled.store)
    assert (run.request["type"], run.state["progress"]["shuts_down"]) == ("group-failover", 2)
    assert {one.stage for one in filled.store.replicas.all()} == {Stage.PROTECTED}, "nobody's turn has come"
    assert f"/ui/migrations/{run.id}" in page.links.values()


def test_what_has_failed_over_in_part_goes_on_is_undone_or_taken_for_good(filled):
    store, ids = filled.store, ids_of(filled.store)
    filled.get(f"{RACK}/failover")
    filled.submit(f"{RACK}/failover", how="points")
    assert {one.stage for one in store.replicas.all()} == {Stage.FAILING_OVER}
    mail, files = landings_of(store)
    error = "Tier 2 can't be got up. No room."
    store.migrations.update(run_of(store).id, status="failed", phase="stopped", error=error)
    store.migrations.update(mail.id, status="done", phase="done", target_up_at=mail.created_at)
    store.migrations.update(files.id, status="failed", phase="failed", error="No room.")
    store.replicas.update(ids["mail01"], stage=Stage.FAILED_OVER.value)
    store.replicas.update(ids["files01"], stage=Stage.PROTECTED.value, failover_id=None)
    page = filled.get(RACK)
    assert "failed over in part" in page.text
    assert error in page.text
    assert "Commit …" not in page.links
    page = filled.click("Go on with the failover …")
    assert "tier after tier: files01." in page.text
    assert "The other 1 have failed over, and count as up." in page.text
    filled.submit(f"{RACK}/failover", how="points")
    assert [one.id == mail.id for one in landings_of(store)] == [True, False]
    store.migrations.update(run_of(store).id, status="done", phase="done")
    store.replicas.update(ids["files01"], stage=Stage.FAILED_OVER.value)
    page = filled.get(RACK)
    assert [action in page.links for action in ("Commit …", "Undo …", "Fail over …")] == [True, True, False]
    assert "mail01, files01" in filled.click("Undo …").text
    filled.submit(f"{RACK}/undo")
    assert {one.wish.value for one in store.replicas.all()} == {"undo"}
    for replica in ids.values():
        store.replicas.update(replica, wish=None)
    filled.get(RACK)
    assert "These servers are yours for good: mail01, files01." in filled.click("Commit …").text
    filled.submit(f"{RACK}/commit")
    assert {one.wish.value for one in store.replicas.all()} == {"commit"}


def test_where_one_cant_nothing_begins_and_the_page_says_who(filled):
    filled.store.replicas.update(ids_of(filled.store)["files01"], stage=Stage.ADOPTED.value)
    filled.get(f"{RACK}/failover")
    assert "Planned" not in filled.page.text, "nothing can be shut down at a source that isn't known"
    filled.store.replicas.update(ids_of(filled.store)["files01"], stage=Stage.MIGRATING.value)
    page = filled.submit(f"{RACK}/failover", how="points")
    assert page.status == 400
    assert "The replica of files01 is migrating: it can't fail over now." in page.text
    assert rack(filled.store).run_id is None


def test_a_reader_sees_groups_and_is_offered_nothing_that_acts(many_filled):
    reader = many_filled.logged_in("rita")
    said = [reader.get(path) for path in (AT, RACK)]
    assert all(page.status == 200 for page in said)
    for action in ("New group …", "Test …", "Fail over …", "Change …", "Delete …"):
        assert not [page for page in said if action in page.links], action
    assert reader.get("/ui/replicas/new-group").status == 403


def test_a_server_asks_for_no_commands(many_filled):
    ann, store = many_filled.logged_in("ann", "red"), many_filled.of("red")
    page = ann.get(f"{RACK}/edit")
    assert "commands" not in page.form(f"{RACK}/edit").names
    ann.submit(f"{RACK}/edit", pauses="2=30s")
    assert (ann.path, {tier: gate.pause for tier, gate in rack(store).gates.items()}) == (RACK, {2: 30.0})
