import os
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import select, update

from longshore.errors import ChangedMeanwhile, Conflict, NotFound
from longshore.model.status import Status
from longshore.model.target import Owner
from longshore.store import EntryState, ThingKind
from longshore.store.secrets import SecretBox, SecretsError
from longshore.store.tables import Base, SecretRow
from queued import queue_migration


def add_migration(store):
    source = store.providers.add("vc", "vsphere", {}, {})
    target = store.providers.add("cloud", "openstack", {}, {})
    return queue_migration(
        store.migrations, machine_name="web", machine_ref="vm-1", source_id=source.id, target_id=target.id, request={}
    )


def test_secrets_come_back_and_are_nowhere_in_clear(store):
    secret = "correct horse battery staple"
    record = store.providers.add("vc", "vsphere", {"host": "h"}, {"password": secret})
    assert store.providers.secrets(record.id) == {"password": secret}
    for path in store.state.root.rglob("*"):
        assert secret.encode() not in path.read_bytes(), path
    with store.database.session() as session:
        for table in Base.metadata.sorted_tables:
            assert secret not in str(session.execute(select(table)).all())


def test_everything_kept_is_its_owners_alone(store):
    store.providers.add("vc", "vsphere", {}, {"password": "x"})
    assert store.state.root.stat().st_mode & 0o077 == 0
    for path in store.state.root.iterdir():
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_key_that_others_can_read_is_refused(store):
    record = store.providers.add("vc", "vsphere", {}, {"password": "x"})
    store.state.key_file.chmod(0o644)
    with pytest.raises(SecretsError, match="chmod 600"):
        store.providers.secrets(record.id)


def test_a_secret_moved_to_another_provider_does_not_open(store):
    first = store.providers.add("a", "vsphere", {}, {"password": "x"})
    second = store.providers.add("b", "vsphere", {}, {"password": "y"})
    with store.database.session() as session:
        sealed = session.scalars(select(SecretRow.sealed).where(SecretRow.provider_id == first.id)).one()
        session.execute(update(SecretRow).where(SecretRow.provider_id == second.id).values(sealed=sealed))
    with pytest.raises(SecretsError):
        store.providers.secrets(second.id)


def sealed(store):
    with store.database.session() as session:
        return list(session.scalars(select(SecretRow.sealed)))


def test_a_new_key_opens_everything_and_the_old_one_nothing(store):
    ids = [store.providers.add(name, "vsphere", {}, {"password": f"of {name}"}).id for name in ("a", "b")]
    key, before = store.state.key_file.read_bytes(), sealed(store)
    assert store.providers.change_key() == 2
    assert [store.providers.secrets(i)["password"] for i in ids] == ["of a", "of b"]
    assert store.state.key_file.read_bytes() != key
    assert store.state.key_file.stat().st_mode & 0o077 == 0
    assert not set(sealed(store)) & set(before)
    store.state.key_file.write_bytes(key)
    with pytest.raises(SecretsError):
        store.providers.secrets(ids[0])


@pytest.mark.parametrize("step", ["alone", "forget"])
def test_a_change_of_keys_that_is_broken_off_loses_nothing(store, monkeypatch, step):
    first = store.providers.add("a", "vsphere", {}, {"password": "of a"})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def cut(*_):
            raise KeyboardInterrupt

        if step == "alone":
            patch.setattr(store.database, "alone", cut)
        else:
            patch.setattr(SecretBox, "forget_old_keys", cut)
        store.providers.change_key()
    assert store.providers.secrets(first.id) == {"password": "of a"}
    second = store.providers.add("b", "vsphere", {}, {"password": "of b"})
    store.providers.change_key()
    assert [store.providers.secrets(p.id)["password"] for p in (first, second)] == ["of a", "of b"]
    assert len(store.state.key_file.read_bytes()) == 32


def test_a_damaged_key_file_is_said(store):
    record = store.providers.add("a", "vsphere", {}, {"password": "x"})
    store.state.key_file.write_bytes(b"short")
    with pytest.raises(SecretsError, match="5 bytes"):
        store.providers.secrets(record.id)


def test_a_missing_key_says_what_to_do(store):
    record = store.providers.add("a", "vsphere", {}, {"password": "x"})
    os.unlink(store.state.key_file)
    with pytest.raises(SecretsError, match="add it again"):
        store.providers.secrets(record.id)


def test_provider_names_are_unique_and_missing_ones_are_not_found(store):
    store.providers.add("vc", "vsphere", {}, {})
    with pytest.raises(Conflict):
        store.providers.add("vc", "openstack", {}, {})
    with pytest.raises(NotFound):
        store.providers.get("nobody")


def test_a_provider_in_use_stays_until_its_migrations_are_deleted(store):
    record = add_migration(store)
    with pytest.raises(Conflict):
        store.providers.remove("vc")
    store.migrations.update(record.id, status=Status.DONE)
    store.migrations.remove(record.id)
    store.providers.remove("vc")
    assert [p.name for p in store.providers.all()] == ["cloud"]


def test_one_machine_is_not_migrated_twice_at_once(store):
    record = add_migration(store)
    again = {"machine_name": "web", "machine_ref": "vm-1", "source_id": record.source_id}
    with pytest.raises(Conflict, match=record.id):
        queue_migration(store.migrations, **again, target_id=record.target_id, request={})
    store.migrations.update(record.id, status=Status.FAILED)
    assert queue_migration(store.migrations, **again, target_id=record.target_id, request={}).id != record.id


def test_the_beginning_of_an_id_is_enough(store):
    record = add_migration(store)
    assert store.migrations.get(record.id[:6]).id == record.id
    for nobody in ("zzz", "", "%"):
        with pytest.raises(NotFound):
            store.migrations.get(nobody)


def test_a_migration_that_left_something_behind_is_not_forgotten(store):
    record = add_migration(store)
    entry = store.ledger.intend(Owner(record.id, "volume-1"), record.target_id, ThingKind.VOLUME)
    store.migrations.update(record.id, status=Status.FAILED)
    with pytest.raises(Conflict, match="volume-1"):
        store.migrations.remove(record.id)
    store.ledger.settle(entry.id, EntryState.REMOVED)
    store.migrations.remove(record.id)
    assert store.migrations.all() == []


def test_the_ledger_answers_the_same_entry_to_a_second_run(store):
    record = add_migration(store)
    owner = Owner(record.id, "volume-1")
    first = store.ledger.intend(owner, record.target_id, ThingKind.VOLUME)
    store.ledger.settle(first.id, EntryState.MADE, ref="v-1")
    again = store.ledger.intend(owner, record.target_id, ThingKind.VOLUME)
    assert (again.id, again.ref, again.state) == (first.id, "v-1", EntryState.MADE)


def test_what_is_made_once_more_is_in_the_ledger_before_it_exists(store):
    record = add_migration(store)
    owner = Owner(record.id, "server")
    first = store.ledger.intend(owner, record.target_id, ThingKind.SERVER)
    store.ledger.settle(first.id, EntryState.MADE, ref="s-1")
    store.ledger.settle(first.id, EntryState.REMOVED, note="taken back")
    again = store.ledger.intend(owner, record.target_id, ThingKind.SERVER)
    assert (again.id, again.ref, again.state, again.note) == (first.id, None, EntryState.INTENDED, None)


def test_times_are_stamped_once(store):
    record = add_migration(store)
    store.migrations.stamp(record.id, "source_off_at")
    first = store.migrations.get(record.id).source_off_at
    store.migrations.stamp(record.id, "source_off_at")
    assert store.migrations.get(record.id).source_off_at == first


def test_of_those_who_change_the_same_plan_at_the_same_moment_one_is_told_that_it_did(store):
    seen = store.plans.add("shop", {"name": "shop", "machines": []})
    together = Barrier(6)

    def change(number):
        together.wait()
        try:
            return store.plans.replace("shop", {"name": "shop", "description": str(number)}, seen.version).content
        except ChangedMeanwhile:
            return None

    with ThreadPoolExecutor(6) as pool:
        found = [said for said in pool.map(change, range(6)) if said is not None]
    kept = store.plans.get("shop")
    assert found == [kept.content]
    assert kept.revision == seen.revision + 1
    with pytest.raises(ChangedMeanwhile):
        store.plans.replace("shop", kept.content, f"another-{kept.revision}")
    assert store.plans.replace("shop", kept.content, kept.version).version == kept.version, "it says the same already"
    store.plans.remove("shop")
    again = store.plans.add("shop", {"name": "shop", "machines": []})
    with pytest.raises(ChangedMeanwhile):
        store.plans.replace("shop", kept.content, seen.version)
    assert again.version != seen.version, "another plan of the name"
