"""How far a plan's machines are, told some at a time, with figures, or only what has changed."""

import time

import pytest
from asking import asking

from longshore.engine.worker import identity
from longshore.model.machine import Disk
from longshore.store import Leases, NewMigration, Store

GIB = 1 << 30
AT = "/v1/plans/shop/states"


@pytest.fixture
def store(each_state, monkeypatch):
    """With somebody at work."""
    monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: True)
    store = Store(each_state)
    if each_state.shared_database:
        Leases(store.database, identity(4), 600).take()
    yield store
    store.close()


@pytest.fixture
def ids(store):
    """A plan of three machines, two of which are under way."""
    vc, cloud = (
        store.providers.add(name, kind, {}, {}).id for name, kind in (("vc", "vsphere"), ("cloud", "openstack"))
    )
    machines = [{"machine": name, "ref": f"vm-{n}"} for n, name in enumerate(("app01", "app02", "db01"), start=1)]
    plan = {"name": "shop", "source": "vc", "target": "cloud", "machines": machines}
    record = store.plans.add("shop", plan)
    made = store.migrations.add_together(
        [
            NewMigration(
                machine_name=name,
                machine_ref=ref,
                source_id=vc,
                target_id=cloud,
                request={"type": "warm"},
                plan_id=record.id,
                wave=1,
                disks=tuple(Disk(str(n), f"Hard disk {n}", n, 40 * GIB, "", "ds") for n in (1, 2)),
            )
            for name, ref in (("app01", "vm-1"), ("db01", "vm-3"))
        ]
    )
    return {m.machine_name: m.id for m in made}


def copying(store, id_, key, done, rate, eta):
    progress = {"done": done, "total": 40 * GIB, "verified": 0, "to_verify": 0, "rate": rate, "eta": eta}
    store.disks.update(id_, key, state="copying", progress=progress)


def test_what_is_copied_is_told_in_figures_of_all_disks(store, ids, monkeypatch):
    store.migrations.update(ids["app01"], status="running", phase="copying")
    copying(store, ids["app01"], "1", 10 * GIB, 1000.0, 60.0)
    copying(store, ids["app01"], "2", 5 * GIB, 500.0, 90.0)
    with asking(store, monkeypatch) as ask:
        told = ask("GET", AT).json()
        app01, app02, db01 = told["machines"]
        assert (app01["bytes_done"], app01["bytes_total"], app01["seconds_left"]) == (15 * GIB, 80 * GIB, 90.0)
        assert (app01["bytes_per_second"], [d["key"] for d in app01["disks"]]) == (1500.0, ["1", "2"])
        assert (app02["status"], app02["migration"], app02["bytes_done"]) == ("planned", None, None)
        assert (db01["status"], db01["disks"]) == ("queued", [])
        assert told["plan"]["states"] == {"running": 1, "planned": 1, "queued": 1}
        assert (told["total"], told["startable"], told["may_cut_over"]) == (3, 1, 2)
        part = ask("GET", f"{AT}?q=APP&limit=1&offset=1").json()
        assert ([m["machine"] for m in part["machines"]], part["total"]) == (["app02"], 2)
        assert [m["machine"] for m in ask("GET", f"{AT}?status=queued").json()["machines"]] == ["db01"]
        store.migrations.update(ids["db01"], status="running", phase="waiting")
        assert [m["waits_for_cutover"] for m in ask("GET", AT).json()["machines"]] == [False, False, True]


def test_only_what_waits_is_cut_over_and_the_rest_when_it_is_asked_for_ahead(store, ids, monkeypatch):
    store.migrations.update(ids["app01"], status="running", phase="copying")
    cutover = "/v1/plans/shop/cutover"
    with asking(store, monkeypatch) as ask:

        def cut_over(question=""):
            answer = ask("POST", f"{cutover}{question}")
            return [one["machine_name"] for one in answer.json()] if answer.is_success else answer.json()["message"]

        assert "2 are queued, still copied, cut over already, or" in cut_over()
        store.migrations.update(ids["db01"], status="running", phase="waiting")
        assert "waits for its cutover" in cut_over("?machine=app01")
        assert cut_over() == ["db01"]
        assert not store.migrations.get(ids["app01"]).cutover_requested
        assert "waits for its cutover" in cut_over(), "it was asked for already"
        assert cut_over("?machine=app01&ahead=true") == ["app01"]
        assert cut_over("?wave=7").startswith("Plan shop has no wave 7.")


def test_only_what_has_changed_is_told(store, ids, monkeypatch):
    monkeypatch.setattr("longshore.service.plan_states._COMMITS_WITHIN", 0.0)
    with asking(store, monkeypatch) as ask:

        def changed(until):
            answer = ask("GET", f"{AT}?changed_since={until}").json()
            return [m["machine"] for m in answer["machines"]], answer["until"]

        until = ask("GET", AT).json()["until"]
        names, until = changed(until)
        assert names == []
        time.sleep(0.01)  # the clock's own step
        store.migrations.update(ids["db01"], phase="copying")
        names, until = changed(until)
        assert names == ["db01"]
        time.sleep(0.01)
        copying(store, ids["app01"], "1", GIB, 1.0, None)
        names, until = changed(until)
        assert names == ["app01"]
        time.sleep(0.01)
        assert changed(until)[0] == []
        assert changed("2020-01-01T00:00:00Z")[0] == ["app01", "db01"]
        assert ask("GET", f"{AT}?changed_since={until}&status=done").status_code == 400
        assert ask("GET", f"{AT}?changed_since=yesterday").status_code == 400


def test_whose_machine_is_off_is_told_again_for_how_long(store, ids, monkeypatch):
    monkeypatch.setattr("longshore.service.plan_states._COMMITS_WITHIN", 0.0)
    store.migrations.update(ids["app01"], status="running", phase="last-sync")
    store.migrations.stamp(ids["app01"], "source_off_at")
    with asking(store, monkeypatch) as ask:
        until = ask("GET", AT).json()["until"]
        time.sleep(0.01)
        (told,) = ask("GET", f"{AT}?changed_since={until}").json()["machines"]
        assert (told["machine"], told["downtime_seconds"] is not None) == ("app01", True)
        store.migrations.stamp(ids["app01"], "target_up_at")
        until = ask("GET", f"{AT}?changed_since={until}").json()["until"]
        time.sleep(0.01)
        assert ask("GET", f"{AT}?changed_since={until}").json()["machines"] == []


def test_what_nobody_runs_is_told_each_time(store, ids, monkeypatch):
    if store.state.shared_database:
        pytest.skip("there it is stranded, and told as such")
    with asking(store, monkeypatch) as ask:
        until = ask("GET", AT).json()["until"]
        monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: False)
        told = ask("GET", f"{AT}?changed_since={until}").json()["machines"]
    assert [(m["machine"], m["interrupted"]) for m in told] == [("app01", True), ("db01", True)]


def test_a_list_has_of_each_migration_what_a_list_shows(store, ids, monkeypatch):
    store.migrations.update(ids["app01"], status="running", phase="copying", result={"guest": {"long": "x" * 1000}})
    copying(store, ids["app01"], "1", GIB, 1.0, None)
    with asking(store, monkeypatch) as ask:
        whole = ask("GET", "/v1/migrations").json()
        short = ask("GET", "/v1/migrations?short=true").json()
    assert [m["id"] for m in short] == [m["id"] for m in whole]
    assert not {"request", "result", "syncs"} & short[0].keys()
    app01 = next(m for m in short if m["machine_name"] == "app01")
    assert (app01["type"], app01["plan"], [disk["key"] for disk in app01["disks"]]) == ("warm", "shop", ["1"])
    assert all(
        one.items() >= {n: v for n, v in other.items() if n != "disks"}.items()
        for one, other in zip(whole, short, strict=True)
    )
