"""Several workers on one PostgreSQL, killed, stopped, asked to leave, and without their database for a moment."""

import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from lives import WorkerLife
from small_clouds import SIZES, expected
from small_fleet import Fleet

from longshore.processes.deadline import ENDED_BY_DEADLINE
from longshore.store import EVERY_PROJECT, NewMigration, Scope, StateDirectory, Store
from postgresql import PASSWORD

pytestmark = pytest.mark.long
TTL = 4.0  # seconds; the default is longer, and costs nothing but patience


class Crew:
    """Machines to be moved, and the workers that share them."""

    def __init__(self, directory, cluster, machines):
        self.cluster = cluster
        self.url = cluster.database()
        self.names = [f"app{n:02}" for n in range(machines)]
        self.fleet = Fleet.create(directory / "fleet", self.names)
        self.conversions = self.fleet.root / "conversions"
        self.conversions.mkdir()
        self.state = StateDirectory(directory / "state", self.url)
        self.store = Store(self.state)
        settings = {"root": str(self.fleet.root)}
        self._source = self.store.providers.add("vc", "vsphere", settings, {"password": "x"}).id
        self._target = self.store.providers.add("cloud", "openstack", settings, {"password": "x"}).id
        for id_ in (self._source, self._target):
            self.store.providers.share(id_, EVERY_PROJECT)
        self.workers = []

    def worker(self, **settings):
        given = {"database_url": self.url, "lease_ttl": TTL, "lease_beat": TTL / 4, **settings}
        self.workers.append(WorkerLife(self.state.root, self.conversions, f"worker{len(self.workers)}", **given))
        return self.workers[-1]

    def ask(self, names=None, project="", **request):
        """These machines or all of them, as one plan that doesn't hold them back."""
        of_project = self.store.scoped(Scope(project, everything=True))
        plan = of_project.plans.add("all", {"limits": {"at_once": 1_000_000}})
        request = {"networks": {"VM Network": "private"}, "boot_timeout": 20.0, "shutdown_timeout": 5.0, **request}
        new = [
            NewMigration(name, self.fleet.ref(name), self._source, self._target, request, plan_id=plan.id)
            for name in names or self.names
        ]
        of_project.migrations.add_together(new)

    @property
    def records(self):
        return self.store.migrations.all()

    def of(self, worker):
        """Of which machines this process is at work on."""
        ids = {w.id for w in self.store.workers.all() if w.pid == worker.pid}
        names = {name: self.fleet.ref(name) for name in self.names}
        at_work = {r.machine_ref for r in self.store.queue.records() if r.worker_id in ids}
        return {name for name, ref in names.items() if ref in at_work}

    def wait(self, condition, seconds=60.0):
        end = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > end:
                raise AssertionError("\n".join([str(self.at()), *[f"{w.name}: {w.said}" for w in self.workers]]))
            time.sleep(0.05)
        return found

    def at(self):
        return {r.machine_name: f"{r.status}, {r.phase}" for r in self.records}

    def assert_moved(self):
        """Whoever did it: each thing was made once, and every disk is as it should be."""
        assert {r.machine_name: str(r.status) for r in self.records} == dict.fromkeys(self.names, "done"), [
            (r.machine_name, r.error, [e.text for e in self.store.events.of(r.id)]) for r in self.records
        ]
        for record in self.records:
            world = self.fleet.world(record.machine_name)
            state = world.read()
            assert state["power"] == "off"
            made = {kind: len(state[kind]) for kind in ("servers", "ports", "volumes", "snapshots", "vsnaps")}
            assert made == {"servers": 1, "ports": 1, "volumes": 2, "snapshots": 0, "vsnaps": 0}
            (server,) = state["servers"].values()
            for volume, key in zip(server["volume_ids"], SIZES, strict=True):
                assert world.volume_file(volume).read_bytes() == expected(world, key)
            assert {e.state.value for e in self.store.ledger.entries(record.id)} == {"handed-over", "removed"}
            # Who came later was alone from then on: nobody changed a cloud again after another had
            callers = world.callers()
            assert len(callers) == len(set(callers)), f"{record.machine_name}: {callers}"

    def close(self):
        for worker in self.workers:
            if worker.poll() is None:
                worker.signal(signal.SIGCONT)
                worker.kill()
            assert PASSWORD not in worker.said
        self.store.close()


@pytest.fixture
def crew(postgresql):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        crews = []

        def crew(machines):
            crews.append(Crew(Path(directory), postgresql, machines))
            return crews[-1]

        yield crew
        for one in crews:
            one.close()


def test_what_a_killed_and_a_stopped_worker_had_goes_on_elsewhere(crew, capsys):
    crew = crew(6)
    slowly = 200 << 10  # bytes per second: the 2 MiB that a disk holds take longer than the 5 s between checkpoints
    workers = [crew.worker(at_once=6) for _ in range(3)]
    crew.wait(lambda: len(crew.store.workers.all()) == 3)
    crew.ask(rate_limit=slowly)
    crew.wait(lambda: all(r.phase == "copying" for r in crew.records))
    killed, stopped, left = workers
    had = {worker.name: crew.of(worker) for worker in workers}
    assert sorted(map(len, had.values())) == [2, 2, 2]

    ids = {r.machine_name: r.id for r in crew.records}
    losing = had[killed.name] | had[stopped.name]
    for name in losing:
        directory = crew.state.migration(ids[name])
        crew.wait(lambda directory=directory: len(list(directory.glob("*.checkpoint"))) == 2)
    stopped.signal(signal.SIGSTOP)
    killed.kill()
    at = time.monotonic()
    taken = {}
    while taken.keys() != losing:
        for name in crew.of(left) & losing - taken.keys():
            taken[name] = time.monotonic() - at
        assert time.monotonic() - at < 60  # 12 s on a machine to itself
        time.sleep(0.02)
    # It wakes up to find that its time is over, and so have its copies, which nobody had stopped
    assert children_of(stopped.pid) == []
    stopped.signal(signal.SIGCONT)
    assert stopped.wait(5) == ENDED_BY_DEADLINE
    crew.wait(lambda: all(r.status.ended for r in crew.records))
    crew.assert_moved()
    again = [r for r in crew.records if r.machine_name in losing]
    full = sum(copied(r) for r in crew.records if r.machine_name not in losing) / len(had[left.name])
    assert all(copied(r) < full for r in again), "each went on from its checkpoint"
    with capsys.disabled():
        print(
            f"\ntaken over after {min(taken.values()):.1f} to {max(taken.values()):.1f} s with a lease of {TTL:.0f} s"
        )


def copied(record):
    return record.result["bytes_read"]


def children_of(pid):
    """Those that run: of a stopped process the ended ones are still listed."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            command = (path.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == pid and state != "Z" and b"longshore.blocks" in command:
            found.append(command)
    return found


def test_work_goes_on_when_postgresql_was_away_and_when_a_worker_is_asked_to_leave(crew, capsys):
    crew = crew(4)
    leaving, staying = [crew.worker(at_once=4, lease_ttl=60.0, drain_for=seconds) for seconds in (0.3, 10.0)]
    crew.wait(lambda: len(crew.store.workers.all()) == 2)
    crew.ask(rate_limit=300 << 10)
    crew.wait(lambda: all(r.phase == "copying" for r in crew.records))
    crew.cluster.stop()
    time.sleep(1.0)
    crew.cluster.start()
    had = crew.of(leaving)
    assert len(had) == 2
    leaving.signal(signal.SIGTERM)
    at = time.monotonic()
    assert leaving.wait(10) == 0
    crew.wait(lambda: had <= crew.of(staying))
    with capsys.disabled():
        print(f"\nhanded over after {time.monotonic() - at:.1f} s, of which 0.3 s were given to end")
    # Handed over, not waited for: the lease it had would last for a minute
    assert time.monotonic() - at < 40, leaving.said + staying.said
    crew.wait(lambda: all(r.status.ended for r in crew.records))
    crew.assert_moved()
    assert staying.poll() is None, "it lived through all of it"
    staying.signal(signal.SIGTERM)
    assert staying.wait(15) == 0
    assert crew.store.workers.all() == []
    # Nothing is kept of how it was done once it is done
    assert crew.cluster.query(crew.url, "SELECT count(*) FROM dbos.workflow_status") == [(0,)]
    assert Counter(crew.at().values()) == {"done, done": 4}


def test_a_project_whose_queue_is_long_holds_up_no_other(crew):
    crew = crew(6)
    crew.worker(at_once=2)
    *noisy, quiet = crew.names
    crew.ask(noisy, "noisy", rate_limit=100 << 10)  # bytes per second: their copies take twenty seconds
    crew.wait(lambda: list(crew.at().values()).count("running, copying") == 2)
    crew.ask([quiet], "quiet")
    crew.wait(lambda: crew.at()[quiet].startswith("done"))
    others = [at for name, at in crew.at().items() if name != quiet]
    assert sorted(others) == ["queued, queued"] * 3 + ["running, copying"] * 2
