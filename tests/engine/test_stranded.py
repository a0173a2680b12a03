"""That nobody can take a migration is told where its user looks: on itself, and by the workers among its events."""

import pytest

from longshore.engine import stranded
from longshore.engine.stranded import StrandedNotifier, crew_of
from longshore.service.migrations_shown import shown
from longshore.store import Leases, StateDirectory, Store, WorkerRecord
from queued import queue_migration


@pytest.fixture
def store(postgresql, tmp_path):
    opened = Store(StateDirectory(tmp_path / "state", postgresql.database()))
    yield opened
    opened.close()


@pytest.fixture
def north(store):
    """A migration whose source asks for a label."""
    source = store.providers.add("vc", "vsphere", {"labels": ["north"]}, {}).id
    target = store.providers.add("cloud", "openstack", {}, {}).id
    return queue_migration(
        store.migrations, machine_name="web", machine_ref="vm-1", source_id=source, target_id=target, request={}
    ).id


def lives(store, name, *labels):
    worker = WorkerRecord(name, "host", 1, "3", 4, labels)
    Leases(store.database, worker, 30).take()
    return worker


def told(store, id_):
    [one] = shown(store, [store.migrations.get(id_)])
    return one.stranded


def test_it_is_said_as_long_as_it_is_so(store, north):
    assert "No worker is alive" in told(store, north)
    lives(store, "south", "south")
    assert "longshore worker --label north" in told(store, north)
    lives(store, "north", "north")
    assert told(store, north) is None


def test_one_worker_says_it_once_among_the_events_when_it_lasts(store, north, monkeypatch):
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(stranded.time, "monotonic", lambda: next(clock))
    eldest, younger = (StrandedNotifier(store, lives(store, name)) for name in ("a", "b"))

    def look():
        for herald in (eldest, younger):
            herald.tell(store.queue.records, crew_of(store))
        return [event.text for event in store.events.of(north)]

    assert look() == [], "a worker may be on its way"
    assert len(look()) == 1
    assert len(look()) == 1
    lives(store, "north", "north")
    assert len(look()) == 1
    store.workers.end("north")
    look()
    assert len(look()) == 2, "it is so once more"


def test_who_is_alone_takes_what_asks_for_labels(tmp_path):
    alone = Store(StateDirectory(tmp_path / "state"))
    source = alone.providers.add("vc", "vsphere", {"labels": ["north"]}, {}).id
    id_ = queue_migration(
        alone.migrations, machine_name="web", machine_ref="vm-1", source_id=source, target_id=source, request={}
    ).id
    assert told(alone, id_) is None
    alone.close()
