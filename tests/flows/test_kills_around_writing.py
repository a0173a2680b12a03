"""Processes that write a machine's disks through a proxy are killed at any moment: nothing stays attached, and all can
be had back as it was.

Processes take a snapshot that keeps what the disks hold, attach and write them, look at what is there then, take the
machine back and remove the snapshot, over and over, each from where the one before was killed. Between the kills
answers of the vCenter are lost, a proxy's guest dies, and somebody tries to power the machine on.
LONGSHORE_KILLS says how many kills there are, LONGSHORE_SEED which they are.
"""

# ruff: noqa: F401, F811 fixtures of another test

import hashlib
import random
import time
from collections import Counter

import nbd
import pytest
import test_kills_around_a_proxy as readers
from test_kills_around_a_proxy import (
    KILLS,
    PROXIES,
    ROUNDS,
    SEED,
    Jobs,
    back_to_health,
    begin,
    jobs,
    place,
    seconds_of_a_round,
    trouble,
)
from vsphere_proxy import CONTENT, DATA, GOODS, MIB, ROOT, SIZE

from longshore.errors import LongshoreError
from longshore.flows import relays
from longshore.flows.clouds import Clouds
from longshore.flows.undo import undo
from longshore.model.target import Owner
from longshore.store import EntryState, StateDirectory, Store, ThingKind

pytestmark = pytest.mark.long

FEWER = 2  # times fewer kills than of readers: a round is longer


@pytest.fixture(autouse=True)
def one_machine(monkeypatch):
    monkeypatch.setattr(readers, "MACHINES", (GOODS,))
    monkeypatch.setattr(Jobs, "read_once", write_once)


def write_once(self, store, job):
    """Do as the steps of a failback do: each finds what an earlier run of it has made."""
    machine_ref = self.refs[job]
    taken = [e for e in store.ledger.entries(job) if e.kind is ThingKind.HOME_SNAPSHOT]
    begun = next((e.step for e in taken if e.state is not EntryState.REMOVED), f"home-{len(taken)}")
    owner = Owner(job, begun)
    entry = store.ledger.intend(owner, self.provider, ThingKind.HOME_SNAPSHOT, machine_ref)
    words = str(len(taken)).encode().ljust(512, b".")
    with Clouds(store).source(self.provider) as source:
        home = source.snapshot(machine_ref, "s", owner, quiesce=False)
        store.ledger.settle(entry.id, EntryState.MADE, ref=home.ref)
        for key in (ROOT, DATA):
            with source.open_disk_to_write(home, key, SIZE) as export:
                handle = connected(export)
                handle.pwrite(words, 2 * MIB)
                handle.shutdown()
        for key in (ROOT, DATA):
            with source.open_disk_to_write(home, key, SIZE) as export:
                handle = connected(export)
                assert bytes(handle.pread(512, 2 * MIB)) == words, "what was written isn't there"
                assert bytes(handle.pread(MIB, 0)) == CONTENT[:MIB], "something else was written"
                handle.shutdown()
        with source.open_disk(home, ROOT) as export:
            assert bytes(connected(export).pread(SIZE, 0)) == CONTENT, "what the snapshot keeps was written"
        source.revert(machine_ref, home.ref)
        source.remove_snapshot(machine_ref, home.ref)
    store.ledger.settle(entry.id, EntryState.REMOVED)


def connected(export):
    handle = nbd.NBD()
    handle.set_uri_allow_local_file(True)
    handle.connect_uri(export.uri)
    return handle


def powered_on_by_somebody(place, machine_ref):
    """Tell whether somebody could power the machine on; whoever did turns it off again."""
    with place.source() as source:
        try:
            source.power_on(machine_ref)
        except LongshoreError as error:
            assert error.code == "file-locked", error
            return False
        source.power_off(machine_ref)
    return True


@pytest.mark.turns("a proxy's many kills")
@pytest.mark.timeout(240 + KILLS * 20)
def test_nothing_is_left_of_whoever_died_and_all_can_be_had_back(place, jobs, capsys):
    ((job, machine_ref),) = jobs.refs.items()
    drawn, found = random.Random(SEED), Counter()
    longest = ROUNDS * seconds_of_a_round(jobs)
    for _ in range(KILLS // FEWER):
        trouble(place, drawn)
        process = begin(jobs)
        process.join(drawn.uniform(0.1, longest))
        assert process.exitcode is None, "a process has ended by a fault: see what it printed"
        process.kill()
        process.join()
        time.sleep(drawn.choice((0, 0.2)))
        writing = [file for file in attached(place) if file not in held(place)]
        found["attached to write"] += bool(writing)
        found["a snapshot"] += bool(held(place))
        if writing and drawn.randrange(3) == 0:
            if powered_on_by_somebody(place, machine_ref):  # a task that was under way has detached them
                assert not set(writing) & set(attached(place))
            else:
                found["somebody had to wait"] += 1
    back_to_health(place)
    store = Store(StateDirectory(jobs.state))
    try:
        assert undo(store, Clouds(store), job) == []
        assert {entry.state for entry in store.ledger.entries(job)} == {EntryState.REMOVED}
        relays.end_relays(store)
    finally:
        store.close()
    machine = place.door.machine(GOODS)
    assert attached(place) == []
    assert (machine["snapshots"], machine["consolidation_needed"]) == ([], False)
    assert set(place.digests().values()) == {hashlib.sha256(CONTENT).hexdigest()}
    assert powered_on_by_somebody(place, machine_ref)
    assert found["attached to write"], "no process died with something attached"
    with capsys.disabled():
        said = Counter(jobs.log.read_text().splitlines())
        print(f"\n{KILLS // FEWER} kills from seed {SEED}: left behind {dict(found)}; {dict(said)}")


def held(place):
    """Return the files that snapshots hold."""
    return {name for snapshot in place.door.machine(GOODS)["snapshots"] for name in snapshot["names"].values()}


def attached(place):
    return [file for name in PROXIES for file in place.door.machine(name)["foreign"]]
