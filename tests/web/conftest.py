import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))
sys.path.insert(0, str(Path(__file__).parents[1] / "flows"))

from browser import Browser
from cloud_stand_in import Cloud
from crowd import crowd
from many import Many, settings_for
from small_fleet import Fleet, fleet_connect
from small_keystone import small_keystone

from answered import answer
from filled import fill
from longshore.providers.registry import connect as really_connect
from longshore.store import StateDirectory, Store

LITTLE = 4096  # bytes at the ends of disks that nobody copies


def connect(kind, settings, secrets, side=None, servers=None, **kept):
    """A cloud that is asked for its own machines has the same three; vaults are what they are."""
    if kind == "vault":
        return really_connect(kind, settings, secrets, side, servers, **kept)
    return fleet_connect("vsphere" if side == "source" else kind, settings, secrets, side, servers)


def no_engine(patch, store):
    """Nothing here needs a migration to run, and checks are run at once: it is as if an engine were at work."""
    answer(patch, store)
    patch.setattr("longshore.engine.stranded.is_locked", lambda _state: True)


def with_machines(store, directory, patch):
    """Its providers, vc and cloud, have three small machines."""
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        patch.setattr(f"{module}.connect", connect)
    settings = {"root": str(Fleet.create(directory / "fleet", data=LITTLE).root)}
    store.providers.add("vc", "vsphere", settings, {"password": "x"})
    store.providers.add("cloud", "openstack", settings, {"password": "x"})


@pytest.fixture
def store(tmp_path, monkeypatch):
    store = Store(StateDirectory(tmp_path / "state"))
    no_engine(monkeypatch, store)
    yield store
    store.close()


@contextmanager
def store_of_a_module(directory):
    """Yield a store with machines, which no test changes."""
    with pytest.MonkeyPatch.context() as patch:
        store = Store(StateDirectory(directory / "state"))
        no_engine(patch, store)
        with_machines(store, directory, patch)
        yield store
        store.close()


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """Yield a store with something of everything, which no test changes; and the ids of what is in it."""
    with store_of_a_module(tmp_path_factory.mktemp("everything")) as store:
        yield store, fill(store)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """Yield a browser of a store in the middle of a large move, which no test changes."""
    with store_of_a_module(tmp_path_factory.mktemp("many")) as store:
        crowd(store)
        yield Browser(store).opened()


@pytest.fixture
def browser(store, monkeypatch):
    """One that has followed the link; the clouds that it adds have one machine each."""
    for module in ("longshore.flows.clouds", "longshore.service.providers"):
        monkeypatch.setattr(f"{module}.connect", Cloud)
    return Browser(store).opened()


@pytest.fixture
def three_machines(store, tmp_path, monkeypatch):
    with_machines(store, tmp_path, monkeypatch)
    return store


@pytest.fixture
def fleet(three_machines):
    """Open a browser of them."""
    return Browser(three_machines).opened()


@pytest.fixture
def filled(fleet):
    """Fill it with something of everything: plans, migrations in all states, replicas."""
    fill(fleet.store)
    return fleet


@pytest.fixture(scope="session")
def keystone_():
    with small_keystone() as keystone:
        yield keystone


@pytest.fixture
def keystone(keystone_):
    """Set Keystone back to what it was at the beginning."""
    url = keystone_.url
    keystone_.__init__(url)
    return keystone_


@pytest.fixture
def many(keystone, tmp_path, monkeypatch):
    """Yield a server, with clouds of project red, and a vCenter of project blue."""
    monkeypatch.setattr("longshore.flows.clouds.connect", connect)
    monkeypatch.setattr("longshore.service.providers.connect", Cloud)
    state = StateDirectory(tmp_path / "state", keystone=settings_for(keystone).keystone, secrets="database")
    store = Store(state)
    no_engine(monkeypatch, store)
    many = Many(store, keystone)
    settings = {"root": str(tmp_path / "fleet")}
    for name, kind in (("vc", "vsphere"), ("cloud", "openstack")):
        many.of("red").providers.add(name, kind, settings, {"password": "x"})
    many.of("blue").providers.add("vc-of-blue", "vsphere", settings, {"password": "x"})
    yield many
    store.close()


@pytest.fixture
def many_filled(many, tmp_path):
    """Fill project red with something of everything."""
    Fleet.create(tmp_path / "fleet", data=LITTLE)
    fill(many.of("red"))
    return many


def pytest_collection_modifyitems(items):
    """Sort tests with a browser last: once it is there, its driver has the loop of events of the thread that others
    want. Of these, pages that are only looked at: were a long walk last, all processes but one would wait for its
    end."""
    items.sort(key=lambda item: (item.get_closest_marker("browser") is not None, "test_looks" in item.nodeid))


@pytest.fixture(scope="session")
def chromium():
    from looking import launched

    with launched() as browser:
        yield browser
