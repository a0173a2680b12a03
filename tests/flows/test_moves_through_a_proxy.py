"""A machine of the lab's vCenter moves into the small cloud through a proxy, without VMware's disk library: what the
guest writes meanwhile is copied by what vCenter says has changed."""

import sys
import tempfile
from pathlib import Path

import pytest
from protected import Protected
from small_clouds import MARK
from waiting import wait_for

from longshore.model.status import Status

sys.path.append(str(Path(__file__).parents[1] / "providers"))
from vsphere_proxy import CONTENT, DATA, GOODS, MIB, PROXY, ROOT, SIZE, vcenter_at

pytestmark = pytest.mark.long

NIC = {"network": "VM Network", "mac": "00:50:56:ab:cd:ef"}


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as directory, vcenter_at(Path(directory)) as place:
        yield place


@pytest.fixture
def machine(place):
    """Yield the reference of a machine that runs beside a proxy, and what a provider is told of its vCenter."""
    ref = place.add_machine(nics=[NIC])
    place.door.set_kind("datastore1", "NFS")
    place.add_proxy(host="esx2.lab")  # not the machine's, of which each job has to tell
    place.door.start_proxy(PROXY)
    with place.source() as source:
        source.power_on(ref)
    yield ref, *place.provider(PROXY)
    place.door.clear_trouble()
    place.door.set_kind("datastore1", "VMFS")
    place.door.stop_proxy(PROXY)
    place.door.remove_machines(PROXY, GOODS)


@pytest.fixture
def moved(begin, machine):
    """Begin to move the machine."""
    ref, *vcenter = machine

    def begin_to_move(**request):
        run = begin(machine=(GOODS, ref), vcenter=vcenter, force_power_off=True, **request)
        (run.world.root / "one-moment").touch()  # the small cloud boots what it is given: this test looks at it itself
        return run

    return begin_to_move


def assert_left_alone(place):
    machine = place.door.machine(GOODS)
    assert (machine["snapshots"], machine["consolidation_needed"], machine["tracking"]) == ([], False, False)
    assert place.door.machine(PROXY)["foreign"] == []


def assert_arrived(run, place, root, data):
    (server,) = run.world.read()["servers"].values()
    volumes = [run.world.volume_file(volume).read_bytes() for volume in server["volume_ids"]]
    assert volumes[0] == root[:MIB] + MARK + root[MIB + len(MARK) :]  # what was converted
    assert volumes[1] == data
    assert place.door.machine(GOODS)["power"] == "poweredOff"
    assert_left_alone(place)
    states = {entry.kind.value: entry.state.value for entry in run.store.ledger.entries(run.id)}
    assert states["proxy-disks"] == "removed"


def test_a_cold_one(moved, place):
    run = moved()
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert_arrived(run, place, CONTENT, CONTENT)


def test_a_dry_run_of_it_changes_nothing(moved, place):
    run = moved(type="dry-run", keep=True)
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert sum("Disks are on NFS 3 and attached to a proxy on another host" in text for text in run.told) == 1
    (server,) = run.world.read()["servers"].values()
    assert run.world.volume_file(server["volume_ids"][1]).read_bytes() == CONTENT
    assert place.door.machine(GOODS)["power"] == "poweredOn"
    assert_left_alone(place)


def test_a_look_into_it_changes_nothing(moved, place):
    run = moved(type="inspection")
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert record.result["guest"]
    assert {entry.state.value for entry in run.store.ledger.entries(run.id)} == {"removed"}
    assert place.door.machine(GOODS)["power"] == "poweredOn"
    assert_left_alone(place)


def test_an_engine_that_is_killed_while_disks_are_attached_costs_nothing(moved, place):
    run = moved()
    life = run.start_engine()
    wait_for(lambda: place.door.machine(PROXY)["foreign"], life)
    life.kill()
    assert place.door.machine(PROXY)["foreign"], "nobody was there to detach them"
    record = run.to_the_end()
    assert record.status is Status.DONE, record.error
    assert_arrived(run, place, CONTENT, CONTENT)


def test_one_that_is_cancelled_leaves_nothing(moved, place):
    run = moved()
    life = run.start_engine()
    wait_for(lambda: place.door.machine(PROXY)["foreign"], life)
    run.store.migrations.request_cancel(run.id)
    assert life.wait(120) == 0, life.said
    assert run.record.status is not Status.DONE
    assert place.door.machine(GOODS)["power"] == "poweredOn"
    assert_left_alone(place)
    assert {entry.state.value for entry in run.store.ledger.entries(run.id)} == {"removed"}


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


def test_a_warm_one_that_cuts_over_by_itself(moved, place):
    run = moved(type="warm", cutover={"mode": "automatic", "downtime": 3600.0})
    record = run.to_the_end(lives=1)
    assert record.status is Status.DONE, record.error
    assert record.syncs[-1]["final"]
    assert_arrived(run, place, CONTENT, CONTENT)


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


@pytest.mark.turns("a proxy's many kills")
def test_a_replica_of_it_has_points_of_what_the_guest_has_written_and_can_be_tried(machine, place):
    ref, settings, secrets = machine

    class AtVcenter(Protected):
        def add_source(self, _directory):
            return self.store.providers.add("small-source", "vsphere", settings, secrets), ref

    with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
        replica = AtVcenter(Path(directory), keep="last 20")
        (replica.world.root / "one-moment").touch()
        wanted = [CONTENT]
        replica.sync()
        for number in range(1, 11):
            written = bytearray(wanted[-1])
            written[2 * MIB : 2 * MIB + 65536] = bytes([number]) * 65536
            wanted.append(bytes(written))
            place.door.guest_writes(GOODS, int(DATA), 2 * MIB, number, 65536)
            replica.sync()
        points = replica.points
        held = [{disk.key: disk.snapshot_id for disk in point.disks}[DATA] for point in points]
        assert [(replica.world.root / f"vsnap-{snapshot}").read_bytes() for snapshot in held] == wanted
        assert all(sync["bytes_read"] < SIZE for sync in replica.record.syncs[1:]), "vCenter says what has changed"
        tried = replica.land("test-failover", keep=True)
        assert tried.status is Status.DONE, tried.error
        data = replica.world.read()["servers"][tried.server_id]["volume_ids"][1]
        assert replica.world.volume_file(data).read_bytes() == wanted[-1]
        machine = place.door.machine(GOODS)
        assert (machine["snapshots"], machine["consolidation_needed"]) == ([], False)
        assert machine["power"] == "poweredOn"
        assert place.door.machine(PROXY)["foreign"] == []
        replica.store.close()


def test_backups_of_it_read_what_has_changed(backed_up, machine, place):
    ref, settings, secrets = machine
    backup = backed_up()
    backup.source = backup.store.providers.add("vcenter", "vsphere", settings, secrets)
    assert backup.begin(backup.source, ref, backup.place, type="backup") == 0
    assert backup.record.status is Status.DONE, backup.record.error
    place.door.guest_writes(GOODS, int(DATA), 2 * MIB, 0x5A, 65536)
    assert backup.begin(backup.source, ref, backup.place, type="backup") == 0
    assert backup.record.status is Status.DONE, backup.record.error
    assert 0 < backup.record.result["bytes_read"] < SIZE, "vCenter says what has changed"
    first, second = (backup.held(point) for point in backup.points)
    assert first == {ROOT: CONTENT, DATA: CONTENT}
    assert second == {ROOT: CONTENT, DATA: CONTENT[: 2 * MIB] + b"\x5a" * 65536 + CONTENT[2 * MIB + 65536 :]}
    assert place.door.machine(PROXY)["foreign"] == []
