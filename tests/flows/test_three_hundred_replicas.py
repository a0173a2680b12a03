"""Three workers on one PostgreSQL keep hundreds of replicas, and one of them is killed.

Machines and cloud are small ones in memory; workers, PostgreSQL, copies and their verification are real.
What is printed is how late syncs began: from when each was due to when its machine's snapshot was asked for.
"""

import os
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles

import pytest
from lives import WorkerLife
from small_clouds import MIB
from small_fleet import Fleet, one_small_disk
from sqlalchemy import func, select

from longshore.model.job import JobKind
from longshore.model.limit import LimitOf, LimitPlace
from longshore.model.replica import PointState, Protection
from longshore.model.schedule import Every
from longshore.planning.schedules import next_time
from longshore.store import NewMigration, StateDirectory, Store
from longshore.store.tables import PointRow

pytestmark = [pytest.mark.long, pytest.mark.soak]

HOSTS = 2
OF_A_HOST = 5  # jobs at once
OF_A_WORKER = 4
TTL = 8.0  # seconds of a worker's lease
LATE = 10.0  # seconds that 95 of 100 syncs may be late


@dataclass
class Sample:
    """What was at work at one moment."""

    hosts: Counter
    machines: Counter  # and kinds of job
    workers: Counter


class Shop:
    """Machines that are all replicated alike, and the workers that share them."""

    def __init__(self, directory, cluster, machines, interval, data):
        self.cluster = cluster
        self.interval = interval
        self.url = cluster.database()
        self.names = [f"app{n:03}" for n in range(machines)]
        self.fleet = Fleet.create(directory / "fleet", self.names, loose=False, data=data)
        for world in self.fleet.worlds():
            (world.root / "keeps-no-moments").touch()
        self.conversions = self.fleet.root / "conversions"
        self.conversions.mkdir()
        (self.conversions / "one-small-disk").touch()
        self.store = Store(StateDirectory(directory / "state", self.url))
        settings = {"root": str(self.fleet.root)}
        self._source = self.store.providers.add("vc", "vsphere", settings, {"password": "x"}).id
        self._target = self.store.providers.add("cloud", "openstack", settings, {"password": "x"}).id
        for n in range(1, HOSTS + 1):
            place = LimitPlace(LimitOf.HOST, self._source, f"esx{n}")
            self.store.limits.put(place, None, {"at_once": OF_A_HOST})
        self.samples = []
        self.workers = []

    def protect(self):
        schedule = f"every {int(self.interval.total_seconds())}s"
        self._add(lambda _number: {"type": "replica"}, protection=Protection(schedule, "last 2"))

    def migrate(self, request):
        """`request(number)`: the options of the machine of this number."""
        self._add(lambda number: {"boot_timeout": 3.0, **request(number)})

    def _add(self, request, **more):
        """Keeps the ids of the records, by machines' names."""
        new = [
            NewMigration(
                name,
                self.fleet.ref(name),
                self._source,
                self._target,
                {"networks": {"VM Network": "private"}, **request(n)},
                places={"path": f"fleet/{name}", "host": f"esx{n % HOSTS + 1}", "datastores": ["ds"]},
                **more,
            )
            for n, name in enumerate(self.names)
        ]
        self.ids = {record.machine_name: record.id for record in self.store.migrations.add_together(new)}

    def work(self):
        how = {"at_once": OF_A_WORKER, "lease_ttl": TTL, "lease_beat": TTL / 4}
        name = f"worker{len(self.workers)}"
        life = WorkerLife(self.store.state.root, self.conversions, name, database_url=self.url, **how)
        self.workers.append(life)

    def look(self):
        """Limits are kept at every moment at which anybody looks."""
        at_work = [record for record in self.store.queue.records() if record.at_work]
        machines = Counter(
            (one.machine_ref, one.kind) for one in at_work
        )  # a look is into a point, beside the next sync
        self.samples.append(
            Sample(Counter(one.host for one in at_work), machines, Counter(one.worker_id for one in at_work))
        )

    def until(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "\n".join(worker.said[-2000:] for worker in self.workers)
            self.look()
            time.sleep(0.25)

    def arrivals(self, since):
        """Of each machine, those of points that have come since, whether they are still there or not."""
        return {
            name: [one for one in self.store.points.arrivals(id_, since) if one.moment >= since]
            for name, id_ in self.ids.items()
        }

    def all_have_points(self):
        with self.store.database.session() as session:
            ready = session.scalar(select(func.count(PointRow.replica_id.distinct())).where(PointRow.number == 1))
        return ready == len(self.names) and not any(one.at_work for one in self.store.queue.records())

    def assert_limits_kept(self):
        for sample in self.samples:
            assert max(sample.hosts.values(), default=0) <= OF_A_HOST
            assert set(sample.machines.values()) <= {1}, f"two of a kind are at work on one machine: {sample.machines}"
            assert {kind for _, kind in sample.machines} <= {JobKind.REPLICA, JobKind.LOOK}
            assert max(sample.workers.values(), default=0) <= OF_A_WORKER + 1  # one more, for who had nothing

    def assert_whole(self):
        """Of each machine both clouds have what its two points need, and nothing else; and nobody else made a sync."""
        for name, id_ in self.ids.items():
            world = self.fleet.world(name)
            state = world.read()
            points = self.store.points.all(id_)
            assert [point.state for point in points] == [PointState.USABLE] * 2, name
            assert set(state["vsnaps"]) == {disk.snapshot_id for point in points for disk in point.disks}
            assert not state["snapshots"]
            assert len(state["volumes"]) == 1
            made = sum(1 for _ in self.store.points.arrivals(id_, datetime(2000, 1, 1, tzinfo=UTC)))
            assert points[-1].number == made == state["moment"], "each snapshot of the machine became a point"

    def close(self):
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
        self.store.close()


@contextmanager
def shop(cluster, machines, interval, data=MIB):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        made = Shop(Path(directory), cluster, machines, interval, data)
        try:
            yield made
        finally:
            made.close()


@pytest.mark.timeout(7200)
@pytest.mark.parametrize(("machines", "minutes"), [(30, 1), (300, 10)])
def test_none_is_doubled_and_none_missed_when_one_of_three_workers_is_killed(
    postgresql, monkeypatch, capsys, machines, minutes
):
    one_small_disk(monkeypatch.setitem, monkeypatch.delitem)
    interval = timedelta(minutes=minutes)
    with shop(postgresql, machines, interval) as made:
        for _ in range(3):
            made.work()
        made.until(lambda: len(made.store.workers.all()) == 3, 60)
        began = time.monotonic()
        made.protect()
        made.until(made.all_have_points, 30 * machines)
        seeded = time.monotonic() - began
        begin = datetime.now(UTC) + timedelta(seconds=1)
        end = begin + 2 * interval
        used = postgresql.processor_seconds()
        made.until(lambda: datetime.now(UTC) > begin + 0.75 * interval, 2 * interval.total_seconds())
        made.workers[0].kill()
        killed = datetime.now(UTC)
        made.until(lambda: datetime.now(UTC) > end, 2 * interval.total_seconds())
        used = (postgresql.processor_seconds() - used) / (2 * interval.total_seconds())
        # What was due at the end may still be at work
        made.until(lambda: not any(one.at_work for one in made.store.queue.records()), 300)
        found = made.arrivals(begin)
        late, delayed = [], []
        for name, id_ in made.ids.items():
            due = next_time(Every(interval), begin, id_)
            while due < end - timedelta(seconds=1):
                came = [one.moment for one in found[name] if due <= one.moment < due + interval]
                assert len(came) == 1, f"{name}, due at {due}: {came}"
                seconds = (came[0] - due).total_seconds()
                (
                    delayed if killed - timedelta(seconds=TTL) < due < killed + timedelta(seconds=3 * TTL) else late
                ).append(seconds)
                due += interval
        took = [(one.usable_at - one.moment).total_seconds() for all_of in found.values() for one in all_of]
        with capsys.disabled():
            print(
                f"\n{machines} replicas, every {minutes} min, load {os.getloadavg()[0]:.1f}: seeded in {seeded:.0f} s; "
                f"{len(late) + len(delayed)} syncs of {_of(took)} s; late {_of(late)} s; "
                f"around the kill {_of(delayed)} s; PostgreSQL used {used:.3f} of a processor"
            )
        assert all(made.store.replicas.get(id_).missed == 0 for id_ in made.ids.values())
        made.assert_limits_kept()
        made.assert_whole()
        assert _percentile(95, late + delayed) <= LATE


def _percentile(number, values):
    return quantiles(values, n=100, method="inclusive")[number - 1]


def _of(values):
    """The middle one, 95 of 100, and the worst."""
    return f"{_percentile(50, values):.1f} / {_percentile(95, values):.1f} / {max(values):.1f}"
