"""Who counts as dead, and by which clock."""

import pytest

from longshore.engine.worker import Worker, identity
from longshore.flows.workflows import FLOWS
from longshore.store import Leases, StateDirectory, Store, clock, workers

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
    store.migrations.add(machine_name="web", machine_ref="vm-1", source_id=cloud, target_id=cloud, request={})
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
