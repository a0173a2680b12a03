"""Starts of plans at a time: told in lists, begun by nobody before, taken back; and no cutover hastens one."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from asking import asking
from sqlalchemy import update
from test_plans_by_hand import moves_of, name_it

from in_process import longshore
from longshore.store.queue import Lineup
from longshore.store.tables import JobRow, utc_now

pytestmark = pytest.mark.long

SATURDAY = (datetime.now(UTC) + timedelta(days=3)).replace(second=0, microsecond=0)
AT = SATURDAY.isoformat().replace("+00:00", "Z")
PLAN = "/v1/plans/shop"


@pytest.fixture
def shop(fleet):
    """Yield a browser whose store has a plan of two machines, nothing of which was started."""
    name_it(fleet, type="warm")
    fleet.submit("/ui/plans/shop/mappings")
    return fleet


@pytest.fixture
def ask(shop, monkeypatch):
    with asking(shop.store, monkeypatch) as ask:
        yield ask


def due(store):
    """Return the machines that a worker may begin now."""
    with store.database.session() as session:
        ids = {one.record_id for one in Lineup(session, ()).waiting(10)}
    return sorted(one.machine_name for one in store.migrations.all() if one.id in ids)


def test_nothing_begins_before_its_time_and_lists_say_when_it_does(shop, ask):
    started = ask("POST", f"{PLAN}/start", {"at": AT})
    assert started.status_code == 202, started.text
    assert due(shop.store) == []
    behind = {"what": "time", "at": AT}
    for one in ask("GET", "/v1/migrations?short=true").json():
        assert one["status"] == "queued"
        assert {name: value for name, value in one["queued_behind"].items() if value is not None} == behind
    states = ask("GET", f"{PLAN}/states").json()
    assert (states["figures"]["begins_at"], states["figures"]["no_forecast"]) == (AT, "begins-later")
    assert {one["queued_behind"]["at"] for one in states["machines"]} == {AT}
    assert ask("POST", f"{PLAN}/start", {}).status_code == 409, "they are on their way"
    with shop.store.database.session() as session:
        session.execute(update(JobRow).values(due_at=utc_now() - timedelta(seconds=1)))
    assert due(shop.store) == ["app01", "db01"]
    states = ask("GET", f"{PLAN}/states").json()
    assert states["figures"]["begins_at"] is None
    assert [one["queued_behind"] for one in states["machines"]] == [None, None]


def test_a_start_is_taken_back_until_its_time_comes(shop, ask):
    assert ask("DELETE", f"{PLAN}/start").status_code == 409
    ask("POST", f"{PLAN}/start", {"at": AT})
    assert ask("DELETE", f"{PLAN}/start?machine=app01").json() == ["app01"]
    assert [one.machine_name for one in moves_of(shop)] == ["db01"]
    states = {one["machine"]: one["status"] for one in ask("GET", f"{PLAN}/states").json()["machines"]}
    assert states == {"app01": "planned", "db01": "queued"}
    with shop.store.database.session() as session:
        session.execute(update(JobRow).values(due_at=utc_now() - timedelta(seconds=1)))
    assert ask("DELETE", f"{PLAN}/start").status_code == 409, "its time has come: it is cancelled, if at all"
    assert [one.machine_name for one in moves_of(shop)] == ["db01"]


def test_what_was_started_without_a_time_is_never_taken_back_so(shop, ask):
    ask("POST", f"{PLAN}/start", {})
    assert ask("DELETE", f"{PLAN}/start").status_code == 409
    assert len(moves_of(shop)) == 2


def test_a_cutover_that_is_asked_for_ahead_begins_nothing_before_its_time(shop, ask):
    ask("POST", f"{PLAN}/start", {"at": AT})
    assert ask("POST", f"{PLAN}/cutover?ahead=true").status_code == 202
    assert due(shop.store) == []
    assert ask("POST", f"{PLAN}/cutover?ahead=true", {"at": AT}).status_code == 202
    assert ask("DELETE", f"{PLAN}/cutover").status_code == 202
    assert due(shop.store) == []


@pytest.mark.parametrize("at", ["2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z"])
def test_a_time_that_is_past_or_far_off_starts_nothing(shop, ask, at, monkeypatch):
    # No machine is looked at for it
    monkeypatch.setattr("longshore.service.plans.examine_plan", None)
    refused = ask("POST", f"{PLAN}/start", {"at": at})
    assert (refused.status_code, refused.json()["field"]) == (400, "at")
    assert moves_of(shop) == []


def test_pages_ask_for_a_time_and_take_it_back(shop):
    shop.get("/ui/plans/shop/concerns")
    page = shop.submit("/ui/plans/shop/start", at=f"{SATURDAY:%Y-%m-%dT%H:%M}")
    assert shop.path == "/ui/plans/shop", page.text
    told = f"{SATURDAY:%Y-%m-%d %H:%M} UTC"
    assert f"begins {told}" in page.text
    assert page.text.count(f"Begins {told}") == 2
    assert f"Begins {told}" in shop.get("/ui/migrations").text
    assert f"begins {told}" in shop.get("/ui/").text
    shop.get("/ui/plans/shop")
    page = shop.submit("/ui/plans/shop/take-start-back")
    assert "2 planned" in page.text
    assert moves_of(shop) == []


def test_commands_start_at_a_time_and_take_it_back(shop):
    def run(*words):
        return longshore(shop.store.state.root, "plan", *words)

    done = run("start", "shop", "--at", AT, "-f", "json")
    assert done.returncode == 0, done.stderr
    assert AT in done.stderr
    assert due(shop.store) == []
    assert f"begins {SATURDAY:%Y-%m-%d %H:%M} UTC" in run("progress", "shop").stderr
    done = run("start", "shop", "--take-back", "-f", "json")
    assert [row["Machine"] for row in json.loads(done.stdout)] == ["app01", "db01"]
    assert run("start", "shop", "--take-back").returncode == 1
