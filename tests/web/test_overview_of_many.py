"""The overview of a large move: all of it is counted, and nothing is said of a part as if it were the whole."""

from contextlib import contextmanager

import pytest
from asking import asking
from browser import Browser
from sqlalchemy import event, update

from longshore.store.tables import JobRow, MigrationRow
from queued import queue_migration

pytestmark = pytest.mark.long


@contextmanager
def counted(store):
    """Count what the database is asked meanwhile."""
    asked = []

    def note(_connection, _cursor, statement, *_more):
        asked.append(statement)

    event.listen(store.database.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(store.database.engine, "before_cursor_execute", note)


def machines(page):
    return {said for said in page.links if said.startswith("srv-")}


def test_all_that_waits_and_all_that_failed_last_is_told_above_what_runs(crowded):
    plans, heading, text = crowded.get("/ui/").text.partition("Waits for you")
    assert "datacentre" in plans
    text = heading + text
    order = ["Waits for you 30 waits for cutover", "warm srv-0001 vc → cloud Cut over …", "12 of 30 waits for cutover"]
    order += ["Failed 5 failed at the last try", "warm srv-0055", "Under way 40 under way", "20 of 40 under way"]
    order += ["Queued 300 queued", "Done last", "20 done"]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    listed = machines(crowded.page)
    assert {f"srv-{n:04d}" for n in range(1, 13)} <= listed, "those that wait longest"
    assert {f"srv-{n:04d}" for n in range(51, 56)} <= listed
    done_since = [name for name in listed if "srv-0031" <= name <= "srv-0050"]
    assert len(done_since) == 5, "as what was done last, and not as failed"


@pytest.mark.parametrize(
    ("state", "count"), [("waits-for-cutover", 30), ("failed-last", 5), ("under-way", 40), ("queued", 300)]
)
def test_what_is_not_shown_there_stands_in_the_list_that_it_leads_to(crowded, state, count):
    crowded.get("/ui/")
    at = f"/ui/jobs?status={state}"
    leads_to = {attributes.get("href") for tag, attributes in crowded.page.elements if tag == "a"}
    assert at in leads_to or count <= 12
    listed = set()
    crowded.get(at)
    while True:
        listed |= machines(crowded.page)
        if "Older" not in crowded.page.links:
            break
        crowded.click("Older")
    assert len(listed) == count


def test_the_database_is_not_asked_for_each(crowded):
    with counted(crowded.store) as asked:
        crowded.get("/ui/")
    assert len(asked) < 60, asked


def test_a_page_on_which_nothing_runs_is_live_too(store):
    page = Browser(store).opened().get("/ui/")
    assert [attributes.get("data-refresh") for tag, attributes in page.elements if tag == "main"] == ["3"]


def test_a_state_is_the_same_in_lists_counts_filters_and_the_plan(crowded):
    assert "30 waits for cutover" in crowded.get("/ui/migrations").text
    assert "40 running" in crowded.page.text
    plan = crowded.get("/ui/plans/datacentre?status=waits-for-cutover")
    assert "1–30 of 30" in plan.text
    assert "30 waits for cutover" in plan.text
    assert "30 waits for cutover" in crowded.get("/ui/plans").text


def add(store, name, type_="cold", **fields):
    vc, cloud = store.providers.get("vc"), store.providers.get("cloud")
    request = {"type": type_, "networks": {"VM Network": "private"}}
    made = queue_migration(
        store.migrations,
        machine_name=name,
        machine_ref=f"r-{name}",
        source_id=vc.id,
        target_id=cloud.id,
        request=request,
    )
    store.migrations.update(made.id, **fields)
    return made.id


def test_what_failed_is_seen_and_taken_away_with_earlier_tries_that_failed(fleet):
    failed = {"status": "failed", "phase": "rolled-back", "error": "The host doesn't answer."}
    for type_ in ("dry-run", "cold", "cold"):
        add(fleet.store, "web", type_, **failed)
    kept = add(fleet.store, "db", "backup", **failed)
    page = fleet.get("/ui/")
    assert "2 failed at the last try" in page.text
    assert page.text.count("The host doesn't answer.") == 2
    assert "failed backup db" in page.text
    last = next(m.id for m in reversed(fleet.store.migrations.all()) if m.machine_name == "web")
    fleet.get(f"/ui/migrations/{last}/delete")
    fleet.submit(f"/ui/migrations/{last}/delete")
    assert fleet.path == "/ui/"
    assert "1 failed at the last try" in fleet.page.text
    assert [m.id for m in fleet.store.migrations.all()] == [kept]


def test_a_dry_run_is_rehearsed_and_hides_no_move_that_failed(fleet):
    error = "The host doesn't answer."
    add(fleet.store, "web", "cold", status="failed", phase="rolled-back", error=error)
    add(fleet.store, "web", "dry-run", status="done", phase="done")
    add(fleet.store, "db", "dry-run", status="failed", phase="rolled-back", error=error)
    add(fleet.store, "db", "cold", status="done", phase="done")
    text = fleet.get("/ui/").text
    assert "failed cold web" in text
    assert "rehearsed dry-run web" in text
    assert "done cold db" in text
    assert "1 failed at the last try" in text, "what was moved needs no dry run any more"


def test_what_nobody_runs_waits_for_you_and_is_not_under_way(fleet, monkeypatch):
    add(fleet.store, "web", status="running", phase="copying")
    assert "Under way 1 under way" in fleet.get("/ui/").text
    monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: False)
    text = fleet.get("/ui/").text
    assert "Waits for you 1 run by nobody interrupted cold web" in text
    assert "Nothing is running it. Go on now" in text
    assert "Under way" not in text
    assert "web" in fleet.get("/ui/jobs?status=astray").text


def test_what_failed_is_started_again_from_there(filled):
    filled.get("/ui/")
    filled.submit("/ui/chosen-migrations/retry")
    assert filled.path == "/ui/"
    assert "1 queued" in filled.page.text
    assert "failed warm db01" not in filled.page.text


def test_what_failed_without_a_plan_is_started_again_too(fleet):
    id_ = add(fleet.store, "app01", status="failed", phase="rolled-back", error="The host doesn't answer.")
    with fleet.store.database.session() as session:
        session.execute(update(MigrationRow).where(MigrationRow.id == id_).values(machine_ref="vm-1"))
    fleet.get(f"/ui/migrations/{id_}")
    fleet.submit("/ui/chosen-migrations/retry")
    text = fleet.get("/ui/").text
    assert "1 queued" in text
    assert "failed at the last try" not in text


def test_each_plan_has_a_row_with_what_is_copied_and_until_when(crowded):
    text = crowded.get("/ui/").text
    assert text.index("datacentre 1000 ") < text.index("Waits for you")
    row = text[text.index("datacentre 1000") : text.index("Waits for you")]
    for said in ("30 waits for cutover", "20 done", "5 failed", "40 running", "300 queued", "605 planned"):
        assert said in row
    assert "2.7 TiB of 15.4 TiB, 1.2 GiB/s" in row
    assert "wave 1 copied about" in row
    assert "end not known: an earlier wave is to be cut over first" in row
    waves = crowded.get("/ui/plans/datacentre").text
    first = waves[waves.index("1249 30 waits for cutover") :]
    assert "copied about" in first[: first.index("give or take")]


def test_a_plan_that_is_kept_for_saturday_is_there(fleet):
    plan = {"name": "saturday", "source": "vc", "target": "cloud", "machines": [{"machine": "app01", "ref": "vm-1"}]}
    fleet.store.plans.add("saturday", plan)
    fleet.store.plans.add("draft", {**plan, "name": "draft"}, draft="a-word-of-mine")
    page = fleet.get("/ui/")
    assert "saturday 1 1 planned" in page.text
    assert page.links["saturday"] == "/ui/plans/saturday"
    assert "Nothing has been moved yet" not in page.text
    assert "draft" not in page.links


def test_of_very_many_plans_it_is_said_how_many_there_are(fleet):
    for n in range(12):
        plan = {"name": f"plan{n}", "source": "vc", "target": "cloud", "machines": [{"machine": "app01"}]}
        fleet.store.plans.add(plan["name"], plan)
    assert "10 of 12 all of them" in fleet.get("/ui/").text


def test_what_is_queued_says_what_it_is_behind(crowded):
    said = "Wave 1 goes first: this one begins when all of it has ended."
    assert said in crowded.get("/ui/plans/datacentre?q=srv-0399").text
    assert said not in crowded.get("/ui/plans/datacentre?q=srv-0200").text
    assert said in crowded.get("/ui/jobs?status=queued").text


def test_what_a_plan_needs_of_a_person_comes_first_and_is_known_from_all_of_its_machines(crowded):
    page = crowded.get("/ui/plans/datacentre?q=srv-09")
    assert "30 waits for cutover 5 failed 40 running 300 queued 605 planned 20 done" in page.text
    (cut_over,) = [one for tag, one in page.elements if tag == "a" and one.get("href", "").endswith("/cutover")]
    assert "pf-m-primary" in cut_over["class"], "though nothing that is shown waits"


def test_what_is_told_as_broken_off_is_what_lists_call_interrupted(filled, monkeypatch):
    monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: False)
    with asking(filled.store, monkeypatch) as ask:
        interrupted = {one["id"] for one in ask("GET", "/v1/jobs").json() if one["interrupted"]}
        assert {one["id"] for one in ask("GET", "/v1/jobs?astray=true").json()} == interrupted
        assert ask("GET", "/v1/job-counts?astray=true").json()["total"] == len(interrupted) > 2


def test_what_no_living_worker_can_take_waits_for_you_while_others_run(fleet):
    for name, version in (("web", "0"), ("db", None)):
        id_ = add(fleet.store, name, status="running", phase="copying")
        with fleet.store.database.session() as session:
            session.execute(update(JobRow).where(JobRow.record_id == id_).values(flow_version=version))
    text = fleet.get("/ui/").text
    assert "Waits for you 1 run by nobody stranded cold web" in text
    assert "It was begun under flow version 0" in text
    assert "Under way 1 under way" in text
    under_way = text[text.index("Under way") :]
    assert ("cold db" in under_way, "cold web" in under_way, "1 of" in under_way) == (True, False, False)


def test_a_plan_goes_on_though_nothing_that_is_shown_of_it_was_broken_off(crowded, monkeypatch):
    at = "/ui/plans/datacentre"
    assert f"{at}/resume" not in [form.action for form in crowded.get(f"{at}?q=srv-09").forms]
    monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: False)
    assert f"{at}/resume" in [form.action for form in crowded.get(f"{at}?q=srv-09").forms]


def test_an_empty_overview_says_what_this_is_and_offers_every_kind_of_source(store):
    page = Browser(store).opened().get("/ui/")
    assert "Longshore moves virtual machines from vSphere, another OpenStack or files" in page.text
    assert page.links["Add machines in files"] == "/ui/providers/new/files"
