"""Texts that may hold passwords: where they stand in plans and migrations, and that they stand nowhere else."""

import pytest
from sqlalchemy import select

from longshore.errors import InvalidInput
from longshore.store import NewMigration, Store
from longshore.store.tables import Base, TextRow

CLOUD_CONFIG = "#cloud-config\npassword: correct horse\n"
SCRIPT = "echo battery staple | passwd --stdin root\n"
PLAN = {
    "name": "shop",
    "source": "vc",
    "target": "cloud",
    "defaults": {"user_data": CLOUD_CONFIG, "verify": "full"},
    "machines": [{"machine": "web", "first_boot": [SCRIPT, "reboot"], "user_data": ""}, {"machine": "db"}],
}


@pytest.fixture
def store(each_state):
    store = Store(each_state)
    store.providers.add("vc", "vsphere", {}, {})
    store.providers.add("cloud", "openstack", {}, {})
    yield store
    store.close()


def new(store, request, **more):
    source, target = store.providers.get("vc").id, store.providers.get("cloud").id
    return NewMigration(more.pop("ref", "vm-1"), more.pop("name", "web"), source, target, request, **more)


def add(store, request, **more):
    return store.migrations.add_together([new(store, request, **more)])[0]


def assert_nowhere_in_clear(store):
    with store.database.session() as session:
        everything = "".join(str(session.execute(select(table)).all()) for table in Base.metadata.sorted_tables)
    for part in ("correct horse", "battery staple", "cloud-config"):
        assert part not in everything


def texts(store):
    with store.database.session() as session:
        return len(session.scalars(select(TextRow)).all())


def test_marks_stand_in_their_place_and_say_how_long_they_are(store):
    content = store.plans.add("shop", PLAN).content
    mark = content["defaults"]["user_data"]
    assert mark.startswith(f"({len(CLOUD_CONFIG)} characters, kept encrypted: ")
    assert content["machines"][0]["user_data"] == ""  # that there is to be none is no secret
    assert content["defaults"]["verify"] == "full"
    migration = add(store, {"user_data": CLOUD_CONFIG, "first_boot": [SCRIPT]})
    assert store.migrations.text(migration.id, migration.request["user_data"]) == CLOUD_CONFIG
    assert store.migrations.text(migration.id, migration.request["first_boot"][0]) == SCRIPT
    assert_nowhere_in_clear(store)


def test_a_plan_that_comes_back_with_its_marks_means_its_texts(store):
    first = store.plans.add("shop", PLAN)
    for same in (PLAN, first.content):
        again = store.plans.replace("shop", same)
        assert (again.content, again.changed_at) == (first.content, first.changed_at)
    assert store.plans.with_texts("shop") == PLAN
    assert texts(store) == 3
    edited = {**first.content, "description": "new", "defaults": {"user_data": "#!/bin/sh\n"}}
    record = store.plans.replace("shop", edited)
    assert record.content["machines"] == first.content["machines"]
    assert texts(store) == 3  # the one that it no longer has is gone
    started = add(store, {"first_boot": record.content["machines"][0]["first_boot"]}, plan_id=record.id)
    store.migrations.update(started.id, status="done")
    store.plans.remove("shop")
    assert store.migrations.text(started.id, started.request["first_boot"][0]) == SCRIPT
    assert texts(store) == 2
    store.migrations.remove(started.id)
    assert texts(store) == 0


def test_a_mark_is_its_owners_alone(store):
    content = store.plans.add("shop", PLAN).content
    mark = content["defaults"]["user_data"]
    for stranger in (
        lambda: store.plans.add("other", {**content, "name": "other"}),
        lambda: add(store, {"user_data": mark}),
    ):
        with pytest.raises(InvalidInput, match=r"only stands for a text.*Give the text itself"):
            stranger()
    assert [plan.name for plan in store.plans.all()] == ["shop"]
    assert store.migrations.all() == []
    theirs = add(store, {"user_data": CLOUD_CONFIG})
    with pytest.raises(InvalidInput):
        store.migrations.text(theirs.id, mark)


def test_a_later_conversion_has_the_texts_of_what_it_goes_back_to(store):
    earlier = add(store, {"first_boot": [SCRIPT]})
    store.migrations.update(earlier.id, status="done")
    later = add(store, {**earlier.request, "of": earlier.id})
    assert later.request["first_boot"] != earlier.request["first_boot"]
    assert store.migrations.text(later.id, later.request["first_boot"][0]) == SCRIPT


def test_a_new_key_opens_them(store):
    plan = store.plans.add("shop", PLAN)
    migration = add(store, {"user_data": CLOUD_CONFIG, "first_boot": [SCRIPT]})
    assert store.migrations.text(migration.id, SCRIPT) == SCRIPT  # in the place of a mark, it is what it is
    key = store.state.key_file.read_bytes()
    assert store.providers.change_key() == 5
    assert store.state.key_file.read_bytes() != key
    assert_nowhere_in_clear(store)
    request = store.migrations.get(migration.id).request
    assert store.migrations.text(migration.id, request["user_data"]) == CLOUD_CONFIG
    assert store.migrations.text(migration.id, request["first_boot"][0]) == SCRIPT
    assert store.plans.replace(plan.name, PLAN).content == store.plans.get(plan.name).content
