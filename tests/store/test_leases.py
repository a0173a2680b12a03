"""Who counts as dead, by which clock, and how hard a worker tries not to."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import pytest
from sqlalchemy import make_url, update
from sqlalchemy.exc import OperationalError

from longshore.engine.lease import Lease
from longshore.engine.worker import Worker, identity
from longshore.flows.workflows import FLOWS
from longshore.store import Leases, StateDirectory, Store, clock, workers
from longshore.store.database import Database
from longshore.store.tables import WorkerRow
from queued import queue_migration

pytestmark = pytest.mark.long

TTL = 20.0


class Clocks:
    """The database's, in seconds from the right time, and the one that a worker measures with."""

    def __init__(self, monkeypatch):
        self._monkeypatch = monkeypatch
        self._right = clock.CLOCKS["sqlite"]
        self.set_database(0)
        self.now = 1000.0
        monkeypatch.setattr(workers.time, "monotonic", lambda: self.now)

    def set_database(self, seconds):
        self._monkeypatch.setitem(clock.CLOCKS, "sqlite", f"({self._right} + {seconds})")


@pytest.fixture
def clocks(monkeypatch):
    return Clocks(monkeypatch)


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path))
    yield store
    store.close()


@pytest.fixture
def begun(store, clocks):
    """A migration that a worker has, and that worker's lease."""
    cloud = store.providers.add("cloud", "vsphere", {}, {}).id
    queue_migration(
        store.migrations, machine_name="web", machine_ref="vm-1", source_id=cloud, target_id=cloud, request={}
    )
    busy, lease = joined(store)
    assert len(look(store, busy)) == 1
    return busy, lease


def joined(store):
    me = identity(4)
    lease = Leases(store.database, me, TTL)
    lease.take()
    return me, lease


def look(store, me):
    """What it has when it has looked at the queue."""
    return Worker(store, me, FLOWS)._take_turns()


def test_a_database_whose_clock_is_set_forward_ends_nobody(store, begun, clocks):
    """A fail-over to a host whose clock is ahead, say: all leases look as if they had run out long ago."""
    (busy, lease), (other, others_lease) = begun, joined(store)
    assert look(store, other) == []
    clocks.set_database(3600)
    others_lease.renew()
    for _ in range(3):
        assert look(store, other) == []
        clocks.now += 4
    assert lease.renew()
    assert busy.id in {worker.id for worker in store.workers.all()}


@pytest.mark.parametrize("step", [0, 3600, -3600])
def test_who_gives_no_sign_of_life_loses_what_it_had_whatever_the_databases_clock_says(store, begun, clocks, step):
    (_, lease), (other, others_lease) = begun, joined(store)
    look(store, other)
    clocks.set_database(step)
    clocks.now += TTL
    others_lease.renew()
    assert look(store, other) == []
    clocks.now += 1
    others_lease.renew()
    assert len(look(store, other)) == 1
    assert not lease.renew()


def test_who_gives_its_lease_up_is_followed_soon(store, begun, clocks):
    (_, lease), (other, _) = begun, joined(store)
    lease.give_up(1.0)
    assert look(store, other) == []
    clocks.now += 1.5
    assert len(look(store, other)) == 1


# Has a lease of two seconds, and renews it for as long as it lives
WITH_LEASE = """
import pathlib, sys, time
from longshore.engine.lease import Lease
from longshore.engine.worker import identity
from longshore.store import StateDirectory, Store
store, me = Store(StateDirectory(pathlib.Path(sys.argv[1]))), identity(1)
Lease(store, me, ttl=2.0, beat=0.2).take()
print(me.id, flush=True)
time.sleep(600)
"""


@pytest.fixture
def start_worker(store, tmp_path):
    runtime, started = tmp_path / "run", []
    runtime.mkdir()

    def start(mode=0o700):
        (runtime / "workers").mkdir(exist_ok=True)
        (runtime / "workers").chmod(mode)
        command = [sys.executable, "-c", WITH_LEASE, store.state.root]
        environment = {**os.environ, "RUNTIME_DIRECTORY": str(runtime)}
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))
        return started[-1], started[-1].stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()


def known(store):
    return {worker.id for worker in store.workers.all()}


def lasts_for_long(store, worker_id):
    """Make a worker's lease last for ten minutes, which somebody new has to see run out."""
    with store.database.session() as session:
        lease = {"lease_until": time.time() + 600, "lease_seconds": 600.0}
        session.execute(update(WorkerRow).where(WorkerRow.id == worker_id).values(**lease))


def test_who_is_started_in_the_place_of_an_ended_worker_lets_nobody_wait_for_its_lease(store, start_worker):
    dead, its_id = start_worker()
    living, living_id = start_worker()
    dead.kill()
    lasts_for_long(store, its_id)
    _, new_id = start_worker()
    end = time.monotonic() + 120
    while its_id in known(store):
        assert time.monotonic() < end
        time.sleep(0.1)
    assert known(store) == {living_id, new_id}
    assert living.poll() is None


def test_a_file_that_others_may_have_written_says_nothing_of_a_worker(store, start_worker, tmp_path):
    dead, its_id = start_worker(0o777)
    dead.kill()
    lasts_for_long(store, its_id)
    (tmp_path / "run" / "workers" / its_id).write_bytes(b"x" * 4096)  # of another boot, it says
    _, new_id = start_worker(0o777)
    time.sleep(3)
    assert known(store) == {its_id, new_id}


def test_a_sign_of_life_that_could_not_be_given_is_tried_again_before_the_next_beat(store):
    lease = Lease(store, identity(1), ttl=1000.0, beat=300.0)
    tries = []

    class Away:
        def renew(self):
            tries.append(time.monotonic())
            if len(tries) == 3:
                lease._stop.set()
                return True
            raise OperationalError("UPDATE", {}, Exception("the cable is cut"))

    lease._leases = Away()
    renewing = threading.Thread(target=lease._renew, daemon=True)
    renewing.start()
    renewing.join(60)
    assert len(tries) == 3


def test_a_directory_that_is_gone_ends_no_worker(store, start_worker, tmp_path):
    living, its_id = start_worker()
    shutil.rmtree(tmp_path / "run")
    time.sleep(3)  # longer than its lease
    assert known(store) == {its_id}
    assert living.poll() is None


def test_hosts_that_say_nothing_keep_a_sign_of_life_for_less_than_they_keep_all_else(postgresql):
    """Two of three nodes are cut off: a worker of the third has to find the new primary within its lease."""
    url = make_url(postgresql.database())
    silent = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    hosts = [f"127.0.0.1:{port}" for port in (*(one.getsockname()[1] for one in silent), postgresql.port)]
    several = url.set(host=None, port=None, query={"host": hosts}).render_as_string(hide_password=False)

    def seconds(engine):
        began = time.monotonic()
        with engine.connect():
            return time.monotonic() - began

    database = Database(url.render_as_string(hide_password=False))
    database._url = make_url(several)
    assert seconds(Leases(database, identity(1), 60.0)._engine) < 8 < seconds(database.of_its_own())
    database.close()
    for one in silent:
        one.close()
