"""A machine of the lab's vCenter moves into the small cloud through a proxy, without VMware's disk library: what the
guest writes meanwhile is copied by what vCenter says has changed."""

import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import pytest
from small_clouds import MARK
from waiting import wait_for

from longshore.model.status import Status
from longshore.providers.vsphere.proxy_credentials import make_credentials

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from vsphere_proxy import CONTENT, DATA, GOODS, MIB, PROXY, SIZE, vcenter_at

pytestmark = pytest.mark.faults

NIC = {"network": "VM Network", "mac": "00:50:56:ab:cd:ef"}


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as directory, vcenter_at(Path(directory)) as place:
        yield place


@pytest.fixture
def moved(begin, place):
    """Begin to move a machine that runs, through a proxy."""
    ref = place.add_machine(nics=[NIC])
    place.add_proxy()
    place.door.start_proxy(PROXY)
    with place.source() as source:
        source.power_on(ref)
    said = asdict(place.settings(transport="proxy", proxy=PROXY))
    settings = {name: said[name] for name in ("host", "port", "username", "fingerprint", "transport", "proxy")}
    secrets = {"password": place.served.password, "proxy_key": make_credentials().secret}

    def begin_to_move(**request):
        run = begin(machine=(GOODS, ref), vcenter=(settings, secrets), force_power_off=True, **request)
        (run.world.root / "one-moment").touch()  # the small cloud boots what it is given: this test looks at it itself
        return run

    yield begin_to_move
    place.door.clear_trouble()
    place.door.stop_proxy(PROXY)
    place.door.remove_machines(PROXY, GOODS)


def assert_arrived(run, place, root, data):
    (server,) = run.world.read()["servers"].values()
    volumes = [run.world.volume_file(volume).read_bytes() for volume in server["volume_ids"]]
    assert volumes[0] == root[:MIB] + MARK + root[MIB + len(MARK) :]  # what was converted
    assert volumes[1] == data
    machine = place.door.machine(GOODS)
    assert (machine["power"], machine["snapshots"], machine["consolidation_needed"]) == ("poweredOff", [], False)
    assert place.door.machine(PROXY)["foreign"] == []
    states = {entry.kind.value: entry.state.value for entry in run.store.ledger.entries(run.id)}
    assert states["proxy-disks"] == "removed"


def test_a_cold_one(moved, place):
    run = moved()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert_arrived(run, place, CONTENT, CONTENT)


def test_a_warm_one(moved, place):
    run = moved(type="warm", cutover={"mode": "manual", "interval": 1.0})
    life = run.start_engine()
    wait_for(lambda: run.record.syncs, life)
    place.door.guest_writes(GOODS, int(DATA), 2 * MIB, 0x5A, 65536)
    known = len(run.record.syncs)
    wait_for(lambda: len(run.record.syncs) > known + 1, life)
    run.store.migrations.request_cutover(run.id)
    assert life.wait(120) == 0, life.said
    assert run.record.status is Status.DONE, run.record.error
    syncs = run.record.syncs
    assert all(sync["bytes_read"] < SIZE for sync in syncs[1:]), "vCenter says what has changed"
    written = CONTENT[: 2 * MIB] + b"\x5a" * 65536 + CONTENT[2 * MIB + 65536 :]
    assert_arrived(run, place, CONTENT, written)


def test_a_source_that_leaves_out_changes_is_found_out_and_not_believed_again(moved, place):
    run = moved(type="warm", cutover={"mode": "manual", "interval": 1.0})
    life = run.start_engine()
    wait_for(lambda: run.record.syncs, life)
    place.door.leave_out(GOODS, int(DATA), 0, SIZE)
    place.door.guest_writes(GOODS, int(DATA), 2 * MIB, 0x5A, 65536)
    wait_for(lambda: any("isn't believed" in text for text in run.told), life)
    known = len(run.record.syncs)
    wait_for(lambda: len(run.record.syncs) > known + 1, life)
    run.store.migrations.request_cutover(run.id)
    assert life.wait(120) == 0, life.said
    assert run.record.status is Status.DONE, run.record.error
    assert sum("isn't believed" in text for text in run.told) == 1
    assert run.record.syncs[-1]["bytes_read"] >= SIZE, "that disk is compared from then on"
    assert_arrived(run, place, CONTENT, CONTENT[: 2 * MIB] + b"\x5a" * 65536 + CONTENT[2 * MIB + 65536 :])
