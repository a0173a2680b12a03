"""What was refused is said at the field that it is about, and what was typed there stays."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from test_plans_by_hand import MAPPINGS, in_three_days, name_it, submit_timed
from test_providers_by_hand import wrong

from longshore.web.rendering import STATIC

pytestmark = pytest.mark.long

TEMPLATES = STATIC.parent / "templates"
LONG, ODD = "x" * 300, "(unclosed"
VAULT = "/ui/backups/vaults/offsite"


def said_in(page, name):
    """Return what stands in a field."""
    return [of.get("value", "") for _tag, of in page.elements if of.get("name") == name]


def refused_at(browser, action, field, told, *, button=None, **typed):
    """Send a form: it comes back with that field marked, which alone says why, and with what was typed."""
    page = browser.submit(action, button=button, **typed)
    assert page.status == 400, page.text
    assert len(wrong(page)) == 1, page.text
    ((at, sentence),) = wrong(page).items()
    assert (at, told in sentence) == (f"f-{field}", True), (at, sentence)
    assert page.text.count(sentence) == 1, "it is said once"
    assert "alert" not in [of.get("role") for _tag, of in page.elements]
    for name, text in typed.items():
        if name == field and text:
            assert text in said_in(page, name) or text in page.source, name
    return page


def app01_of(browser):
    return next(m.id for m in browser.store.migrations.all() if m.machine_name == "app01" and not m.status.ended)


def test_of_a_restore(filled):
    filled.get(f"{VAULT}?q=app01")
    filled.click("Restore …")
    at, check = filled.path, ("do", "check")
    refused_at(filled, at, "server_name", "at most 255 characters", button=check, server_name=LONG)
    page = refused_at(filled, at, "boot_mark", "regular expression", button=check, server_name="again", boot_mark=ODD)
    assert said_in(page, "server_name") == ["again"]
    assert [of for tag, of in page.elements if tag == "details" and "open" in of], "a folded field is seen"
    refused_at(filled, at, "type", "wasn't backed up from an OpenStack", button=check, boot_mark="", type="in-place")


@pytest.mark.parametrize("button", ["check", "start"])
def test_of_new_replicas(fleet, button):
    fleet.get("/ui/replicas/new?source=vc&machine=vm-1&machine=vm-3")
    typed = {"n-to": "private", "rpo": "1h"}
    page = refused_at(
        fleet, "/ui/replicas/new", "boot_mark", "regular expression", button=("do", button), boot_mark=ODD, **typed
    )
    assert (said_in(page, "rpo"), fleet.store.replicas.all()) == (["1h"], [])
    refused_at(
        fleet, "/ui/replicas/new", "retention", "now and then", button=("do", button), boot_mark="",
        retention="now and then",
    )  # fmt: skip


def test_of_a_point_that_a_replica_is_to_begin_with(filled):
    filled.get("/ui/replicas/new?source=vc&machine=vm-3")
    seed = {"seed_vault": "offsite", "seed_point": "nothing/of-it", "n-to": "private"}
    refused_at(filled, "/ui/replicas/new", "seed_point", "nothing/of-it", button=("do", "check"), **seed)
    refused_at(filled, "/ui/replicas/new", "seed_vault", "db01", button=("do", "check"), **{**seed, "seed_point": ""})


def test_of_a_conversion(filled, monkeypatch):
    monkeypatch.setattr("longshore.service.migrations.landed", lambda _migration: None)
    id_ = {m.machine_name: m.id for m in filled.store.migrations.all()}["web01"]
    filled.store.migrations.update(id_, result={"conversion": {"landed": "as-is"}})
    at = f"/ui/migrations/{id_}/convert"
    filled.get(at)
    page = refused_at(
        filled, at, "accept", "no-such-code", accept="no-such-code guest-encrypted", guest_keys="open sesame"
    )
    assert said_in(page, "accept") == ["no-such-code guest-encrypted"]
    assert "sesame" not in page.source
    page = filled.submit(at, accept="", guest_keys="k" * 5000)
    assert list(wrong(page)) == ["f-guest_keys"]
    assert "kkkk" not in page.source


PAST, AHEAD = "2020-01-01T22:00", in_three_days()


@pytest.mark.parametrize(
    ("of", "typed", "field", "told"),
    [
        ("at", {"at": PAST}, "at", "that is past"),
        ("at", {"at": "on saturday"}, "at", "That isn't a moment"),
        ("until", {"at": AHEAD, "until": PAST}, "until", "closes before it opens"),
    ],
)
@pytest.mark.parametrize("where", ["migration", "plan", "chosen"])
def test_of_the_time_of_a_cutover(filled, where, of, typed, field, told):
    app01 = app01_of(filled)
    at = {
        "migration": f"/ui/migrations/{app01}/cutover",
        "plan": "/ui/plans/shop/cutover",
        "chosen": "/ui/chosen-migrations/cutover",
    }[where]
    page = filled.get(f"{at}?migration={app01}" if where == "chosen" else at)
    heading = page.text
    page.forms = [form for form in page.forms if "at" in form.names]
    page = filled.submit(at, **typed)
    assert (page.status, list(wrong(page))) == (400, [f"f-{field}"])
    assert told in wrong(page)[f"f-{field}"]
    assert {name: said_in(page, name)[0] for name in typed}.keys() == typed.keys()
    assert [said_in(page, name)[0].removesuffix("Z") for name in typed] == list(typed.values())
    assert page.text.replace(wrong(page)[f"f-{field}"], "")[:200] == heading[:200], "the same is asked"
    assert filled.store.migrations.get(app01).request.get("cutover", {}).get("at") is None
    # Said right it is done, of the same machine
    submit_timed(filled, at, at=AHEAD)
    if "until" not in typed:
        assert filled.store.migrations.get(app01).request["cutover"]["at"]


def test_of_the_time_of_a_start(fleet):
    name_it(fleet)
    fleet.submit(MAPPINGS)
    at = "/ui/plans/shop/start"
    refused_at(fleet, at, "at", "in the future", at=PAST)
    far = f"{datetime.now(UTC) + timedelta(days=800):%Y-%m-%dT%H:%M}"
    refused_at(fleet, at, "at", "at most 366 days", at=far)
    refused_at(fleet, at, "at", "That isn't a moment", at="saturday")
    assert [one for one in fleet.store.migrations.all() if one.type.moves] == []


def test_of_a_plans_mappings(fleet):
    name_it(fleet)
    page = refused_at(fleet, MAPPINGS, "boot_port", "ssh isn't the number of a port.", boot_port="22, ssh", power="off")
    assert [of["value"] for _tag, of in page.elements if "selected" in of and of["value"] == "off"] == ["off"]
    page = refused_at(fleet, MAPPINGS, "boot_mark", "regular expression", boot_port="22", boot_mark=ODD)
    assert said_in(page, "boot_port") == ["22"]
    assert "boot_port" not in fleet.store.plans.get("shop").content["defaults"]


def test_of_a_machine_of_a_plan_and_of_its_yaml(fleet):
    name_it(fleet)
    at = "/ui/plans/shop/machines/app01"
    fleet.get(at)
    page = refused_at(fleet, at, "server_name", "at most 255 characters", server_name=LONG)
    assert "machines.0" not in page.text, "programs count machines so"
    fleet.get("/ui/plans/shop/yaml")
    page = fleet.submit("/ui/plans/shop/yaml", plan="name: [")
    assert (page.status, list(wrong(page))) == (400, ["f-plan"])
    assert "name: [" in page.source


def test_of_a_policy(filled):
    filled.get("/ui/backups/new-policy")
    at = "/ui/backups/new-policy"
    typed = {"name": "weekly", "source": "vc", "vault": "offsite"}
    refused_at(filled, at, "before", "from the root", before="play.yml", **typed)
    refused_at(filled, at, "retention", "soon", before="", retention="soon")


# Chosen from lists of what there is; and a filter's, which is wrong as a whole: that is said at the first of them
_OF_SEVERAL = {"n-to", "s-to", 'becomes-" ~ loop.index'} | {
    f"filter-{name}" for name in ("folder", "cluster", "tag", "power")
}


def test_every_field_of_a_form_can_be_marked():
    """But for those at the door, of which nobody is told which is wrong."""
    at_the_door = {"login.html", "passcode.html"}
    bare = []
    for path in sorted(TEMPLATES.rglob("*.html")):
        if path.name in at_the_door or path.parent.name == "ui":
            continue
        for call in re.findall(r"{{ ui\.(?:field|lines|select)\((.*?)\) }}", path.read_text()):
            name = call.partition(",")[0].strip('"')
            if "wrong" not in call and name not in _OF_SEVERAL:
                bare.append((path.name, name))
    assert bare == []


def test_what_a_field_takes_is_said_in_plain_words_and_in_german(filled):
    for language, said in (("en", "It is empty."), ("de", "Hier steht nichts.")):
        filled.get("/ui/providers/vc/edit", headers={"Accept-Language": language})
        form = filled.page.form("/ui/providers/vc/edit")
        sent = [(name, "" if name == "host" else value) for name, value in form.fields]
        headers = {"Accept-Language": language, "Origin": filled.origin, "Sec-Fetch-Site": "same-origin"}
        answer = filled.ask("POST", form.action, data=dict([*sent, ("do", "look")]), headers=headers)
        assert (answer.status_code, said in answer.text) == (400, True), answer.text
    filled.get("/ui/providers/vc/edit")
    refused_at(
        filled, "/ui/providers/vc/edit", "port", "It has to be 1 at least.", button=("do", "look"), host="vc", port="-1"
    )
