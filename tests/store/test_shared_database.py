"""What a PostgreSQL may do to whoever uses it: be away, be restarted, be opened by several at the same moment."""

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from longshore.errors import Conflict, InvalidInput, Unreachable
from longshore.store import StateDirectory, Store
from longshore.store.database import PATIENCE, Database
from postgresql import PASSWORD
from queued import queue_migration


@pytest.mark.long
def test_calls_wait_for_a_database_that_is_restarted(postgresql, tmp_path, caplog):
    store = Store(StateDirectory(tmp_path, postgresql.database()))
    try:
        store.providers.add("before", "vsphere", {}, {})
        postgresql.stop()
        back = threading.Timer(0.7, postgresql.start)
        began = time.monotonic()
        back.start()
        store.providers.add("meanwhile", "vsphere", {}, {})
        assert time.monotonic() - began > 0.5
        back.join()
        assert [p.name for p in store.providers.all()] == ["before", "meanwhile"]
        assert PASSWORD not in caplog.text
    finally:
        store.close()


def test_a_database_that_stays_away_is_said_without_its_password(postgresql, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("longshore.store.database.PATIENCE", 0.3)
    nobody = f"postgresql+psycopg://longshore:{PASSWORD}@127.0.0.1:9/x"
    refused = postgresql.database().replace(PASSWORD, wrong := PASSWORD[::-1])
    for url in (nobody, refused):
        with pytest.raises(Unreachable, match="doesn't answer") as caught:
            Database(url)
        for said in (str(caught.value), caplog.text, repr(StateDirectory("x", url))):
            assert PASSWORD not in said and wrong not in said
    with pytest.raises(InvalidInput) as caught:
        Database(f"postgresql+psycopg//{PASSWORD}")
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        "postgresql+psycopg://longshore:secret-word@127.0.0.1:no-port/db",
        "postgresql+psycopg://longshore:half@secret-word/of@127.0.0.1/db",  # whose host would be secret-word
        "nothing like it, secret-word",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_password(address):
    with pytest.raises(InvalidInput, match="database") as refused:
        Database(address)
    assert "secret-word" not in str(refused.value)


def test_several_open_a_new_database_at_once(postgresql, tmp_path):
    url = postgresql.database()
    with ThreadPoolExecutor(4) as pool:
        for database in list(pool.map(lambda _: Database(url), range(4))):
            database.close()


def test_one_machine_is_not_migrated_twice_at_once_by_two_who_ask_at_the_same_moment(postgresql, tmp_path):
    store = Store(StateDirectory(tmp_path, postgresql.database()))
    cloud = store.providers.add("cloud", "openstack", {}, {}).id

    def ask(_):
        try:
            return queue_migration(
                store.migrations, machine_name="web", machine_ref="vm-1", source_id=cloud, target_id=cloud, request={}
            )
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        assert len([record for record in pool.map(ask, range(8)) if record]) == 1
    store.close()


def test_what_a_guest_prints_is_told_even_if_it_is_no_text(postgresql, tmp_path):
    store = Store(StateDirectory(tmp_path, postgresql.database()))
    cloud = store.providers.add("cloud", "openstack", {}, {}).id
    record = queue_migration(
        store.migrations, machine_name="web", machine_ref="vm-1", source_id=cloud, target_id=cloud, request={}
    )
    store.events.say(record.id, "checking", "login\0:")
    assert store.events.of(record.id)[0].text == "login�:"
    store.close()


def test_a_process_that_sleeps_in_its_turn_at_the_queue_keeps_nobody_else_from_it(postgresql, monkeypatch):
    """So does a worker whose virtual machine is suspended: its kernel, or its hypervisor, still answers for it."""
    monkeypatch.setattr("longshore.store.database._IDLE", 1)
    sleeping, awake = (Database(url) for url in [postgresql.database()] * 2)
    tries, asleep, over = [], threading.Event(), threading.Event()

    def sleep():
        with sleeping.alone() as session:
            tries.append(session)
            asleep.set()
            over.wait(30)
            session.execute(text("SELECT 1"))

    with ThreadPoolExecutor(1) as pool:
        slept = pool.submit(sleeping.persist, sleep)
        asleep.wait()
        with awake.alone():
            over.set()
        slept.result()
    assert len(tries) == 2, "it has its turn again when it wakes"
    for database in (sleeping, awake):
        database.close()


def both(store, statement):
    """Have two connections do it."""
    with store.database.session() as one, store.database.session() as other:
        return [session.connection().exec_driver_sql(statement) for session in (one, other)]


@pytest.fixture
def replaced(postgresql, tmp_path):
    """A store whose primary is none any more: its connections and new ones can only read, as from a standby."""
    url = postgresql.database()
    name = url.rpartition("/")[2]
    store = Store(StateDirectory(tmp_path, url))
    store.providers.add("cloud", "vsphere", {}, {})
    both(store, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    postgresql.execute("postgres", f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    promotion = threading.Timer(0.5, lambda: None)

    def promote():
        promotion.begun = True  # who finds the new one may do so before this is over
        postgresql.execute("postgres", f"ALTER DATABASE {name} RESET default_transaction_read_only")

    promotion.function, promotion.begun = promote, False
    yield store, promotion
    store.close()


def test_a_primary_that_can_only_be_read_is_left_for_the_new_one(replaced):
    store, promotion = replaced
    promotion.start()
    store.providers.share("cloud", "somebody")
    promotion.join()
    assert store.providers.shares("cloud") == ["somebody"]
    both(store, "DELETE FROM provider_shares WHERE false")  # also through the connection that nobody had tried


def test_what_a_standby_knows_is_not_asked_for(replaced):
    store, promotion = replaced
    store.database.engine.dispose()
    promotion.start()
    assert [provider.name for provider in store.providers.all()] == ["cloud"]
    assert promotion.begun
    promotion.join()


def test_that_it_can_only_be_read_is_said_of_a_database(replaced, monkeypatch):
    store, _ = replaced
    monkeypatch.setattr(store.database, "patience", 0.3)
    with pytest.raises(Unreachable, match="read-only"):
        store.providers.share("cloud", "somebody")


def test_a_command_waits_for_longer_than_a_standby_needs_to_become_the_primary():
    assert PATIENCE > 30  # Patroni's least time to live, and an election: three-nodes.md


def warned(url, caplog):
    caplog.clear()
    database = Database(url)
    database.warn_of_losses()
    database.close()
    return "acknowledges before a standby has it" in caplog.text


def test_a_database_that_would_lose_what_it_acknowledged_is_told_of_at_the_start(postgresql, caplog):
    url = postgresql.database()
    name, host = url.rpartition("/")[2], f"127.0.0.1:{postgresql.port}"
    several = url.replace(f"@{host}/{name}", f"@/{name}?host={host}&host={host}")
    assert not warned(url, caplog), "one that has no standby doesn't fail over"
    assert warned(several, caplog)

    def waits_for(names):
        postgresql.execute("postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        postgresql.execute("postgres", "SELECT pg_reload_conf()")
        end = time.monotonic() + 30
        while postgresql.query(url, "SHOW synchronous_standby_names") != [(names,)]:
            assert time.monotonic() < end
            time.sleep(0.05)

    for commit, loses in (("local", True), ("on", False)):
        # Beforehand: each commit would wait for a standby that there isn't
        postgresql.execute("postgres", f"ALTER ROLE longshore IN DATABASE {name} SET synchronous_commit = {commit}")
        waits_for("ANY 1 (node2, node3)")
        try:
            assert warned(several, caplog) == loses
        finally:
            waits_for("")
