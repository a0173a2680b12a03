"""A machine of the lab's vCenter comes home through a proxy, without VMware's disk library: what its server has written
since is written there, and no more."""

import hashlib
import sys
import tempfile
from pathlib import Path

import pytest
from protected import Protected
from waiting import wait_for

from longshore.model.replica import Stage, Wish
from longshore.model.status import Status

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from vsphere_proxy import CONTENT, DATA, GOODS, MIB, PROXY, ROOT, vcenter_at

pytestmark = pytest.mark.long

NEW = b"\xa5" * (MIB // 2)
LONG = 180  # seconds of one life, on a machine that does much else
NIC = {"network": "VM Network", "mac": "00:50:56:ab:cd:ef"}


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as directory, vcenter_at(Path(directory)) as place:
        yield place


@pytest.fixture
def machine(place):
    """Yield the reference of a machine that runs beside a proxy, and what a provider is told of its vCenter."""
    ref = place.add_machine(nics=[NIC])
    place.add_proxy()
    place.door.start_proxy(PROXY)
    with place.source() as source:
        source.power_on(ref)
    yield ref, *place.provider(PROXY)
    place.door.clear_trouble()
    place.door.stop_proxy(PROXY)
    place.door.remove_machines(PROXY, GOODS)


@pytest.fixture
def replica(machine):
    """Yield one that is failed over, whose server has written since."""
    ref, settings, secrets = machine

    class AtVcenter(Protected):
        def add_source(self, _directory):
            return self.store.providers.add("small-source", "vsphere", settings, secrets), ref

    with tempfile.TemporaryDirectory(dir="/dev/shm", ignore_cleanup_errors=True) as directory:
        replica = AtVcenter(Path(directory), landing="as-is", force_power_off=True)
        (replica.world.root / "one-moment").touch()
        replica.sync()
        replica.ask_for_failover()
        assert replica.replica.stage is Stage.FAILED_OVER, replica.told
        replica.server_id = replica.store.migrations.get(replica.replica.failover_id).server_id
        replica.world.server_writes(replica.server_id, 0, MIB, NEW)
        yield replica
        replica.store.close()


def on_server(replica):
    server = replica.world.read()["servers"][replica.server_id]
    return [replica.world.volume_file(volume).read_bytes() for volume in server["volume_ids"]]


def digests(contents):
    return dict(zip((ROOT, DATA), (hashlib.sha256(one).hexdigest() for one in contents), strict=True))


def assert_nothing_attached(place):
    assert place.door.machine(PROXY)["foreign"] == []
    assert not place.door.machine(GOODS)["consolidation_needed"]


def fail_back(replica):
    replica.begin_failback()
    life = replica.start_engine()
    assert life.wait(LONG) == 0, life.said


def test_what_the_server_has_written_comes_home_and_no_more(replica, place):
    fail_back(replica)
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert replica.replica.stage is Stage.FAILED_BACK
    assert len(NEW) <= replica.failback.result["bytes_written"] <= 1.3 * len(NEW)
    assert place.door.machine(GOODS)["power"] == "poweredOn"
    assert place.digests() == digests(on_server(replica))
    assert_nothing_attached(place)
    kinds = {entry.kind.value: entry.state.value for entry in replica.store.ledger.entries(replica.failback_id)}
    assert kinds["proxy-disks"] == "removed"
    replica.ask(Wish.COMMIT)
    assert replica.replica.stage is Stage.PROTECTED, replica.told
    replica.sync()
    assert replica.record.syncs[-1]["bytes_changed"] is not None, "the machine's own account counts again"
    assert place.door.machine(GOODS)["snapshots"] == []
    assert_nothing_attached(place)


def test_an_engine_that_is_killed_while_it_writes_costs_nothing(replica, place):
    replica.begin_failback()
    life = replica.start_engine()
    wait_for(lambda: place.door.machine(PROXY)["foreign"], life)
    life.kill()
    assert place.door.machine(PROXY)["foreign"], "nobody was there to detach them"
    life = replica.start_engine()
    assert life.wait(LONG) == 0, life.said
    assert replica.failback.status is Status.DONE, replica.failback.error
    assert place.digests() == digests(on_server(replica))
    assert_nothing_attached(place)


def test_one_that_is_cancelled_while_it_writes_takes_the_machine_back(replica, place):
    replica.begin_failback()
    life = replica.start_engine()
    wait_for(lambda: place.door.machine(PROXY)["foreign"], life)
    replica.store.migrations.request_cancel(replica.failback_id)
    assert life.wait(LONG) == 0, life.said
    assert replica.failback.status is not Status.DONE
    assert place.door.machine(GOODS)["power"] == "poweredOff"
    assert place.door.machine(GOODS)["snapshots"] == []
    assert place.digests() == digests([CONTENT, CONTENT])
    assert_nothing_attached(place)
