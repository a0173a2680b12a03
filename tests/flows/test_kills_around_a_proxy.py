"""Whoever dies while disks are read through a proxy, and whenever: nothing of a machine stays attached, no snapshot of
ours stays, nothing is left to consolidate, and not a byte of it has changed.

Processes take snapshots of three machines side by side, attach and read their disks, detach them and remove the
snapshots, over and over, each from where the one before was killed. There are two proxies. Between the kills answers of
the vCenter are lost, others change a proxy, and a proxy's guest dies, for a few lives or for one.
LONGSHORE_KILLS says how many kills there are, LONGSHORE_SEED which they are.
"""

import hashlib
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import nbd
import pytest

from longshore.engine import undoing
from longshore.errors import ExportError, LongshoreError
from longshore.flows import relays
from longshore.flows.clouds import Clouds
from longshore.flows.undo import undo
from longshore.model.target import Owner
from longshore.providers.vsphere import proxy_machine, proxy_pool
from longshore.store import EntryState, StateDirectory, Store, ThingKind
from queued import queue_migration

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from vsphere_proxy import CONTENT, DATA, MIB, PROXY, ROOT, SIZE, vcenter_at

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("LONGSHORE_KILLS", "20"))
SEED = int(os.environ.get("LONGSHORE_SEED", "1000"))
PROXIES = (PROXY, "second")
MACHINES = ("goods", "wares", "crates")
ROUNDS = 3.0  # that the longest of these lives would take when nothing happens, and it knew the proxies already
FIRST_ROUND = 300.0  # seconds that one may take on a machine that does much else
_TRIED_AGAIN_AFTER = 0.05
_READING = 0.02  # seconds that a MiB takes, so that some die while they read


class Jobs:
    """What is known of the work outside of the processes that do it: a migration of each machine."""

    def __init__(self, directory, place, refs):
        self.state, self.log = directory / "state", directory / "log"
        self.doing = directory / "doing"  # what is done with each machine
        self.doing.mkdir()
        store = Store(StateDirectory(self.state))
        self.provider = store.providers.add("vc", "vsphere", *place.provider(*PROXIES)).id
        ids = {"source_id": self.provider, "target_id": self.provider}
        self.refs = {
            queue_migration(store.migrations, machine_name=name, machine_ref=ref, request={}, **ids).id: ref
            for name, ref in refs.items()
        }
        store.close()

    def live(self):
        """Work on all machines until killed. In a process of its own."""
        store = Store(StateDirectory(self.state))
        relays.hold_relays_as(f"process-{os.getpid()}")
        threading.excepthook = end_by_fault
        workers = [threading.Thread(target=self.work, args=(store, job)) for job in self.refs]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def work(self, store, job):
        while True:
            try:
                self.read_once(store, job)
                self.say("read")
            except LongshoreError as error:
                self.say(f"failed: {error.code}")
                time.sleep(_TRIED_AGAIN_AFTER)

    def read_once(self, store, job):
        """Do as the steps of a sync do: each finds what an earlier run of it has made."""
        ref = self.refs[job]
        taken = [e for e in store.ledger.entries(job) if e.kind is ThingKind.SOURCE_SNAPSHOT]
        begun = next((e.step for e in taken if e.state is not EntryState.REMOVED), f"snapshot-{len(taken)}")
        owner = Owner(job, begun)
        entry = store.ledger.intend(owner, self.provider, ThingKind.SOURCE_SNAPSHOT, ref)
        doing = self.doing / job
        with Clouds(store).source(self.provider) as source:
            doing.write_text("a snapshot was taken")
            snapshot = source.snapshot(ref, "s", owner, quiesce=False)
            store.ledger.settle(entry.id, EntryState.MADE, ref=snapshot.ref)
            for key in (ROOT, DATA):
                doing.write_text("disks were attached")
                with source.open_disk(snapshot, key) as export:
                    doing.write_text("a disk was copied")
                    assert content_of(export) == CONTENT, "something else was read"
                    doing.write_text("disks were detached")
            doing.write_text("a snapshot was removed")
            source.remove_snapshot(ref, snapshot.ref)
        store.ledger.settle(entry.id, EntryState.REMOVED)

    def say(self, text):
        with self.log.open("a") as log:
            log.write(f"{text}\n")


def end_by_fault(raised):
    threading.__excepthook__(raised)
    os._exit(1)


def content_of(export):
    handle = nbd.NBD()
    handle.set_uri_allow_local_file(True)
    handle.connect_uri(export.uri)
    try:
        found = []
        for offset in range(0, SIZE, MIB):
            found.append(bytes(handle.pread(MIB, offset)))
            time.sleep(_READING)
        handle.shutdown()
    except nbd.Error as error:  # its proxy has died
        raise ExportError(str(error)) from error
    return b"".join(found)


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as directory, vcenter_at(Path(directory)) as place:
        yield place


@pytest.fixture
def jobs(place, monkeypatch):
    monkeypatch.setattr(proxy_machine, "PAUSE", 0.05)
    monkeypatch.setattr(proxy_pool, "SHOWN_WITHIN", 2.0)
    monkeypatch.setattr(undoing, "_APPEARS_WITHIN", 0.01)
    monkeypatch.setattr(undoing, "_PAUSE", 0.1)
    monkeypatch.setattr(relays, "_pools", {})
    refs = {name: place.add_machine(name) for name in MACHINES}
    with place.source() as source:
        for ref in refs.values():
            source.set_change_tracking(ref, True)
            first = source.snapshot(ref, "s", Owner("none", "first"), quiesce=False)  # which makes its files
            source.remove_snapshot(ref, first.ref)
    for name in PROXIES:
        place.add_proxy(name)
        place.door.start_proxy(name)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Jobs(Path(directory), place, refs)
    place.door.clear_trouble()
    for name in PROXIES:
        place.door.stop_proxy(name)
    place.door.remove_machines(*PROXIES, *MACHINES)


def trouble(place, drawn):
    """Order something that goes wrong besides, sometimes."""
    proxy, machine = drawn.choice(PROXIES), drawn.choice(MACHINES)
    carried_out = drawn.random() < 0.7
    match drawn.randrange(12):
        case 0 | 1:
            place.door.plan_fault("ReconfigVM_Task", "hang-up", machine=proxy, carried_out=carried_out)
        case 2:
            place.door.plan_fault("RemoveSnapshot_Task", "hang-up", machine=machine, carried_out=carried_out)
        case 3:
            place.door.plan_fault("CreateSnapshot_Task", "hang-up", machine=machine, carried_out=carried_out)
        case 4:
            fault = "vim.fault.GenericVmConfigFault"
            place.door.plan_fault("ReconfigVM_Task", fault, machine=proxy, carried_out=True, in_task=True)
        case 5:
            fault = "vim.fault.ConcurrentAccess"
            place.door.plan_fault("ReconfigVM_Task", fault, machine=proxy, times=2, in_task=True)
        case 6:
            place.door.slow_down(proxy, 0.3)
        case 7 | 8:
            place.door.stop_proxy(proxy)
        case _:
            back_to_health(place)


def back_to_health(place):
    place.door.clear_trouble()
    for name in PROXIES:
        place.door.slow_down(name, 0.0)
        place.door.start_proxy(name)


def files_of(place):
    """Return the digests of all files that machines have, by their names."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (place.root / "data" / "vcenter").rglob("*")
        if file.name.endswith(("-flat.vmdk", ".qcow2"))
    }


def begin(jobs):
    process = multiprocessing.get_context("fork").Process(target=jobs.live)
    process.start()
    return process


def seconds_of_a_round(jobs):
    """Have a process read each machine twice, and kill it. Return how long the second round took: the first one sets
    the proxies up."""
    process = begin(jobs)
    _wait_for_reads(jobs, len(MACHINES))
    began = time.monotonic()
    _wait_for_reads(jobs, 2 * len(MACHINES))
    took = time.monotonic() - began
    process.kill()
    process.join()
    return took


def _wait_for_reads(jobs, count):
    end = time.monotonic() + FIRST_ROUND
    while not jobs.log.exists() or jobs.log.read_text().splitlines().count("read") < count:
        assert time.monotonic() < end, "no round has come to its end"
        time.sleep(0.05)


def left_behind(place):
    """Return what somebody who was just killed has left behind."""
    known = place.door.machines()
    held = [f"disks on {name}" for name in PROXIES if known[name]["foreign"]]
    snapshots = ["a snapshot" for name in MACHINES if known[name]["snapshots"]]
    return {*held, *snapshots, *(["nothing"] if not held and not snapshots else [])}


@pytest.mark.turns("a proxy's many kills")
@pytest.mark.timeout(400 + KILLS * 60)
def test_nothing_is_left_of_whoever_died(place, jobs, capsys):
    drawn = random.Random(SEED)
    found, moments = Counter(), Counter()
    before = files_of(place)
    longest = ROUNDS * seconds_of_a_round(jobs)
    for _ in range(KILLS):
        trouble(place, drawn)
        process = begin(jobs)
        process.join(drawn.uniform(0.1, longest))
        assert process.exitcode is None, "a process has ended by a fault: see what it printed"
        process.kill()
        process.join()
        found.update(left_behind(place))
        moments.update(file.read_text() for file in jobs.doing.iterdir())
    back_to_health(place)
    store = Store(StateDirectory(jobs.state))
    try:
        for job in jobs.refs:
            assert undo(store, Clouds(store), job) == []
            assert {entry.state for entry in store.ledger.entries(job)} == {EntryState.REMOVED}
        relays.end_relays(store)
    finally:
        store.close()
    known = place.door.machines()
    assert [file for name in PROXIES for file in known[name]["foreign"]] == []
    assert [known[name]["snapshots"] for name in MACHINES] == [[]] * len(MACHINES)
    assert not any(known[name]["consolidation_needed"] for name in MACHINES)
    assert files_of(place) == before
    for name in MACHINES:
        assert set(place.digests(name).values()) == {hashlib.sha256(CONTENT).hexdigest()}
    said = Counter(jobs.log.read_text().splitlines())
    assert any(what.startswith("disks on") for what in found), "no process died with something attached"
    with capsys.disabled():
        print(f"\n{KILLS} kills from seed {SEED}, while {dict(moments)}: left behind {dict(found)}; {dict(said)}")
