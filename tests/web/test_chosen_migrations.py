"""Several migrations are told the same at once; what was refused of it is said."""

import uuid
from urllib.parse import urlencode

import pytest
from asking import asking

from longshore.model.status import Status
from longshore.store.standing import standing_of

pytestmark = pytest.mark.long


def ids_of(browser):
    return {m.machine_name: m.id for m in browser.store.migrations.all()}


def chosen(browser, verb, names):
    page = browser.get("/ui/migrations")
    ids, action = ids_of(browser), f"/ui/chosen-migrations/{verb}"
    ticks = {of["value"] for tag, of in page.elements if tag == "input" and of.get("name") == "migration"}
    buttons = {of.get("formaction") for tag, of in page.elements if tag == "button"} | {f.action for f in page.forms}
    assert action in buttons
    assert ticks >= {ids[name] for name in names}
    browser.get(f"{action}?{urlencode([('migration', ids[name]) for name in names])}")
    return action


def test_chosen_migrations_are_cancelled_together(filled):
    at = chosen(filled, "cancel", ["app01", "app02"])
    assert "app01, app02" in filled.page.text
    filled.submit(at)
    assert filled.path == "/ui/migrations"
    asked = {m.machine_name for m in filled.store.migrations.all() if m.cancel_requested}
    assert asked == {"app01", "app02"}


def test_what_was_refused_is_said_and_the_rest_is_done(filled):
    at = chosen(filled, "cutover", ["app01", "db01"])
    page = filled.submit(at)
    assert "Of 1 it was done." in page.text, page.text
    assert ids_of(filled)["db01"][:8] in page.text
    assert {m.machine_name for m in filled.store.migrations.all() if m.cutover_requested} == {"app01"}
    assert "No migration is chosen" in filled.get("/ui/chosen-migrations/cancel").text


def test_what_is_still_copied_is_cut_over_only_by_a_button_of_its_own(filled):
    """app01 waits for its cutover, app02 is still copied."""

    def cut_over():
        return {m.machine_name for m in filled.store.migrations.all() if m.cutover_requested}

    at = chosen(filled, "cutover", ["app01", "app02"])
    text = filled.page.text
    assert "Only of these: app01." in text and "Not meant, since they are queued or still copied: app02." in text
    filled.submit(at)
    assert cut_over() == {"app01"}
    at = chosen(filled, "cutover", ["app02"])
    assert "Nothing waits for its cutover." in filled.page.text
    filled.submit(at)
    assert cut_over() == {"app01", "app02"}


def test_all_of_the_chosen_are_cut_over_where_that_is_said(filled):
    at = chosen(filled, "cutover", ["app01", "app02"])
    filled.submit(at, button=("ahead", "yes"))
    assert {m.machine_name for m in filled.store.migrations.all() if m.cutover_requested} == {"app01", "app02"}


def test_chosen_ones_that_failed_are_started_again(filled):
    before = ids_of(filled)
    at = chosen(filled, "retry", ["db01", "app02"])
    page = filled.submit(at)
    assert "app02 hasn't failed: it is running." in page.text, page.text
    (again,) = [m for m in filled.store.migrations.all() if m.machine_name == "db01" and m.id != before["db01"]]
    assert again.status is Status.QUEUED


def test_where_none_can_be_chosen_there_is_nothing_to_choose_by(filled):
    page = filled.get("/ui/migrations?status=done")
    assert "web01" in page.text
    assert "Choose" not in page.text and not [f for f in page.forms if f.action == "/ui/chosen-migrations/retry"]
    assert "Choose" in filled.get("/ui/migrations").text


def test_each_answers_for_itself(filled, monkeypatch):
    ids = ids_of(filled)
    with asking(filled.store, monkeypatch) as ask:

        def codes(verb, *chosen):
            answers = ask("POST", f"/v1/migrations/{verb}", {"ids": list(chosen)}).json()
            assert [answer["id"] for answer in answers] == list(dict.fromkeys(chosen))
            return [answer["error"] and answer["error"]["code"] for answer in answers]

        assert codes("cancel", ids["app01"], str(uuid.uuid4()), ids["app01"]) == [None, "not-found"]
        assert codes("retry", ids["web01"], ids["db01"], "") == ["conflict", None, "not-found"]
        assert codes("retry", ids["db01"]) == ["conflict"], "started again already"
        assert codes("resume", ids["web01"], ids["app02"]) == ["conflict", None]
        assert ask("POST", "/v1/migrations/cancel", {"ids": []}).status_code == 400


def test_how_many_there_are_is_told_by_how_they_stand(filled, monkeypatch):
    everything = filled.store.migrations.all()
    for kind, records in (("job", everything), ("migration", [m for m in everything if m.type.moves])):
        stands = [standing_of(m).value for m in records]
        page = filled.get(f"/ui/{kind}s")
        assert f"{stands.count('running')} running" in page.text
        assert f"{stands.count('failed')} failed" in page.text
        with asking(filled.store, monkeypatch) as ask:
            told = ask("GET", f"/v1/{kind}-counts").json()
            assert (told["total"], told["statuses"]) == (len(stands), {one: stands.count(one) for one in stands})
    with asking(filled.store, monkeypatch) as ask:
        of_plan = [m for m in filled.store.migrations.all() if m.plan_id]
        assert ask("GET", "/v1/migration-counts?plan=shop").json()["total"] == len(of_plan)
        assert ask("GET", "/v1/migration-counts?machine=db01&plan=shop").json()["total"] == 1
        assert ask("GET", "/v1/migration-counts?plan=nobody").status_code == 404


def test_a_machine_is_found_by_a_part_of_its_name_and_by_its_reference(filled):
    def found(q):
        page = filled.get(f"/ui/migrations?q={q}")
        return {name for name in ids_of(filled) if name in page.links}

    assert found("APP0") >= {"app01", "app02"}
    assert "db01" not in found("APP0")
    assert found("vm-2") == {"app02"}
    assert found("100%") == set()
