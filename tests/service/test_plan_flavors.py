"""Flavors for a plan are made with it or not at all."""

import sqlite3
from contextlib import closing, contextmanager
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest
from openstack import exceptions as sdk

from longshore.errors import AccessDenied, Conflict, Unreachable
from longshore.model.target import Flavor
from longshore.planning.proposal import FlavorGap
from longshore.providers.openstack.placement import Placement
from longshore.service.plan_flavors import made_flavors, remove_abandoned
from longshore.store import StateDirectory, Store

PLAN = "a-plan"
GAPS = [FlavorGap(1, 256), FlavorGap(2, 512)]


class Clouds:
    """One target, which keeps its flavors."""

    def __init__(self, store, most=9):
        self.there = {}
        self.most = most
        self.keeps = False  # and can't be made to give one up
        self.store = store

    @contextmanager
    def target(self, _provider):
        yield self

    def create_flavor(self, name, cpus, memory_mib, flavor_id):
        with closing(sqlite3.connect(self.store.state.root / "longshore.db")) as database:
            assert (flavor_id, name) in database.execute("SELECT id, name FROM plan_flavors").fetchall()
        if len(self.there) == self.most:
            raise AccessDenied("No more.")
        self.there[flavor_id] = Flavor(flavor_id, name, cpus, memory_mib, 0)
        return self.there[flavor_id]

    def delete_flavor(self, flavor_id):
        if self.keeps:
            raise Unreachable("The cloud doesn't answer.")
        self.there.pop(flavor_id, None)


@pytest.fixture
def store(tmp_path):
    store = Store(StateDirectory(tmp_path / "state"))
    store.providers.add("cloud", "openstack", {}, {})
    yield store
    store.close()


@pytest.fixture
def making(store):
    """Flavors for a plan of this id."""

    def making(clouds):
        return made_flavors(store, clouds, store.providers.get("cloud").id, PLAN, GAPS)

    return making


def in_the_ledger(store):
    return {flavor.id for flavor in store.plan_flavors.of_plan(PLAN)}


def test_they_stay_with_the_plan_and_the_ledger_has_them(store, making):
    clouds = Clouds(store)
    with making(clouds) as made:
        assert [flavor.id for flavor in made] == list(clouds.there)
    assert len(clouds.there) == 2
    assert in_the_ledger(store) == clouds.there.keys()


def test_none_is_left_when_one_of_them_cannot_be_made(store, making):
    clouds = Clouds(store, most=1)
    with pytest.raises(AccessDenied, match="No more"), making(clouds):
        raise AssertionError("there is no plan")
    assert clouds.there == {}
    assert in_the_ledger(store) == set()


def test_none_is_left_without_a_plan(store, making):
    clouds = Clouds(store)
    with pytest.raises(Conflict), making(clouds):
        raise Conflict("A plan named shop is there already.")
    assert clouds.there == {}
    assert in_the_ledger(store) == set()


def test_one_that_cannot_be_removed_is_named_kept_in_mind_and_removed_later(store, making):
    clouds = Clouds(store)
    clouds.keeps = True
    with (
        pytest.raises(Conflict, match=r"not removed again: flavor longshore-.*, longshore-") as refused,
        making(clouds),
    ):
        raise Conflict("A plan named shop is there already.", advice="Choose another.")
    assert refused.value.advice == "Choose another."
    assert in_the_ledger(store) == clouds.there.keys()
    clouds.keeps = False
    remove_abandoned(store, clouds)  # somebody may be at it just now
    assert len(clouds.there) == 2
    age(store)
    remove_abandoned(store, clouds)
    assert clouds.there == {}
    assert in_the_ledger(store) == set()


def test_one_that_was_there_is_not_ours_to_remove(store, making):
    clouds = Clouds(store)
    clouds.there["theirs"] = Flavor("theirs", "longshore-1c-256m", 1, 256, 0)
    ours = clouds.create_flavor
    clouds.create_flavor = lambda name, *more: clouds.there["theirs"] if "-1c-" in name else ours(name, *more)
    with pytest.raises(Conflict), making(clouds):
        assert len(in_the_ledger(store)) == 1
        raise Conflict("A plan named shop is there already.")
    assert set(clouds.there) == {"theirs"}


def test_those_of_a_plan_that_is_kept_are_never_taken_for_abandoned(store, making):
    clouds = Clouds(store)
    with making(clouds):
        store.plans.add("shop", {"name": "shop"}, plan_id=PLAN)
    age(store)
    remove_abandoned(store, clouds)
    assert len(clouds.there) == 2
    store.plans.remove("shop")  # now they are the user's
    assert in_the_ledger(store) == set()
    remove_abandoned(store, clouds)
    assert len(clouds.there) == 2


def age(store):
    """An hour goes by."""
    with closing(sqlite3.connect(store.state.root / "longshore.db")) as database, database:
        database.execute("UPDATE plan_flavors SET written_at = datetime('now', '-1 hour')")


def test_one_that_its_project_may_not_use_is_not_left_in_the_cloud():
    compute = MagicMock()
    compute.flavors.return_value = []
    compute.create_flavor.return_value = SimpleNamespace(id="f-1")
    compute.flavor_add_tenant_access.side_effect = sdk.ForbiddenException("no", http_status=403)
    with pytest.raises(AccessDenied):
        Placement(MagicMock(compute=compute)).create_flavor("longshore-1c-256m", 1, 256, "f-1")
    assert compute.create_flavor.call_args.kwargs["id"] == "f-1"
    compute.delete_flavor.assert_called_once_with(compute.create_flavor.return_value, ignore_missing=True)
