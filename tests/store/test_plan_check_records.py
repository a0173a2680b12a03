"""Checks of plans as databases keep them."""

import pytest
from sqlalchemy import select, update

from longshore.errors import NotFound
from longshore.store import Scope
from longshore.store.tables import PlanCheckPartRow, PlanCheckRow, utc_now

PLAN = {"name": "shop", "source": "vc", "target": "cloud", "machines": []}


@pytest.fixture
def plan(store):
    return store.plans.add("shop", PLAN)


def test_parts_are_told_from_any_one_on_and_only_while_it_is_wanted(store, plan):
    begun = store.plan_checks.begin(plan, {}, 3)
    assert store.plan_checks.under_way() == 1
    assert store.plan_checks.add_part(begun.id, 1, [{"code": "a"}], 2)
    assert store.plan_checks.add_part(begun.id, 1, [{"code": "a"}], 2), "its answer was lost"
    assert store.plan_checks.sign(begun.id)
    assert store.plan_checks.add_part(begun.id, 2, [], 3)
    assert store.plan_checks.parts(begun.id, 0) == [(1, [{"code": "a"}]), (2, [])]
    assert store.plan_checks.parts(begun.id, 1) == [(2, [])]
    store.plan_checks.end(begun.id, "done")
    store.plan_checks.cancel(plan.id, begun.id)
    found = store.plan_checks.get(plan.id, begun.id)
    assert (found.state, found.done, found.version) == ("done", 3, plan.version)
    assert not store.plan_checks.add_part(begun.id, 3, [], 3)
    assert store.plan_checks.under_way() == 0


def test_the_next_one_of_a_changed_plan_ends_those_of_before(store, plan):
    before = store.plan_checks.begin(plan, {}, 0)
    changed = store.plans.replace("shop", PLAN | {"description": "more"})
    after = store.plan_checks.begin(changed, {}, 0)
    assert store.plan_checks.get(plan.id, before.id).state == "cancelled"
    assert store.plan_checks.get(plan.id, after.id).state == "running"
    store.plans.replace("shop", PLAN)
    assert not store.plan_checks.sign(after.id)
    assert store.plan_checks.get(plan.id, after.id).error["code"] == "changed-meanwhile"


def test_they_go_after_a_day_and_with_their_plan(store, plan):
    old = store.plan_checks.begin(plan, {}, 0)
    store.plan_checks.add_part(old.id, 1, [], 0)
    with store.database.session() as session:
        session.execute(update(PlanCheckRow).values(created_at=utc_now().replace(year=2020)))
    new = store.plan_checks.begin(plan, {}, 0)
    with pytest.raises(NotFound):
        store.plan_checks.get(plan.id, old.id)
    store.plan_checks.add_part(new.id, 1, [], 0)
    with pytest.raises(NotFound):
        store.scoped(Scope("another")).plan_checks.get(plan.id, new.id)
    store.plans.remove("shop")
    assert not store.plan_checks.sign(new.id)
    with store.database.session() as session:
        assert session.scalars(select(PlanCheckPartRow)).all() == []
