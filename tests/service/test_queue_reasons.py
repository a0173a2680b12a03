"""What is queued says what it is behind, wherever it is listed."""

import pytest
from asking import asking
from sqlalchemy import update

from longshore.model.limit import LimitOf, LimitPlace
from longshore.store import NewMigration, StateDirectory, Store
from longshore.store.tables import JobRow


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: True)
    store = Store(StateDirectory(tmp_path / "state"))
    vc, cloud = (
        store.providers.add(name, kind, {}, {}).id for name, kind in (("vc", "vsphere"), ("cloud", "openstack"))
    )
    plan = {"name": "shop", "source": "vc", "target": "cloud"}
    machines = [{"machine": f"m{n}", "ref": f"vm-{n}", "wave": 1 + n // 2} for n in range(3)]
    record = store.plans.add("shop", plan | {"machines": machines})
    places = {"path": "x", "host": "esx1", "datastores": ["ds1"]}
    store.migrations.add_together(
        [NewMigration(f"m{n}", f"vm-{n}", vc, cloud, {"type": "warm"}, record.id, 1 + n // 2, places) for n in range(3)]
    )
    yield store
    store.close()


def test_a_wave_and_a_limit_are_named_in_lists_and_in_the_plan(store, monkeypatch):
    first = store.migrations.all()[0]
    at = LimitPlace(LimitOf.HOST, first.source_id, "esx1")
    store.limits.put(at, "", {"at_once": 1})
    with asking(store, monkeypatch) as ask:

        def told():
            listed = {m["machine_name"]: m["queued_behind"] for m in ask("GET", "/v1/migrations?short=true").json()}
            machines = ask("GET", "/v1/plans/shop/states").json()["machines"]
            assert {m["machine"]: m["queued_behind"] for m in machines} == listed
            return {name: one and {k: v for k, v in one.items() if v is not None} for name, one in listed.items()}

        wave = {"what": "wave", "wave": 1}
        assert told() == {"m0": None, "m1": None, "m2": wave}
        begin(store, first)
        host = {"what": "limit", "of": "host", "name": "esx1", "at_once": 1}
        assert told() == {"m0": None, "m1": host, "m2": wave}
        monkeypatch.setattr("longshore.engine.stranded.is_locked", lambda _state: False)
        assert told() == {"m0": None, "m1": None, "m2": None}, "nobody is at work: it is broken off"


def begin(store, migration):
    """Have its job taken, as a worker does."""
    with store.database.session() as session:
        session.execute(update(JobRow).where(JobRow.record_id == migration.id).values(status="running", worker_id="w"))
    store.migrations.update(migration.id, status="running", phase="copying")
