"""A plan and its waves, added up: what is copied, how fast, and until when it takes."""

from datetime import timedelta

import pytest
from asking import asking

from longshore.model.machine import Disk
from longshore.store import NewMigration, StateDirectory, Store
from longshore.store.tables import utc_now

GIB = 1 << 30


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: True)
    store = Store(StateDirectory(tmp_path / "state"))
    for name, kind in (("vc", "vsphere"), ("cloud", "openstack")):
        store.providers.add(name, kind, {}, {})
    yield store
    store.close()


def planned(store, waves, name="shop"):
    machines = [{"machine": f"m{n}", "ref": f"vm-{n}", "wave": wave} for n, wave in enumerate(waves)]
    return store.plans.add(name, {"name": name, "source": "vc", "target": "cloud", "machines": machines})


def begun(store, plan, n, wave=1, kind="cold", **fields):
    """Start machine `n` of the plan, which has 40 GiB, an hour ago."""
    (made,) = store.migrations.add_together(
        [
            NewMigration(
                machine_name=f"m{n}",
                machine_ref=f"vm-{n}",
                source_id=store.providers.get("vc").id,
                target_id=store.providers.get("cloud").id,
                request={"type": kind},
                plan_id=plan.id,
                wave=wave,
                disks=(Disk("1", "Hard disk 1", 0, 40 * GIB, "", "ds"),),
            )
        ]
    )
    started = {"started_at": utc_now() - timedelta(hours=1)} if fields else {}
    store.migrations.update(made.id, **started, **fields)
    if fields.get("status") == "done" or fields.get("phase") == "waiting":
        store.disks.update(made.id, "1", state="done")
    if fields.get("phase") == "copying":  # half of what its disk holds, which is a quarter of its size
        progress = {"done": 5 * GIB, "total": 10 * GIB, "verified": 0, "to_verify": 0, "rate": GIB / 360, "eta": 1800.0}
        store.disks.update(made.id, "1", state="copying", progress=progress)
    return made.id


def told(ask, name="shop"):
    answer = ask("GET", f"/v1/plans/{name}/states").json()
    return answer["figures"], answer["waves"]


def test_a_plan_and_its_waves_are_added_up(store, monkeypatch):
    plan = planned(store, [1, 1, 1, 2])
    begun(store, plan, 0, status="done", phase="done")
    begun(store, plan, 1, status="running", phase="copying")
    begun(store, plan, 2)
    with asking(store, monkeypatch) as ask:
        whole, waves = told(ask)
    assert whole["states"] == {"done": 1, "running": 1, "queued": 1, "planned": 1}
    assert (whole["bytes_done"], whole["bytes_total"]) == (60 * GIB, 120 * GIB)
    assert whole["bytes_per_second"] == pytest.approx(GIB / 360)
    assert (whole["until_cutover"], whole["no_forecast"]) == (False, None)
    assert whole["give_or_take"] > 0
    assert [(one["wave"], one["machines"], one["bytes_total"]) for one in waves] == [(1, 3, 120 * GIB), (2, 1, 0)]
    assert waves[1]["done_at"] is None


def test_until_when_is_not_known_before_anything_was_measured(store, monkeypatch):
    plan = planned(store, [1])
    with asking(store, monkeypatch) as ask:
        assert told(ask)[0]["no_forecast"] is None, "nothing is under way"
        begun(store, plan, 0)
        assert told(ask)[0]["no_forecast"] == "not-measured"


def test_a_wave_behind_one_that_a_person_cuts_over_has_no_forecast_and_copies_are_told_as_such(store, monkeypatch):
    plan = planned(store, [1, 1, 2])
    begun(store, plan, 0, kind="warm", status="running", phase="waiting")
    begun(store, plan, 1, kind="warm", status="running", phase="copying")
    begun(store, plan, 2, wave=2, kind="warm")
    with asking(store, monkeypatch) as ask:
        whole, (first, second) = told(ask)
    assert (whole["no_forecast"], second["no_forecast"]) == ("cutover-first", "cutover-first")
    assert first["done_at"] is not None
    assert first["until_cutover"]
    assert (first["bytes_done"], first["bytes_total"]) == (60 * GIB, 80 * GIB)
    assert (whole["at_work"]["wave"], whole["at_work"]["done_at"]) == (1, first["done_at"])
    assert second["at_work"] is None


def test_plans_that_are_not_all_moved_are_listed_by_themselves(store, monkeypatch):
    stories = ("over", "cold", "done"), ("rehearsed", "dry-run", "done"), ("broken", "cold", "failed")
    for name, kind, status in stories:
        begun(store, planned(store, [1], name), 0, kind=kind, status=status)
    planned(store, [1], "saturday")
    store.plans.add("draft", {"name": "draft", "source": "vc", "target": "cloud"}, draft="a-word-of-mine")
    with asking(store, monkeypatch) as ask:
        found = ask("GET", "/v1/plans?unmoved=true&figures=true").json()
        assert [one["name"] for one in found] == ["broken", "rehearsed", "saturday"]
        assert [one["figures"]["states"] for one in found] == [{"failed": 1}, {"rehearsed": 1}, {"planned": 1}]
        assert all(one["figures"] is None for one in ask("GET", "/v1/plans").json())
