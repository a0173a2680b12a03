"""What is taken back, where clouds and answers aren't what they should be."""

from contextlib import contextmanager

import pytest

from longshore.engine import undoing
from longshore.errors import AccessDenied, Conflict, NotFound, Occupied, ProviderError
from longshore.flows import undo
from longshore.flows.moves.context import MoveContext
from longshore.flows.moves.dry_run import DryRun
from longshore.model.machine import Snapshot
from longshore.model.target import Owner, Volume
from longshore.store import EntryState, StateDirectory, Store, ThingKind
from queued import queue_migration


class Clouds:
    """Of which nothing is asked but what is set here: a list of answers for each call, the last one for good."""

    def __init__(self, **answers):
        self.answers = answers
        self.calls = []

    def to_put_back(self):
        return self

    @contextmanager
    def target(self, _provider):
        yield self

    source = target

    def __getattr__(self, name):
        def call(*asked):
            self.calls.append((name, asked[-1]))
            left = self.answers.get(name, [None])
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def removed(self, name):
        return [asked for called, asked in self.calls if called == name]


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(undoing, "_PAUSE", 0.0)
    monkeypatch.setattr(undoing, "_APPEARS_WITHIN", 0.0)
    store = Store(StateDirectory(tmp_path))
    yield store
    store.close()


@pytest.fixture
def migration(store):
    cloud = store.providers.add("cloud", "vsphere", {}, {}).id
    return queue_migration(
        store.migrations,
        machine_name="web",
        machine_ref="vm-1",
        source_id=cloud,
        target_id=cloud,
        request={"type": "dry-run"},
    )


def intended(store, migration, kind, step):
    return store.ledger.intend(Owner(migration.id, step), migration.source_id, kind, parent="vm-1")


def states(store, migration):
    return [entry.state for entry in store.ledger.entries(migration.id)]


@pytest.mark.parametrize(
    ("kind", "asked"),
    [(ThingKind.SOURCE_SNAPSHOT, "find_snapshot"), (ThingKind.CHANGE_TRACKING, "set_change_tracking")],
)
def test_what_hung_on_a_machine_that_is_gone_is_gone_with_it(store, migration, kind, asked):
    """Somebody has deleted the machine, or registered it anew under another reference."""
    entry = intended(store, migration, kind, "one")
    store.ledger.settle(entry.id, EntryState.MADE, ref="thing-1")
    clouds = Clouds(**{asked: [NotFound("vcenter.example.org has no vm-1.")]})
    assert undo.undo(store, clouds, migration.id) == []
    assert states(store, migration) == [EntryState.REMOVED]


def test_a_thing_that_appears_late_is_removed_though_nothing_was_found_first(store, migration):
    intended(store, migration, ThingKind.SOURCE_SNAPSHOT, "snapshot")
    clouds = Clouds(find_snapshot=[None, Snapshot("snapshot-7", "vm-1", "", ()), None])
    assert undo.undo(store, clouds, migration.id) == []
    assert clouds.removed("remove_snapshot") == ["snapshot-7"]
    assert states(store, migration) == [EntryState.REMOVED]


def test_nothing_is_said_to_be_gone_while_it_is_still_being_made(store, migration):
    intended(store, migration, ThingKind.SOURCE_SNAPSHOT, "snapshot")
    busy = ProviderError("vc has been busy with a task for 900 s and isn't done.", code="task-timeout")
    clouds = Clouds(find_snapshot=[busy])
    (left,) = undo.undo(store, clouds, migration.id)
    assert "busy with a task" in left
    assert states(store, migration) == [EntryState.LEFT]
    assert len(clouds.calls) == 1  # it was waited for long enough
    later = Clouds(find_snapshot=[Snapshot("snapshot-7", "vm-1", "", ()), None])  # the user cleans up
    assert undo.undo(store, later, migration.id) == []
    assert later.removed("remove_snapshot") == ["snapshot-7"]


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (AccessDenied("The account may not remove snapshots."), 1),
        (Occupied("A backup is under way."), 4),
        (Conflict("A backup reads its disks.", code="file-locked"), 4),
        (ProviderError("The cloud had a moment of weakness."), 4),
    ],
)
def test_what_cannot_pass_by_itself_is_told_at_once(store, migration, error, tries):
    intended(store, migration, ThingKind.SOURCE_SNAPSHOT, "snapshot")
    clouds = Clouds(find_snapshot=[error])
    (left,) = undo.undo(store, clouds, migration.id)
    assert error.message in left
    assert [called for called, _ in clouds.calls] == ["find_snapshot"] * tries


def test_what_was_waited_for_already_is_waited_for_no_longer(store, migration, monkeypatch):
    monkeypatch.setattr(undoing, "_WAITED", 0.0)
    intended(store, migration, ThingKind.SOURCE_SNAPSHOT, "snapshot")
    clouds = Clouds(find_snapshot=[Occupied("A backup has been under way for five minutes.")])
    assert len(undo.undo(store, clouds, migration.id)) == 1
    assert len(clouds.calls) == 1


def test_whatever_carries_the_mark_goes_also_what_was_made_twice(store, migration):
    entry = intended(store, migration, ThingKind.VOLUME, "volume-2000")
    store.ledger.settle(entry.id, EntryState.MADE, ref="volume-1")
    clouds = Clouds(find_volume=[Volume("volume-2", "", 1), None])
    assert undo.undo(store, clouds, migration.id) == []
    assert clouds.removed("delete_volume") == ["volume-1", "volume-2"]


@pytest.mark.parametrize("keep", [False, True])
def test_a_dry_run_leaves_worker_servers_to_those_who_use_them(store, migration, keep):
    store.migrations.update(migration.id, request={"type": "dry-run", "keep": keep})
    worker = intended(store, migration, ThingKind.RELAY, "relay-1")
    store.ledger.settle(worker.id, EntryState.MADE, ref="server-of-all")
    volume = intended(store, migration, ThingKind.VOLUME, "volume-2000")
    store.ledger.settle(volume.id, EntryState.MADE, ref="volume-1")
    clouds = Clouds()
    DryRun(MoveContext(store, migration.id, migration.job.id, clouds=clouds))._hand_over(
        {"server_id": None, "ports": []}
    )
    assert clouds.removed("remove_relay") == []
    assert clouds.removed("delete_volume") == ([] if keep else ["volume-1"])
    assert states(store, migration)[0] is EntryState.MADE
