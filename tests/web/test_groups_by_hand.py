"""Groups of replicas as somebody uses them who has links and forms and nothing else."""

import pytest

from longshore.model.replica import Stage

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
    assert "mail01: The newest usable point is 1h15m old, and 1h were asked for." in page.text
    page = filled.click("rack")
    assert "a pause of 2 min 0 s" in page.text
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
        ({"name": "a b"}, "name: ", "name"),
        ({"name": "rack"}, "A group named rack is there already.", "name"),
        ({}, "A group needs a machine: give one the number of its tier.", None),
        ({"tier": "first"}, '"first" isn\'t the number of a tier: it is 0 to 1000.', None),
        ({"tier": "1001"}, '"1001" isn\'t the number of a tier: it is 0 to 1000.', None),
        ({"tier": "1", "pauses": "2m"}, '"2m" isn\'t the number of a tier, =, and what is after it', "pauses"),
        ({"tier": "1", "pauses": "1=1m\n01=2m"}, '"01=2m" isn\'t the number of a tier', "pauses"),
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
