"""Limits that are set for places: kept, changed, seen by whom they concern, and gone with what they are of."""

import pytest

from longshore.configuration import QuotaSettings
from longshore.errors import AccessDenied, Conflict, InvalidInput, NotFound
from longshore.model.limit import Limit, LimitOf, LimitPlace, id_of
from longshore.store import EVERY_PROJECT, Scope


def test_a_figure_that_is_not_named_stays_and_none_lifts_it(store):
    place = LimitPlace(LimitOf.HOST, store.providers.add("vc", "vsphere", {}, {}).id, "esx1")
    first = store.limits.put(place, "", {"at_once": 2})
    assert (first.limit, first.provider, first.plan) == (Limit(place, "", 2), "vc", None)
    assert store.limits.put(place, "", {"bytes_per_second": 1 << 40}).limit == Limit(place, "", 2, 1 << 40)
    assert store.limits.rates([id_of(place, ""), "of nothing"]) == {id_of(place, ""): 1 << 40}
    assert store.limits.put(place, "", {"at_once": None}).limit == Limit(place, "", None, 1 << 40)
    assert store.limits.at_once() == []
    with pytest.raises(InvalidInput, match="would limit nothing"):
        store.limits.put(place, "", {"bytes_per_second": None})
    assert [record.limit for record in store.limits.all()] == [Limit(place, "", None, 1 << 40)], "nothing was changed"
    store.limits.remove(id_of(place, ""))
    assert store.limits.all() == []
    with pytest.raises(NotFound):
        store.limits.remove(id_of(place, ""))


def test_a_limit_goes_with_what_it_is_of(store):
    vc = store.providers.add("vc", "vsphere", {}, {}).id
    plan = store.plans.add("shop", {"name": "shop"}).id
    for place in (
        LimitPlace(LimitOf.SOURCE, vc),
        LimitPlace(LimitOf.DATASTORE, vc, "ds1"),
        LimitPlace(LimitOf.PLAN, plan),
    ):
        store.limits.put(place, "", {"at_once": 1})
    store.plans.remove("shop")
    assert {record.limit.place.of for record in store.limits.all()} == {LimitOf.SOURCE, LimitOf.DATASTORE}
    store.providers.remove("vc")
    assert store.limits.all() == []


def test_a_project_sees_its_own_and_those_for_all_where_it_sees_the_provider_and_sets_its_own_alone(store):
    ann, bob = (store.scoped(Scope(name, quotas=QuotaSettings(limits=2))) for name in ("a", "b"))
    root = store.scoped(Scope("root", everything=True))
    shared = root.providers.add("shared", "vsphere", {}, {}).id
    hidden = root.providers.add("hidden", "vsphere", {}, {}).id
    root.providers.share(shared, EVERY_PROJECT)
    for provider in (shared, hidden):
        root.limits.put(LimitPlace(LimitOf.SOURCE, provider), None, {"at_once": 8})
    ann.limits.put(LimitPlace(LimitOf.SOURCE, shared), "a", {"at_once": 2})
    ann.limits.put(LimitPlace(LimitOf.PROJECT, "a"), "a", {"at_once": 3})

    assert [(r.provider, r.limit.project_id) for r in ann.limits.all()] == [
        (None, "a"),
        ("shared", None),
        ("shared", "a"),
    ]
    assert [(r.provider, r.limit.project_id) for r in bob.limits.all()] == [("shared", None)]
    assert len(root.limits.all()) == 4
    for project in (None, "a"):
        with pytest.raises(AccessDenied):
            bob.limits.put(LimitPlace(LimitOf.SOURCE, shared), project, {"at_once": 100})
    with pytest.raises(AccessDenied):
        bob.limits.remove(id_of(LimitPlace(LimitOf.SOURCE, shared), None))
    with pytest.raises(NotFound):
        bob.limits.remove(id_of(LimitPlace(LimitOf.SOURCE, shared), "a"))
    with pytest.raises(Conflict, match="has 2 limits, and may have 2"):
        ann.limits.put(LimitPlace(LimitOf.HOST, shared, "esx1"), "a", {"at_once": 1})
    ann.limits.put(LimitPlace(LimitOf.SOURCE, shared), "a", {"at_once": 1})
    assert len(store.limits.at_once()) == 4, "the engine sees them all"
