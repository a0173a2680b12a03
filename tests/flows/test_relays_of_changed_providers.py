"""Relays of a provider that is changed while they run: they are removed where they were made, and no sooner."""

import os

import pytest

from longshore.flows import relays
from longshore.model.target import Owner
from longshore.providers.openstack.relay import Relay
from longshore.providers.openstack.relay_pool import RelayPool
from longshore.store import EntryState, StateDirectory, Store
from queued import queue_migration

BEFORE = {"transport": "relay", "region": "north"}
AFTER = {"transport": "relay", "region": "south"}


class Servers:
    """The servers of one region, by their owners."""

    def __init__(self, region):
        self.region = region

    def boot(self, owner):
        self.region.add(owner)
        return Relay(owner, owner.step, "192.0.2.1", os.memfd_create("key"))

    def remove(self, owner):
        self.region.discard(owner)


@pytest.fixture
def regions(monkeypatch):
    """What runs in each region."""
    regions = {"north": set(), "south": set()}

    def opened(_kind, settings, _secrets, ledger):
        return RelayPool(Servers(regions[settings["region"]]), ledger, quiet=600.0)

    monkeypatch.setattr(relays, "open_relays", opened)
    monkeypatch.setattr(Relay, "answers", lambda _relay: True)
    monkeypatch.setattr(relays, "_pools", {})
    monkeypatch.setattr(relays, "_earlier", [])
    return regions


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path))
    yield store
    store.close()


@pytest.fixture
def provider(store):
    return store.providers.add("tenant", "openstack", BEFORE, {"password": "x"})


@pytest.fixture
def owner(store, provider):
    ids = {"source_id": provider.id, "target_id": provider.id}
    return Owner(
        queue_migration(store.migrations, machine_name="web", machine_ref="vm-1", request={}, **ids).id, "open-v"
    )


def of_provider(store, provider):
    return relays.relays_of(store, store.providers.get(provider.id))


def states(store, owner):
    return [entry.state for entry in store.ledger.entries(owner.workflow)]


def test_who_uses_one_goes_on_though_others_have_booted_another_by_the_new_settings(store, provider, owner, regions):
    with of_provider(store, provider).relay(owner):
        store.providers.change(provider.id, AFTER, None)
        with of_provider(store, provider).relay(owner):
            assert {name: len(there) for name, there in regions.items()} == {"north": 1, "south": 1}
            assert states(store, owner) == [EntryState.MADE] * 2
    relays.end_relays(store)
    assert regions == {"north": set(), "south": set()}
    assert states(store, owner) == [EntryState.REMOVED] * 2


@pytest.mark.parametrize("then", [AFTER, {**AFTER, "transport": "host"}])
def test_one_is_removed_in_the_end_where_it_was_made(store, provider, owner, regions, then):
    of_provider(store, provider).make_ready(owner)
    store.providers.change(provider.id, then, None)
    relays.end_relays(store)
    assert regions == {"north": set(), "south": set()}
    assert states(store, owner) == [EntryState.REMOVED]


def test_what_a_dead_process_has_left_is_looked_for_by_the_settings_that_there_are(store, provider, owner, regions):
    of_provider(store, provider).make_ready(owner)
    relays._pools.clear()  # with the process that had them
    relays.end_relays(store)
    assert regions["north"] == set()
    assert states(store, owner) == [EntryState.REMOVED]
