"""Whoever chooses from the queue holds its lock: if choosing asked the database, it would wait for a connection behind
those who wait for the lock, and they for it."""

import threading
import time

from longshore.engine.worker import Worker, identity
from longshore.flows.workflows import FLOWS
from longshore.store import NewMigration, StateDirectory, Store


def test_taking_turns_needs_no_second_connection_while_all_others_wait_for_the_queue(tmp_path, monkeypatch):
    store = Store(StateDirectory(tmp_path / "state"))
    source = store.providers.add("vc", "vsphere", {"labels": ["north"]}, {}).id
    plan = store.plans.add("all", {"limits": {"at_once": 2}}).id
    store.migrations.add_together(
        [NewMigration(f"web{n}", f"vm-{n}", source, source, {}, plan_id=plan) for n in range(3)]
    )
    me = identity(capacity=8)
    store.workers.begin_alone(me)
    pool = store.database.engine.pool
    room = pool.size() + pool._max_overflow
    waiting = []

    def write():
        with store.database.alone():
            pass

    def crowd(choose):
        def choosing(lineup):
            waiting.extend(threading.Thread(target=write, daemon=True) for _ in range(room))
            for thread in waiting:
                thread.start()
            while pool.checkedout() < room:
                time.sleep(0.01)
            return choose(lineup)

        return choosing

    take = store.queue.take
    monkeypatch.setattr(store.queue, "take", lambda worker, choose: take(worker, crowd(choose)))
    taken = []
    turn = threading.Thread(target=lambda: taken.extend(Worker(store, me, FLOWS)._take_turns()), daemon=True)
    turn.start()
    turn.join(10)
    assert not turn.is_alive(), "who chooses waits for a connection, and all of those wait for who chooses"
    assert len(taken) == 2
    for thread in waiting:
        thread.join(30)
    store.close()
