"""Commands about many machines: how far they are, how many stand how, all told the same; drafts and copies of plans."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from in_process import longshore
from longshore.engine import embedded
from longshore.model.machine import Disk
from longshore.store import NewMigration, StateDirectory, Store
from longshore.store.tables import MigrationRow

GIB = 1 << 30
PLAN = {
    "source": "vc",
    "target": "cloud",
    "machines": [{"machine": name} for name in ("app01", "app02", "db01")],
    "defaults": {"type": "warm"},
}


@pytest.fixture
def state(tmp_path, monkeypatch):
    """A plan of three machines: one is copied, one has failed, one wasn't started; nobody is at work."""
    monkeypatch.setattr(embedded, "ensure_running", lambda _state: None)
    monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: True)
    store = Store(StateDirectory(tmp_path / "state"))
    vc, cloud = (
        store.providers.add(name, kind, {}, {}).id for name, kind in (("vc", "vsphere"), ("cloud", "openstack"))
    )
    plan = store.plans.add("shop", {"name": "shop", **PLAN}).id
    disk = Disk("1", "Hard disk 1", 0, 4 * GIB, "", "ds")
    copied, failed = store.migrations.add_together(
        [
            NewMigration(name, name, vc, cloud, {"type": "warm"}, plan_id=plan, wave=1, disks=(disk,))
            for name in ("app01", "db01")
        ]
    )
    store.migrations.update(copied.id, status="running", phase="copying")
    progress = {"done": GIB, "total": 4 * GIB, "verified": 0, "to_verify": 0, "rate": float(1 << 20), "eta": 90.0}
    store.disks.update(copied.id, "1", state="copying", progress=progress)
    store.migrations.end_job(failed.id, failed.job.id, status="failed", error="It broke.", phase="rolled-back")
    store.close()
    return tmp_path / "state"


def well(state, *words):
    done = longshore(state, *words)
    assert done.returncode == 0, done.stderr
    return done


def rows(state, *words):
    return json.loads(well(state, *words, "-f", "json").stdout)


def ids(state):
    return {row["Machine"]: row["ID"] for row in rows(state, "migration", "list")}


def test_how_far_a_plans_machines_are(state):
    copied, waiting, failed = rows(state, "plan", "progress", "shop")
    assert (copied["Machine"], copied["Done"], copied["Of"], copied["Left"]) == ("app01", GIB, 4 * GIB, 90.0)
    assert (waiting["Machine"], waiting["State"], waiting["Done"]) == ("app02", "planned", None)
    assert (failed["State"], failed["Reason"]) == ("failed", "It broke.")
    assert [row["Machine"] for row in rows(state, "plan", "progress", "shop", "--name", "APP")] == ["app01", "app02"]
    assert [row["Machine"] for row in rows(state, "plan", "progress", "shop", "--status", "failed")] == ["db01"]
    refused = longshore(state, "plan", "progress", "nobody")
    assert (refused.returncode, "There is no plan named nobody" in refused.stderr) == (1, True)


def test_how_far_a_plan_and_its_waves_are(state):
    wave, whole = rows(state, "plan", "progress", "shop", "--waves")
    assert (wave["Wave"], whole["Wave"], whole["Machines"]) == (1, "all", 3)
    assert whole["States"] == {"running": 1, "planned": 1, "failed": 1}
    assert (whole["Done"], whole["Of"], whole["Rate"]) == (GIB, 8 * GIB, float(1 << 20))
    assert whole["End"]["no_forecast"] == "not-measured"
    said = well(state, "plan", "progress", "shop")
    assert "1.0 GiB of 8.0 GiB; 1.0 MiB/s; end not known yet" in said.stderr
    assert "end not known yet" in " ".join(well(state, "plan", "progress", "shop", "--waves").stdout.split())


def test_how_many_stand_how(state):
    counted = {row["Status"]: row["Migrations"] for row in rows(state, "migration", "count")}
    assert counted == {"running": 1, "failed": 1, "all": 2}
    counted = {row["Status"]: row["Migrations"] for row in rows(state, "migration", "count", "--machine", "db01")}
    assert counted == {"failed": 1, "all": 1}
    assert longshore(state, "migration", "count", "--plan", "nobody").returncode == 1


def test_each_is_told_by_itself_and_why_one_was_refused_stands_in_its_line(state):
    known = ids(state)
    done = longshore(state, "migration", "each", "cancel", known["app01"][:8], known["db01"], "-f", "json")
    assert done.returncode == 1
    assert "longshore: 1 migration was refused." in done.stderr
    first, second = json.loads(done.stdout)
    assert (first["Machine"], first["Migration"], first["Refused"]) == ("app01", known["app01"], None)
    assert (second["Requested"], second["Machine"]) == (known["db01"], None)
    assert "has ended already" in second["Refused"]
    shown = json.loads(well(state, "migration", "show", known["app01"], "-f", "json").stdout)
    assert shown["status"] == "running"
    store = Store(StateDirectory(state))
    assert store.migrations.cancel_requested(known["app01"])
    store.close()
    assert longshore(state, "migration", "each", "stop", known["app01"]).returncode == 2


def test_a_plan_is_duplicated_with_nothing_started(state):
    assert "Plan shop-2 is made." in well(state, "plan", "duplicate", "shop", "shop-2", "--description", "again").stderr
    first, second = (json.loads(well(state, "plan", "show", name, "-f", "json").stdout) for name in ("shop", "shop-2"))
    assert {row["machine"] for row in second["machines"]} == {row["machine"] for row in first["machines"]}
    assert {row["status"] for row in second["machines"]} == {"planned"}
    assert second["description"] == "again"
    for words in (("shop", "shop-2"), ("nobody", "other"), ("shop", "no name")):
        refused = longshore(state, "plan", "duplicate", *words)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1), refused.stderr
    assert [row["Name"] for row in rows(state, "plan", "list")] == ["shop", "shop-2"]


def test_a_draft_becomes_a_plan_that_stays(state):
    store = Store(StateDirectory(state))
    store.plans.add("new", {"name": "new", **PLAN}, draft="word")
    store.close()
    assert well(state, "plan", "keep", "new").stderr == "Plan new is kept.\n"
    assert well(state, "plan", "keep", "new").stderr == "Plan new is kept already.\n"
    assert longshore(state, "plan", "keep", "nobody").returncode == 1


def test_a_cutover_has_a_time_and_is_taken_back(state):
    saturday = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%dT22:00")
    id_ = ids(state)["app01"]

    def cut_over_at():
        return rows(state, "migration", "show", id_)["cutover_at"]

    for asked, one in ((("plan", "cutover", "shop"), "--ahead"), (("migration", "cutover", id_), "--plain")):
        well(state, *asked, one, "--at", saturday)
        assert cut_over_at() == f"{saturday}:00Z"
        well(state, *asked, "--take-back")
        assert cut_over_at() is None
        refused = longshore(state, *asked, "--take-back")
        assert (refused.returncode, "utover of" in refused.stderr) == (1, True)
    refused = longshore(state, "migration", "cutover", id_, "--until", saturday)
    assert (refused.returncode, "--until needs an --at" in refused.stderr) == (1, True)


def test_a_record_of_a_type_that_isnt_known_stops_no_list(state):
    store = Store(StateDirectory(state))
    with store.database.session() as session:
        odd = update(MigrationRow.__table__).where(MigrationRow.machine_name == "db01")
        session.execute(odd.values(type="teleport", request={"type": "teleport"}))
    store.close()
    for words in (("migration", "list"), ("job", "list"), ("plan", "progress", "shop"), ("plan", "list")):
        assert rows(state, *words)
    assert "db01" not in ids(state)


def test_migrations_are_listed_and_counted_by_a_part_of_a_name(state):
    assert [row["Machine"] for row in rows(state, "migration", "list", "--name", "B0")] == ["db01"]
    assert rows(state, "job", "count", "--name", "b0")[-1] == {"Status": "all", "Jobs": 1}
