"""Whoever dies while disks are read through a proxy, and whenever: nothing of a machine stays attached, no snapshot of
ours stays, nothing is left to consolidate, and not a byte of it has changed.

Processes take a snapshot, attach and read its disks, detach them and remove the snapshot, over and over, each from
where the one before was killed. There are two proxies. Between the kills answers of the vCenter are lost, and a proxy's
guest dies.
LONGSHORE_KILLS says how many kills there are, LONGSHORE_SEED which they are.
"""

import hashlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import nbd
import pytest

from longshore.engine import undoing
from longshore.errors import LongshoreError
from longshore.flows import relays
from longshore.flows.clouds import Clouds
from longshore.flows.undo import undo
from longshore.model.target import Owner
from longshore.providers.vsphere import proxy_machine, proxy_pool
from longshore.providers.vsphere.proxy_credentials import make_credentials
from longshore.store import EntryState, StateDirectory, Store, ThingKind

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from vsphere_proxy import CONTENT, DATA, GOODS, PROXY, ROOT, SIZE, vcenter_at

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("LONGSHORE_KILLS", "40"))
SEED = int(os.environ.get("LONGSHORE_SEED", "1000"))
PROXIES = (PROXY, "second")
ROUNDS = 2.0  # that the longest of these lives would take when nothing happens
FIRST_ROUND = 120.0  # seconds that one may take on a machine that does much else
_TRIED_AGAIN_AFTER = 0.05


class Job:
    """What is known of the work outside of the processes that do it."""

    def __init__(self, directory, place, machine_ref):
        self.state, self.machine_ref = directory / "state", machine_ref
        self.log = directory / "log"
        said = asdict(place.settings(transport="proxy", proxies=PROXIES))
        settings = {name: said[name] for name in ("host", "port", "username", "fingerprint", "transport", "proxies")}
        secrets = {"password": place.served.password, "proxy_key": make_credentials().secret}
        store = Store(StateDirectory(self.state))
        self.provider = store.providers.add("vc", "vsphere", settings, secrets).id
        ids = {"source_id": self.provider, "target_id": self.provider}
        self.id = store.migrations.add(machine_name=GOODS, machine_ref=machine_ref, request={}, **ids).id
        store.close()

    def live(self):
        """Work until killed. In a process of its own."""
        store = Store(StateDirectory(self.state))
        relays.hold_relays_as(f"process-{os.getpid()}")
        while True:
            try:
                self.read_once(store)
                self.say("read")
            except LongshoreError as error:
                self.say(f"failed: {error.code}")
                time.sleep(_TRIED_AGAIN_AFTER)

    def read_once(self, store):
        """Do as the steps of a sync do: each finds what an earlier run of it has made."""
        taken = [e for e in store.ledger.entries(self.id) if e.kind is ThingKind.SOURCE_SNAPSHOT]
        begun = next((e.step for e in taken if e.state is not EntryState.REMOVED), f"snapshot-{len(taken)}")
        owner = Owner(self.id, begun)
        entry = store.ledger.intend(owner, self.provider, ThingKind.SOURCE_SNAPSHOT, self.machine_ref)
        with Clouds(store).source(self.provider) as source:
            snapshot = source.snapshot(self.machine_ref, "s", owner, quiesce=False)
            store.ledger.settle(entry.id, EntryState.MADE, ref=snapshot.ref)
            for key in (ROOT, DATA):
                with source.open_disk(snapshot, key) as export:
                    handle = nbd.NBD()
                    handle.set_uri_allow_local_file(True)
                    handle.connect_uri(export.uri)
                    assert bytes(handle.pread(SIZE, 0)) == CONTENT, "something else was read"
                    handle.shutdown()
            source.remove_snapshot(self.machine_ref, snapshot.ref)
        store.ledger.settle(entry.id, EntryState.REMOVED)

    def say(self, text):
        with self.log.open("a") as log:
            log.write(f"{text}\n")


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as directory, vcenter_at(Path(directory)) as place:
        yield place


@pytest.fixture
def job(place, monkeypatch):
    monkeypatch.setattr(proxy_machine, "PAUSE", 0.05)
    monkeypatch.setattr(proxy_pool, "SHOWN_WITHIN", 2.0)
    monkeypatch.setattr(undoing, "_APPEARS_WITHIN", 0.01)
    monkeypatch.setattr(undoing, "_PAUSE", 0.1)
    monkeypatch.setattr(relays, "_pools", {})
    ref = place.add_machine()
    with place.source() as source:
        source.set_change_tracking(ref, True)
    for name in PROXIES:
        place.add_proxy(name)
        place.door.start_proxy(name)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        yield Job(Path(directory), place, ref)
    place.door.clear_trouble()
    for name in PROXIES:
        place.door.stop_proxy(name)
    place.door.remove_machines(*PROXIES, GOODS)


def trouble(place, drawn):
    """Order something that goes wrong besides, sometimes."""
    proxy = drawn.choice(PROXIES)
    match drawn.randrange(8):
        case 0:
            place.door.plan_fault("ReconfigVM_Task", "hang-up", machine=proxy, carried_out=True)
        case 1:
            place.door.plan_fault("RemoveSnapshot_Task", "hang-up", machine=GOODS, carried_out=True)
        case 2:
            fault = "vim.fault.GenericVmConfigFault"
            place.door.plan_fault("ReconfigVM_Task", fault, machine=proxy, carried_out=True, in_task=True)
        case 3:
            place.door.slow_down(proxy, 0.3)
        case 4:
            place.door.stop_proxy(proxy)
        case _:
            back_to_health(place)


def back_to_health(place):
    place.door.clear_trouble()
    for name in PROXIES:
        place.door.slow_down(name, 0.0)
        place.door.start_proxy(name)


def attached(place):
    return [file for name in PROXIES for file in place.door.machine(name)["foreign"]]


def begin(job):
    process = multiprocessing.get_context("fork").Process(target=job.live)
    process.start()
    return process


def seconds_of_a_round(job):
    """Have a process read once, and kill it."""
    began, process = time.monotonic(), begin(job)
    while not job.log.exists() or "read" not in job.log.read_text():
        assert time.monotonic() < began + FIRST_ROUND, "no round has come to its end"
        time.sleep(0.1)
    took = time.monotonic() - began
    process.kill()
    process.join()
    return took


@pytest.mark.timeout(240 + KILLS * 20)
def test_nothing_is_left_of_whoever_died(place, job, capsys):
    drawn = random.Random(SEED)
    found = Counter()
    longest = ROUNDS * seconds_of_a_round(job)
    for _ in range(KILLS):
        trouble(place, drawn)
        process = begin(job)
        process.join(drawn.uniform(0.1, longest))
        assert process.exitcode is None, "a process has ended by a fault: see what it printed"
        process.kill()
        process.join()
        found["attached"] += bool(attached(place))
        found["a snapshot"] += bool(place.door.machine(GOODS)["snapshots"])
    back_to_health(place)
    store = Store(StateDirectory(job.state))
    try:
        left = undo(store, Clouds(store), job.id)
        assert left == []
        assert {entry.state for entry in store.ledger.entries(job.id)} == {EntryState.REMOVED}
        relays.end_relays(store)
    finally:
        store.close()
    machine = place.door.machine(GOODS)
    assert attached(place) == []
    assert (machine["snapshots"], machine["consolidation_needed"]) == ([], False)
    assert set(place.digests().values()) == {hashlib.sha256(CONTENT).hexdigest()}
    said = Counter(job.log.read_text().splitlines())
    assert found["attached"], "no process died with something attached"
    with capsys.disabled():
        print(f"\n{KILLS} kills from seed {SEED}: left behind {dict(found)}; {dict(said)}")
