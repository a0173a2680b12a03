"""Many warm migrations under a limit that few of them fit: it holds for every copy, syncs and cutovers included."""

import tempfile
import time
from contextlib import closing
from pathlib import Path

import pytest
from lives import FleetLife
from small_fleet import Fleet

from longshore.model.job import JobKind
from longshore.model.status import Status
from longshore.store import NewMigration, StateDirectory, Store

pytestmark = pytest.mark.long

TAKES_EFFECT = 5.0  # seconds in which a limit that is changed holds for what begins


class Many:
    def __init__(self, root, machines):
        self.names = [f"app{n:02}" for n in range(1, machines + 1)]
        self.fleet = Fleet.create(root / "fleet", self.names)
        self.store = Store(StateDirectory(root / "state"))
        settings = {"root": str(self.fleet.root)}
        source = self.store.providers.add("vc", "vsphere", settings, {"password": "x"}).id
        target = self.store.providers.add("cloud", "openstack", settings, {"password": "x"}).id
        self.plan = self.store.plans.add("all", {"limits": {"at_once": 4}})
        cutover = {"mode": "manual", "interval": 0.2}
        request = {"type": "warm", "cutover": cutover, "networks": {"VM Network": "private"}, "boot_timeout": 20.0}
        new = [NewMigration(n, self.fleet.ref(n), source, target, request, self.plan.id, 1) for n in self.names]
        self.store.migrations.add_together(new)
        self.most: dict[JobKind, int] = {}

    def watch(self, condition, life, seconds=300.0):
        """Until that; meanwhile, how many jobs of each kind were at work at once, and of all of them."""
        end = time.monotonic() + seconds
        most = 0
        while not condition():
            assert life.poll() is None or condition(), life.said
            assert time.monotonic() < end
            at_work = [record for record in self.store.queue.records() if record.at_work]
            most = max(most, len(at_work))
            for kind in {record.kind for record in at_work}:
                self.most[kind] = max(self.most.get(kind, 0), sum(record.kind is kind for record in at_work))
            time.sleep(0.02)
        return most

    @property
    def records(self):
        return self.store.migrations.all()


@pytest.mark.parametrize("machines", [10, pytest.param(50, marks=pytest.mark.soak)])
def test_no_more_are_at_work_than_the_limit_allows_whatever_they_do(machines):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        many = Many(Path(directory), machines)
        with closing(many.store):
            life = FleetLife(many.store.state.root, many.fleet.root)
            assert many.watch(lambda: all(len(r.syncs) > 1 for r in many.records), life) == 4
            many.store.plans.replace("all", {"limits": {"at_once": 2}})
            began = time.monotonic()
            many.watch(lambda: time.monotonic() - began > TAKES_EFFECT, life)
            assert many.watch(lambda: time.monotonic() - began > 2 * TAKES_EFFECT, life) == 2
            for record in many.records:
                many.store.migrations.request_cutover(record.id)
            assert many.watch(lambda: all(r.status.ended for r in many.records), life) == 2
            assert life.wait(timeout=60) == 0
            assert {r.status for r in many.records} == {Status.DONE}, [r.error for r in many.records]
            assert many.most.keys() >= {JobKind.BEGIN, JobKind.SYNC, JobKind.CUTOVER}
            assert max(many.most.values()) <= 4
