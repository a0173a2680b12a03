"""What an upgrade that raises the flow version is told before it changes anything."""

import subprocess
import sys
from datetime import timedelta

import pytest
from sqlalchemy import update

from longshore.engine.upgrade import left_alone
from longshore.engine.version import FLOW_VERSION
from longshore.store import StateDirectory, Store, WorkerRecord
from longshore.store.tables import JobRow, utc_now
from longshore.store.workers import Leases
from queued import queue_migration

pytestmark = pytest.mark.long

NEXT = str(int(FLOW_VERSION) + 1)


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    yield store
    store.close()


def job(store, name, type_, **values):
    """Add a migration of this type, whose job has these values, and return its id."""
    names = {record.name for record in store.providers.all()}
    for kind in {"vsphere", "openstack"} - names:
        store.providers.add(kind, kind, {}, {})
    ids = {record.name: record.id for record in store.providers.all()}
    made = queue_migration(
        store.migrations,
        machine_name=name,
        machine_ref=name,
        source_id=ids["vsphere"],
        target_id=ids["openstack"],
        request={"type": type_, "networks": {}},
    )
    with store.database.session() as session:
        session.execute(update(JobRow).where(JobRow.record_id == made.id).values(**values))
    return made.id


def left(store, flow_version=NEXT):
    return [record.record_id for record in left_alone(store, flow_version)]


def test_a_job_that_was_begun_is_left_alone_and_what_waits_or_begins_anew_is_not(store):
    begun = {"status": "running", "worker_id": "mine", "flow_version": FLOW_VERSION}
    job(store, "queued", "cold", status="queued")
    job(store, "waits", "warm", kind="sync", due_at=utc_now() + timedelta(hours=1), flow_version=FLOW_VERSION)
    job(store, "copies", "warm", **begun, kind="sync")
    job(store, "of another one before", "cold", **begun | {"flow_version": "1"})
    job(store, "ends", "cold", **begun, cancel_requested=True)
    assert left(store) == []
    cold = job(store, "cold", "cold", **begun)
    parked = job(store, "parked", "cold", **begun | {"status": "parked", "worker_id": None})
    assert left(store) == [cold, parked]
    assert left(store, FLOW_VERSION) == []


def test_another_machines_worker_of_this_version_goes_on_with_it(store):
    job(store, "cold", "cold", status="running", worker_id="mine", flow_version=FLOW_VERSION)
    other = WorkerRecord("other", "another-machine", 7, FLOW_VERSION, 4, ())
    Leases(store.database, other, 20.0).take()
    assert left(store) == []


def asked(state, flow_version=NEXT, **environment):
    return subprocess.run(
        [sys.executable, "-m", "longshore.engine.upgrade", flow_version],
        env={"LONGSHORE_STATE": str(state), **environment},
        capture_output=True,
        text=True,
    )


def test_the_upgrade_is_refused_with_a_sentence(store):
    cold = job(store, "cold", "cold", status="running", worker_id="mine", flow_version=FLOW_VERSION)
    refused = asked(store.state.root)
    assert refused.returncode == 3
    assert refused.stderr.startswith(f"longshore: 1 job began under flow version {FLOW_VERSION}, and the release that")
    assert cold in refused.stderr
    assert asked(store.state.root, FLOW_VERSION).returncode == 0
    store.migrations.request_cancel(cold)
    assert asked(store.state.root).returncode == 0


def test_what_cant_be_asked_holds_no_upgrade_up(tmp_path):
    assert asked(tmp_path / "state").returncode == 0
    assert not (tmp_path / "state").exists()
    wrong = asked(tmp_path / "state", LONGSHORE_AT_ONCE="none")
    assert (wrong.returncode, wrong.stderr[:56]) == (0, "longshore: It can't be told whether jobs are under way: ")
