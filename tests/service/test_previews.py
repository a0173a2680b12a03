"""Previews over REST and by the command: when a schedule comes, and what rules would keep; nothing is changed."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from asking import asking

from filled import fill
from in_process import longshore
from longshore.store import StateDirectory, Store

AT = "/v1/schedules/preview"


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """Yield a store with a policy called nightly, which has three points, and two replicas; and the API over it."""
    with pytest.MonkeyPatch.context() as patch:
        store = Store(StateDirectory(tmp_path_factory.mktemp("previews") / "state"))
        store.providers.add("vc", "vsphere", {}, {"password": "x"})
        store.providers.add("cloud", "openstack", {}, {"password": "x"})
        ids = fill(store)
        with asking(store, patch) as ask:
            yield store, ids, ask
        store.close()


def at(moment):
    return datetime.fromisoformat(moment)


def test_next_runs_are_told_by_the_clock_that_the_schedule_means(filled):
    _store, _ids, ask = filled
    seen = ask("POST", AT, {"schedule": "weekly saturday 22:00 Europe/Berlin"}).json()
    assert (len(seen["next"]), seen["zone"], seen["exact"]) == (10, "Europe/Berlin", True)
    moments = [at(moment) for moment in seen["next"]]
    assert {moment.weekday() for moment in moments} == {5}
    assert {moment.hour for moment in moments} <= {20, 21}, "summer or winter"
    assert moments[0] > datetime.now(UTC)
    assert (seen["later"], seen["points"]) == (None, None)


def test_what_each_record_does_at_times_of_its_own_is_called_an_example_until_there_is_one(filled):
    _store, ids, ask = filled
    assert ask("POST", AT, {"schedule": "every 6h"}).json()["exact"] is False
    assert ask("POST", AT, {"schedule": "daily 02:00 UTC spread 1h"}).json()["exact"] is False
    assert ask("POST", AT, {"schedule": "every 6h", "replica": ids["replica"]}).json()["exact"] is True
    often = ask("POST", AT, {"schedule": "continuous", "rpo": "30m"}).json()
    first, second = (at(moment) for moment in often["next"][:2])
    assert second - first == timedelta(minutes=15)


def test_rules_are_seen_a_year_ahead(filled):
    _store, _ids, ask = filled
    asked = {"schedule": "daily 02:00 UTC", "retention": "last 2, monthly 3"}
    later = ask("POST", AT, asked).json()["later"]
    assert later["runs"] == 400
    assert len(later["kept"]) in (4, 5), "two, and of the months before this one two; the newest may be both"
    assert later["kept"][0]["moment"] == later["at"]
    assert "last 2: number 1" in later["kept"][0]["reasons"]
    months = {one["moment"][:7] for one in later["kept"]}
    assert len(months) == 3


def test_points_of_a_policy_are_judged_by_rules_that_it_has_not_got(filled):
    store, _ids, ask = filled
    asked = {"schedule": "daily 02:00 UTC", "policy": "nightly"}
    points = ask("POST", AT, {**asked, "retention": "last 1"}).json()["points"]
    assert [bool(point["reasons"]) for point in points] == [True, False, False]
    assert {point["machine_name"] for point in points} == {"app01"}
    more = ask("POST", AT, {**asked, "retention": "last 9"}).json()["points"]
    assert all(point["reasons"] for point in more)
    assert store.backup_policies.get("nightly").retention == "last 2, zone UTC"


def test_points_of_a_replica_are_judged_too(filled):
    _store, ids, ask = filled
    asked = {"schedule": "every 15m", "retention": "last 2", "replica": ids["replica"]}
    points = ask("POST", AT, asked).json()["points"]
    assert [point["name"] for point in points] == ["5", "4", "3", "2", "1"]
    assert [bool(point["reasons"]) for point in points] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"schedule": "now and then"}, "schedule"),
        ({"schedule": "every 6h", "retention": "first 3"}, "retention"),
        ({"schedule": "continuous", "policy": "nightly"}, "schedule"),
        ({"schedule": "continuous", "rpo": "soon"}, "rpo"),
    ],
)
def test_what_cannot_be_meant_is_told_with_its_field(filled, asked, field):
    _store, _ids, ask = filled
    refused = ask("POST", AT, asked)
    assert (refused.status_code, refused.json()["field"]) == (400, field)


def test_the_command_tells_days_of_the_week_and_what_goes(filled):
    store, _ids, _ask = filled
    words = ("schedule", "preview", "weekly sunday 02:00 Europe/Berlin", "--keep", "last=1", "--policy", "nightly")
    done = longshore(store.state.root, *words, "-f", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    runs = [row for row in rows if row["What"] == "next run"]
    assert len(runs) == 10
    assert all(row["There"].startswith("Sunday 2") and " 02:00 CE" in row["There"] for row in runs)
    assert [row["What"] for row in rows if row["Point"]] == ["stays", "goes", "goes"]
    assert next(row["Why"] for row in rows if row["What"] == "goes") == "no rule keeps it"
